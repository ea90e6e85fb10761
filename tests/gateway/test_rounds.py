from datetime import timedelta
from typing import Annotated, Any

import pytest

from mcpweb import clock, jsonrpc
from mcpweb.gateway.revisions import CAPABILITIES
from mcpweb.plugin_api import Api, Call, InputRequired, tool
from tests.gateway.door import Door, service

QUESTION = {"method": "elicitation/create", "params": {"message": "Sure?"}}
ABLE = {CAPABILITIES: {"elicitation": {}}}


@tool("Delete")
def delete(api: Api, call: Call, what: Annotated[str, "What to delete."]) -> Any:
    """Delete after asking."""
    if "sure" not in call.input_responses:
        raise InputRequired({"sure": QUESTION}, {"what": what})
    return {"state": call.request_state, "answer": call.input_responses["sure"]}


@tool("Ask all")
def ask_all(api: Api, call: Call) -> Any:
    """Ask for everything."""
    raise InputRequired({"a": QUESTION, "b": {"method": "roots/list"}, "c": {"method": "sampling/createMessage"}})


@tool("Wait")
def wait(api: Api, call: Call) -> Any:
    """Come again."""
    raise InputRequired(state=[1])


@tool("Odd question")
def odd(api: Api, call: Call) -> Any:
    """Ask for what no client can be asked."""
    raise InputRequired({"a": {"method": "tools/call"}})


@pytest.fixture
def door():
    return Door.to(delete, ask_all, wait, odd)


def ask(door, what="all", **more):
    params = {"name": "delete", "arguments": {"what": what}, **more}
    return door.modern("tools/call", params, meta=ABLE)


def test_a_question_goes_to_the_client_and_its_answer_comes_back_with_the_state(door):
    first = ask(door).result
    second = ask(door, inputResponses={"sure": {"action": "accept"}, "other": {}}, requestState=first["requestState"])

    assert first["resultType"] == "input_required"
    assert first["inputRequests"] == {"sure": QUESTION}
    assert not {"content", "ttlMs", "cacheScope"} & set(first)
    assert second.text == '{"state":{"what":"all"},"answer":{"action":"accept"}}'


def test_a_state_alone_asks_the_client_to_come_again(door):
    result = door.modern("tools/call", {"name": "wait"}).result

    assert result["requestState"]
    assert "inputRequests" not in result


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state + "x",
        lambda state: "x" + state,
        lambda state: state[:-1] + ("0" if state[-1] != "0" else "1"),
        lambda state: state.partition(".")[0],
        lambda state: "." + state.partition(".")[2],
        lambda state: "",
        lambda state: "é.ü",
        lambda state: "\x00",
        lambda state: 5,
        lambda state: None,
        lambda state: {},
    ],
)
def test_a_state_that_was_changed_is_refused(door, change):
    state = change(ask(door).result["requestState"])

    assert ask(door, inputResponses={"sure": {}}, requestState=state).error["code"] == jsonrpc.INVALID_PARAMS


def test_a_state_is_good_for_its_own_parameters_only(door):
    state = ask(door, what="one").result["requestState"]

    assert (
        ask(door, what="all", inputResponses={"sure": {}}, requestState=state).error["code"] == jsonrpc.INVALID_PARAMS
    )


def test_a_state_is_good_for_its_own_instance_only(door):
    state = ask(door).result["requestState"]
    door.id = door.accesses.add(service(delete))

    assert ask(door, inputResponses={"sure": {}}, requestState=state).error["code"] == jsonrpc.INVALID_PARAMS


def test_a_state_ends(door, monkeypatch):
    state = ask(door).result["requestState"]
    later = clock.utcnow() + timedelta(minutes=16)
    monkeypatch.setattr(clock, "utcnow", lambda: later)

    answer = ask(door, inputResponses={"sure": {}}, requestState=state)

    assert "too old" in answer.error["message"]


@pytest.mark.parametrize("responses", [None, 5, [], "x", {"sure": 5}, {"sure": None}])
def test_malformed_answers_are_refused(door, responses):
    assert ask(door, inputResponses=responses).error["code"] == jsonrpc.INVALID_PARAMS


def test_a_client_is_told_all_that_it_would_have_to_declare(door):
    answer = door.modern("tools/call", {"name": "ask_all"}, meta={CAPABILITIES: {"elicitation": {}, "roots": True}})

    assert (answer.status, answer.error["code"]) == (400, jsonrpc.MISSING_CAPABILITY)
    assert answer.error["data"] == {"requiredCapabilities": {"roots": {}, "sampling": {}}}


def test_a_question_that_does_not_exist_is_a_bug_of_the_tool(door, caplog):
    answer = door.modern("tools/call", {"name": "odd"})

    assert (answer.status, answer.error["code"]) == (200, jsonrpc.INTERNAL_ERROR)
    assert "request failed" in caplog.text


def test_clients_before_2026_are_told_that_they_can_not_be_asked(door):
    answer = door.call("delete", {"what": "all"})

    assert answer.result["isError"] is True
    assert "2026-07-28" in answer.text
