from uuid import uuid4

import pytest

from mcpweb.gateway.doors import instance_id
from mcpweb.plugin_api import Api, tool
from tests.gateway.door import PORT, Door, service


@tool("Ping", read_only=True)
def reach(api: Api) -> object:
    """Reach the service."""
    return api.get("/user")


@pytest.fixture
def door():
    return Door.to(reach)


@pytest.mark.parametrize("path", ["/", "/instances", "/mcp", "/mcpx/1", "/.well-known/oauth-protected-resource"])
def test_what_is_no_endpoint_goes_to_the_pages(door, path):
    assert door.send(b"", path=path, method="GET").body == b"a page"


def test_a_service_port_answers_for_its_own_instances(door):
    assert door.ask("ping", path=f"/{door.id}/mcp", port=PORT).result == {}


def test_a_service_port_knows_no_instance_of_another_service(door):
    other = door.accesses.add(service(reach, name="github", port=8101))

    assert door.ask("ping", path=f"/{other}/mcp", port=PORT).status == 401
    assert door.ask("ping", path=f"/mcp/{other}").status == 200


@pytest.mark.parametrize("path", ["/", "/instances", "/sign-in", "/healthz", "/mcp/{id}", "/{id}", "/{id}/mcp/"])
def test_a_service_port_has_nothing_else(door, path):
    assert door.send(b"", path=path.format(id=door.id), port=PORT, method="GET").status == 404


def test_the_main_port_does_not_know_the_address_form_of_service_ports(door):
    assert door.send(b"", path=f"/{door.id}/mcp").body == b"a page"


def test_an_instance_id_has_one_spelling():
    id = uuid4()

    assert instance_id(str(id)) == id
    for text in (
        str(id).upper(),
        f"urn:uuid:{id}",
        id.hex,
        f"{{{id.hex}}}",
        str(id)[:-1],
        str(id) + "0",
        " " + str(id)[1:],
    ):
        assert instance_id(text) is None
