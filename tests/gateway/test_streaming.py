from collections.abc import Generator
from typing import Any

import pytest

from mcpweb import jsonrpc
from mcpweb.gateway.revisions import LOG_LEVEL
from mcpweb.plugin_api import Api, Call, InputRequired, LogMessage, Progress, ToolError, tool
from tests.gateway.door import Door

CLOSED: list[str] = []


@tool("Count", read_only=True)
def count(api: Api) -> Generator[Progress | LogMessage, None, str]:
    """Report on the way."""
    try:
        yield Progress(0, 2, "begun")
        yield LogMessage("debug", "half-way")
        yield LogMessage("error", {"went": "wrong"})
        yield Progress(0, 2)
        yield Progress(2, 2)
    finally:
        CLOSED.append("count")
    api.get("/user")
    return "counted"


@tool("Fail", read_only=True)
def fail(api: Api) -> Generator[Progress, None, str]:
    """Fail on the way."""
    yield Progress(1)
    raise ToolError("It broke half-way.")


@tool("Exit", read_only=True)
def leave(api: Api) -> Generator[Progress, None, str]:
    """End the program on the way."""
    yield Progress(1)
    raise SystemExit


@tool("Ask", read_only=True)
def ask(api: Api, call: Call) -> Generator[Progress, None, str]:
    """Ask on the way."""
    yield Progress(1)
    raise InputRequired({"answer": {"method": "sampling/createMessage", "params": {}}})


@tool("Yield nonsense", read_only=True)
def nonsense(api: Api) -> Generator[Any, None, str]:
    """Yield what is no report."""
    yield "nonsense"
    return "never"


@tool("Plain", read_only=True)
def plain(api: Api) -> str:
    """Report nothing."""
    return "plain"


@pytest.fixture
def door():
    CLOSED.clear()
    return Door.to(count, fail, leave, ask, nonsense, plain, max_concurrent=1)


def test_progress_is_sent_to_who_gave_a_token_and_grows(door):
    answer = door.modern("tools/call", {"name": "count"}, meta={"progressToken": "p"})

    *notes, last = answer.events
    assert [note["params"] for note in notes] == [
        {"progressToken": "p", "progress": 0, "total": 2, "message": "begun"},
        {"progressToken": "p", "progress": 2, "total": 2},
    ]
    assert (last["id"], last["result"]["content"][0]["text"], last["result"]["resultType"]) == (
        1,
        "counted",
        "complete",
    )
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Content-Length" not in answer.headers


def test_log_messages_are_sent_from_the_level_on_that_was_asked_for(door):
    answer = door.modern("tools/call", {"name": "count"}, meta={LOG_LEVEL: "warning"})

    assert [event["params"] for event in answer.events[:-1]] == [{"level": "error", "data": {"went": "wrong"}}]


def test_before_2026_all_log_messages_are_sent(door):
    assert len(door.call("count").events) == 3


@pytest.mark.parametrize(
    "options",
    [{"meta": {"progressToken": "p"}, "accept": "application/json"}, {}, {"meta": {LOG_LEVEL: "nonsense"}}],
)
def test_a_client_that_wants_to_hear_nothing_gets_plain_json(door, options):
    assert door.modern("tools/call", {"name": "count"}, **options).text == "counted"


def test_a_progress_token_alone_makes_no_stream(door):
    assert door.modern("tools/call", {"name": "plain"}, meta={"progressToken": "p"}).text == "plain"
    assert door.modern("tools/list", meta={"progressToken": "p"}).result["tools"]


def test_a_batch_is_never_streamed(door):
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "count"}}

    assert door.send([call]).json[0]["result"]["content"][0]["text"] == "counted"


def test_a_tool_that_fails_on_the_way_ends_the_stream_with_an_error_result(door):
    _, last = door.modern("tools/call", {"name": "fail"}, meta={"progressToken": 1}).events

    assert last["result"]["isError"] is True
    assert last["result"]["content"][0]["text"] == "It broke half-way."
    assert door.records[0].outcome == "tool_error"


def test_a_tool_that_ends_the_program_on_the_way_ends_the_stream_only(door, caplog):
    _, last = door.modern("tools/call", {"name": "leave"}, meta={"progressToken": 1}).events

    assert last["result"]["isError"] is True
    assert "tool failed" in caplog.text


def test_a_question_that_the_client_can_not_answer_ends_the_stream_with_an_error(door):
    _, last = door.modern("tools/call", {"name": "ask"}, meta={"progressToken": 1}).events

    assert last["error"]["code"] == jsonrpc.MISSING_CAPABILITY
    assert door.records[0].rpc_code == jsonrpc.MISSING_CAPABILITY


def test_a_tool_that_yields_nonsense_fails_plainly(door):
    assert door.call("nonsense").result["isError"] is True


def test_a_client_that_goes_away_ends_the_tool_and_frees_its_place(door):
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"count","_meta":{"progressToken":1}}}'
    _, _, stream = door.open(body)
    next(iter(stream))
    assert door.call("plain").error["code"] == jsonrpc.BUSY
    assert len(door.records) == 1

    stream.close()

    assert CLOSED == ["count"]
    assert door.call("plain").text == "plain"
    assert door.records[1].tool == "count"


def test_a_stream_that_nobody_read_at_all_frees_its_place_too(door):
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"count","_meta":{"progressToken":1}}}'
    _, _, stream = door.open(body)
    stream.close()

    assert door.call("plain").text == "plain"


def test_the_record_of_a_stream_counts_what_happened_in_it(door):
    door.modern("tools/call", {"name": "count"}, meta={"progressToken": "p"})

    assert (door.records[0].upstream_requests, door.records[0].outcome) == (1, "ok")
