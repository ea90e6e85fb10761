from typing import Annotated, Any

import pytest

from mcpweb import jsonrpc
from mcpweb.plugin_api import Api, tool
from tests.gateway.door import Door


@tool("Mirrored", read_only=True)
def mirrored(
    api: Api,
    region: Annotated[str | None, "Region.", {"x-mcp-header": "Region"}] = None,
    count: Annotated[int | None, "Count.", {"x-mcp-header": "Max-Count"}] = None,
    dry: Annotated[bool | None, "Dry run.", {"x-mcp-header": "Dry"}] = None,
) -> Any:
    """Give the arguments back."""
    return [region, count, dry]


@tool(
    "Nested",
    read_only=True,
    input_schema={
        "type": "object",
        "properties": {
            "where": {"type": "object", "properties": {"zone": {"type": "string", "x-mcp-header": "Zone"}}},
        },
    },
)
def nested(api: Api, **arguments: Any) -> Any:
    """Give the arguments back."""
    return arguments


@pytest.fixture
def door():
    return Door.to(mirrored, nested)


def call(door, arguments, **headers):
    return door.modern("tools/call", {"name": "mirrored", "arguments": arguments}, **headers)


@pytest.mark.parametrize(
    "arguments, headers",
    [
        ({}, {}),
        ({"region": None}, {}),
        ({"region": "eu"}, {"mcp_param_region": "eu"}),
        ({"region": "eu"}, {"mcp_param_region": " eu\t"}),
        ({"region": "München"}, {"mcp_param_region": "=?base64?TcO8bmNoZW4=?="}),
        ({"region": ""}, {"mcp_param_region": ""}),
        ({"count": 42}, {"mcp_param_max_count": "42"}),
        ({"count": 42}, {"mcp_param_max_count": "42.0"}),
        ({"count": 42.0}, {"mcp_param_max_count": "42"}),
        ({"dry": True}, {"mcp_param_dry": "true"}),
        ({"dry": False}, {"mcp_param_dry": "false"}),
        ({}, {"mcp_param_unknown": "x"}),
    ],
)
def test_headers_that_repeat_the_arguments_are_accepted(door, arguments, headers):
    answer = call(door, arguments, **headers)

    assert answer.status == 200
    assert "isError" not in answer.result


@pytest.mark.parametrize(
    "arguments, headers",
    [
        ({"region": "eu"}, {}),
        ({}, {"mcp_param_region": "eu"}),
        ({"region": None}, {"mcp_param_region": "eu"}),
        ({"region": "eu"}, {"mcp_param_region": "EU"}),
        ({"region": "München"}, {"mcp_param_region": "München"}),
        ({"region": "eu"}, {"mcp_param_region": "=?base64?ZXU?="}),
        ({"region": "eu"}, {"mcp_param_region": "=?base64?ZX!U=?="}),
        ({"region": "eu"}, {"mcp_param_region": "eu, eu"}),
        ({"count": 42}, {"mcp_param_max_count": "42.5"}),
        ({"count": 42}, {"mcp_param_max_count": "9" * 6000}),
        ({"count": 42}, {"mcp_param_max_count": "forty-two"}),
        ({"dry": True}, {"mcp_param_dry": "1"}),
        ({"dry": True}, {"mcp_param_dry": "True"}),
    ],
)
def test_headers_that_say_something_else_are_refused_before_anything_runs(door, arguments, headers):
    answer = call(door, arguments, **headers)

    assert (answer.status, answer.error["code"]) == (400, jsonrpc.HEADER_MISMATCH)


def test_an_argument_inside_another_is_repeated_too(door):
    where = {"name": "nested", "arguments": {"where": {"zone": "a"}}}

    assert door.modern("tools/call", where, mcp_param_zone="a").status == 200
    assert door.modern("tools/call", where).error["code"] == jsonrpc.HEADER_MISMATCH
    assert door.modern("tools/call", {"name": "nested", "arguments": {"where": 5}}).status == 200


def test_revisions_with_a_handshake_know_no_such_headers(door):
    assert "isError" not in door.call("mirrored", {"region": "eu"}).result
