import base64
from typing import Annotated, Any

import pytest

from mcpweb import jsonrpc
from mcpweb.catalog.outgoing import Reply
from mcpweb.gateway.revisions import CAPABILITIES
from mcpweb.plugin_api import Api, Call, InputRequired, ToolError, prompt, resource, resource_template
from tests.gateway.door import Door


@resource("test://readme", name="Readme", mime_type="text/plain")
def readme(api: Api) -> str:
    """A text."""
    return "Read me."


@resource("test://logo", name="Logo", mime_type="image/png")
def logo(api: Api) -> bytes:
    """A picture."""
    return b"\x89PNG"


@resource("test://rogue", name="Rogue", mime_type="text/plain")
def rogue(api: Api) -> Any:
    """Ends the program."""
    raise SystemExit


@resource("test://odd", name="Odd", mime_type="text/plain")
def odd(api: Api) -> Any:
    """Has no JSON form."""
    return {1, 2}


@resource_template("test://users/{name}/files/{+path}", name="File", mime_type="application/json")
def file(api: Api, name: str, path: str) -> Any:
    """One file of a user."""
    if name == "nobody":
        raise ToolError("There is no such user.")
    return {"name": name, "path": path, "user": api.get("/users/{name}", name=name)}


def _propose(typed: str, chosen: Any) -> list[str]:
    if typed == "fail":
        raise SystemExit
    return [f"{typed}{number}-{chosen.get('tone', '')}" for number in range(150)]


@prompt("Greet", complete={"name": _propose})
def greet(api: Api, name: Annotated[str, "Who."], tone: Annotated[str, "How."] = "kind") -> str:
    """A greeting."""
    return f"Greet {name} in a {tone} way."


@prompt("Ask")
def ask(api: Api, call: Call) -> str:
    """A prompt that asks first."""
    if not call.input_responses:
        raise InputRequired({"topic": {"method": "elicitation/create", "params": {}}})
    return "Go on."


@pytest.fixture
def door():
    return Door.to(readme, logo, rogue, odd, file, greet, ask)


def test_what_can_be_read_is_listed(door):
    resources = door.ask("resources/list").result["resources"]
    templates = door.modern("resources/templates/list").result["resourceTemplates"]

    assert {"uri": "test://readme", "name": "Readme", "description": "A text.", "mimeType": "text/plain"} in resources
    assert templates[0]["uriTemplate"] == "test://users/{name}/files/{+path}"


def test_texts_and_bytes_are_read(door):
    [text] = door.ask("resources/read", {"uri": "test://readme"}).result["contents"]
    [blob] = door.modern("resources/read", {"uri": "test://logo"}).result["contents"]

    assert text == {"uri": "test://readme", "mimeType": "text/plain", "text": "Read me."}
    assert base64.b64decode(blob["blob"]) == b"\x89PNG"


def test_a_template_takes_its_variables_from_the_uri(door):
    [content] = door.ask("resources/read", {"uri": "test://users/b%C3%B6b/files/a/b.txt"}).result["contents"]

    assert content["text"] == '{"name":"böb","path":"a/b.txt","user":{"login":"octocat"}}'
    assert door.upstream.sent[0][1] == "https://api.example.com/users/b%C3%B6b"


@pytest.mark.parametrize(
    "uri", ["test://nothing", "test://users/nobody/files/x", "test://users//files/x", "", "test://users/" + "x/" * 2000]
)
def test_a_missing_resource_is_an_error_that_names_it(door, uri):
    before = door.ask("resources/read", {"uri": uri})
    now = door.modern("resources/read", {"uri": uri}, mcp_name=uri)

    assert (before.error["code"], before.error["data"]) == (jsonrpc.RESOURCE_NOT_FOUND, {"uri": uri[:2000]})
    assert (now.status, now.error["code"], now.error["data"]) == (200, jsonrpc.INVALID_PARAMS, {"uri": uri[:2000]})


def test_a_resource_that_the_service_does_not_have_is_missing_too(door):
    door.upstream.reply = Reply(404, {}, b"{}")

    assert door.ask("resources/read", {"uri": "test://users/x/files/y"}).error["code"] == jsonrpc.RESOURCE_NOT_FOUND


def test_a_refusal_of_the_service_is_told_in_its_sentence(door):
    door.upstream.reply = Reply(401, {}, b"{}")
    error = door.ask("resources/read", {"uri": "test://users/x/files/y"}).error

    assert error["code"] == jsonrpc.INTERNAL_ERROR
    assert "refused the key" in error["message"]


@pytest.mark.parametrize("uri", ["test://rogue", "test://odd"])
def test_a_resource_that_misbehaves_harms_nobody(door, uri, caplog):
    for _ in range(10):
        answer = door.ask("resources/read", {"uri": uri})
        assert (answer.status, answer.error["code"]) == (200, jsonrpc.INTERNAL_ERROR)
    assert "prompt or resource failed" in caplog.text
    assert door.ask("resources/read", {"uri": "test://readme"}).status == 200


def test_a_prompt_fills_in_its_arguments(door):
    result = door.ask("prompts/get", {"name": "greet", "arguments": {"name": "alice"}}).result

    [message] = result["messages"]
    assert message == {"role": "user", "content": {"type": "text", "text": "Greet alice in a kind way."}}
    [listed, _] = door.ask("prompts/list").result["prompts"]
    assert [argument["required"] for argument in listed["arguments"]] == [True, False]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"name": "nothing"},
        {"name": "greet"},
        {"name": "greet", "arguments": {"name": 5}},
        {"name": "greet", "arguments": {"name": "a", "colour": "red"}},
        {"name": "greet", "arguments": []},
    ],
)
def test_a_prompt_refuses_other_arguments(door, params):
    assert door.ask("prompts/get", params).error["code"] == jsonrpc.INVALID_PARAMS


def test_a_prompt_may_ask_first(door):
    able = {CAPABILITIES: {"elicitation": {}}}
    first = door.modern("prompts/get", {"name": "ask"}, meta=able).result
    second = door.modern("prompts/get", {"name": "ask", "inputResponses": {"topic": {}}}, meta=able).result

    assert first["resultType"] == "input_required"
    assert second["messages"][0]["content"]["text"] == "Go on."
    assert door.ask("prompts/get", {"name": "ask"}).error["code"] == jsonrpc.INTERNAL_ERROR


def test_nothing_is_read_through_an_instance_that_is_switched_off(door):
    door.accesses.change(door.id, status="inactive")

    for answer in (
        door.ask("resources/read", {"uri": "test://users/x/files/y"}),
        door.ask("prompts/get", {"name": "greet", "arguments": {"name": "a"}}),
    ):
        assert (answer.status, answer.error["code"]) == (200, jsonrpc.SWITCHED_OFF)
        assert str(door.id) in answer.error["message"]
    assert door.upstream.sent == []
    assert door.ask("resources/list").result["resources"]


def complete(door, ref, name="name", value="a", **more):
    return door.ask("completion/complete", {"ref": ref, "argument": {"name": name, "value": value}, **more})


def test_proposals_come_in_hundreds_and_know_what_was_chosen_before(door):
    answer = complete(door, {"type": "ref/prompt", "name": "greet"}, context={"arguments": {"tone": "rude"}})

    assert len(answer.result["completion"]["values"]) == 100
    assert answer.result["completion"]["values"][0] == "a0-rude"
    assert (answer.result["completion"]["total"], answer.result["completion"]["hasMore"]) == (150, True)


def test_an_argument_without_proposals_has_none(door):
    assert complete(door, {"type": "ref/prompt", "name": "greet"}, name="tone").result["completion"]["values"] == []
    assert complete(door, {"type": "ref/prompt", "name": "greet"}, value="fail").result["completion"]["values"] == []
    template = {"type": "ref/resource", "uri": "test://users/{name}/files/{+path}"}
    assert complete(door, template).result["completion"]["values"] == []


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"ref": {}, "argument": {"name": "a", "value": "b"}},
        {"ref": {"type": "ref/prompt", "name": "nothing"}, "argument": {"name": "a", "value": "b"}},
        {"ref": {"type": "ref/prompt", "name": ["x"]}, "argument": {"name": "a", "value": "b"}},
        {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": 5, "value": "b"}},
        {"ref": 5, "argument": 5},
    ],
)
def test_proposals_for_nothing_are_refused(door, params):
    assert door.ask("completion/complete", params).error["code"] == jsonrpc.INVALID_PARAMS
