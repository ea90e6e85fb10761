import sys
import threading
import time
from datetime import timedelta
from typing import Annotated, Any

import pytest

from mcpweb import clock, jsonrpc
from mcpweb.catalog.outgoing import Reply
from mcpweb.plugin_api import Api, Result, Segments, ToolError, tool
from tests.gateway.door import Door


@tool("Read a repository", read_only=True)
def read(
    api: Api,
    owner: Annotated[str, "Account."],
    page: Annotated[int, "Page.", {"minimum": 1}] = 1,
    labels: Annotated[list[str] | None, "Labels."] = None,
) -> object:
    """Read something of an owner."""
    return api.get("/repos/{owner}", owner=owner, query={"page": page, "labels": labels})


@tool("Echo", read_only=True)
def echo(api: Api, value: Annotated[dict | None, "Anything."] = None) -> object:
    """Give the arguments back."""
    return value


@tool("Rogue", read_only=True)
def rogue(api: Api, how: Annotated[str, "What it does."]) -> object:
    """Misbehave."""
    return ROGUE[how]()


def _raise(error: BaseException) -> Any:
    raise error


def _recurse() -> Any:
    return _recurse()


def _circle() -> Any:
    circle: list[Any] = []
    circle.append(circle)
    return circle


ROGUE: dict[str, Any] = {
    "raises": lambda: _raise(ZeroDivisionError("secret detail")),
    "exits": lambda: sys.exit(1),
    "interrupts": lambda: _raise(KeyboardInterrupt()),
    "stops": lambda: _raise(StopIteration(5)),
    "recurses": _recurse,
    "returns a set": lambda: {1, 2},
    "returns a circle": _circle,
    "returns bytes": lambda: b"bytes",
    "returns a function": lambda: _recurse,
    "returns NaN keys": lambda: {(1, 2): 3},
    "returns odd blocks": lambda: Result(content=5),  # type: ignore[arg-type]
    "returns blocks without a form": lambda: Result([{"type": "text", "text": object()}]),
}


@pytest.fixture
def door():
    return Door.to(read, echo, rogue)


def test_a_call_reaches_the_service_with_the_credential_and_answers_its_json_as_text(door):
    answer = door.call("read", {"owner": "alice", "page": 2, "labels": ["a", "b"]})

    assert answer.text == '{"login":"octocat"}'
    assert "isError" not in answer.result
    [(method, url, headers)] = door.upstream.sent
    assert (method, url) == ("GET", "https://api.example.com/repos/alice?page=2&labels=a%2Cb")
    assert headers["Authorization"] == "Bearer upstream-key"


def test_our_token_is_never_sent_upstream(door):
    door.call("read", {"owner": "alice"})

    assert "mcpw_alice" not in str(door.upstream.sent)


# Arguments


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({}, '"owner" is a required property'),
        ({"owner": 5}, "owner: the value is not of type"),
        ({"owner": "a", "page": 0}, "page: "),
        ({"owner": "a", "page": True}, "page: "),
        ({"owner": "a", "page": 1e300}, "page: "),
        ({"owner": "a", "page": 2.5}, "page: "),
        ({"owner": "a", "colour": "red"}, "colour"),
        ({"owner": None}, "owner: "),
        ({"owner": "x" * 100_001}, "owner: "),
    ],
)
def test_wrong_arguments_are_explained_to_the_model_and_nothing_leaves_the_house(door, arguments, said):
    answer = door.call("read", arguments)

    assert answer.result["isError"] is True
    assert said in answer.text
    assert len(answer.text) < 1000
    assert door.upstream.sent == []
    assert door.records[0].outcome == "tool_error"


def test_a_megabyte_of_wrong_arguments_is_refused_at_once(door):
    started = time.process_time()
    answer = door.call("read", {"owner": "alice", "labels": [1] * 300_000})

    assert answer.result["isError"] is True
    assert "labels" in answer.text
    assert time.process_time() - started < 2  # all errors at once take ten seconds


def test_an_argument_that_was_refused_is_not_quoted_where_it_could_be_logged(door):
    door.call("read", {"owner": {"password": "hunter2"}})

    assert "hunter2" not in str(door.records[0])


def test_null_stands_for_an_absent_argument_where_absence_is_allowed(door):
    assert door.call("read", {"owner": "alice", "page": None, "labels": None}).text == '{"login":"octocat"}'
    assert door.upstream.sent[0][1].endswith("?page=1")


def test_a_whole_number_may_be_written_with_a_point(door):
    door.call("read", {"owner": "alice", "page": 2.0})

    assert door.upstream.sent[0][1].endswith("?page=2")


def test_arguments_may_be_left_out_altogether(door):
    assert door.ask("tools/call", {"name": "echo"}).text == "null"
    assert door.ask("tools/call", {"name": "echo", "arguments": None}).text == "null"


@pytest.mark.parametrize(
    "params",
    [{}, {"name": 5}, {"name": "nonsense"}, {"name": "read", "arguments": []}, {"name": "read", "arguments": "x"}],
)
def test_malformed_parameters_and_unknown_tools_are_errors_of_the_protocol(door, params):
    answer = door.ask("tools/call", params)

    assert (answer.status, answer.error["code"]) == (200, jsonrpc.INVALID_PARAMS)


def test_arguments_nested_beyond_measure_are_refused(door):
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"value":%s}}}'
    answer = door.send(body % (b'{"a":' * 900 + b"1" + b"}" * 900))

    assert answer.result["isError"] is True


def test_an_argument_can_not_leave_its_place_in_the_path(door):
    for owner in ("..", "a/b", ".", "", "a\\b"):
        assert door.call("read", {"owner": owner}).result["isError"] is True
    assert door.upstream.sent == []
    assert Segments("a/b") == "a/b"


# What the service says


@pytest.mark.parametrize(
    "reply, said, outcome",
    [
        (Reply(401, {}, b"{}"), "refused the key", "tool_error"),
        (Reply(404, {}, b"{}"), "no such thing", "tool_error"),
        (Reply(429, {"retry-after": "60"}, b""), "allows the next request at", "tool_error"),
        (Reply(500, {}, b"<html>"), "problem of its own", "unavailable"),
        (Reply(302, {"location": "https://evil.example.com"}, b""), "problem of its own", "unavailable"),
        (Reply(200, {}, b'{"login": "octo'), "can not be read", "unavailable"),
    ],
)
def test_a_refusal_of_the_service_is_a_sentence_for_the_model(door, reply, said, outcome):
    door.upstream.reply = reply
    answer = door.call("read", {"owner": "alice"})

    assert answer.result["isError"] is True
    assert said in answer.text
    assert door.records[0].outcome == outcome, "the service's outage does not look like ours or the caller's"


# Plugins that misbehave


@pytest.mark.parametrize("how", ROGUE)
def test_whatever_a_plugin_does_is_an_error_result_without_detail(door, how, caplog):
    answer = door.call("rogue", {"how": how})

    assert answer.result["isError"] is True
    assert "secret" not in answer.text
    assert door.records[0].request_id in answer.text
    assert "tool failed" in caplog.text
    assert door.records[0].outcome == "error"
    assert door.call("read", {"owner": "alice"}).text == '{"login":"octocat"}'


def test_more_slots_are_not_used_up_by_calls_that_fail(door):
    for _ in range(10):
        door.call("rogue", {"how": "exits"})

    assert door.call("echo").status == 200


def test_a_result_of_fifty_megabytes_is_refused_with_a_hint():
    @tool("Flood", read_only=True)
    def flood(api: Api) -> str:
        """Too much."""
        return "x" * 50_000_000

    @tool("A little flood", read_only=True)
    def text(api: Api) -> list[str]:
        """Too much for a model."""
        return ["x" * 1_000_000]

    @tool("Flood of pictures", read_only=True)
    def pictures(api: Api) -> Result:
        """Too much, too."""
        return Result([{"type": "image", "mimeType": "image/png", "data": "x" * 6_000_000}])

    door = Door.to(flood, text, pictures)
    for name in ("flood", "text", "pictures"):
        answer = door.call(name)
        assert answer.result["isError"] is True
        assert "Ask for less" in answer.text


def test_a_text_with_half_a_character_is_sent_without_it():
    @tool("Odd text", read_only=True)
    def odd(api: Api) -> str:
        """A lone surrogate."""
        return "a\ud800b"

    assert Door.to(odd).call("odd").text == "a?b"


def test_an_error_of_the_tools_own_is_passed_on_word_by_word():
    @tool("Refuse", read_only=True)
    def refuse(api: Api) -> str:
        """Refuse."""
        raise ToolError("Give a branch, not a tag.")

    answer = Door.to(refuse).call("refuse")

    assert (answer.text, answer.result["isError"]) == ("Give a branch, not a tag.", True)


def test_blocks_that_an_old_revision_does_not_know_become_text():
    @tool("Link", read_only=True)
    def link(api: Api) -> Result:
        """A link, and structure."""
        return Result([{"type": "resource_link", "uri": "test://x", "name": "X"}], structured=[1])

    door = Door.to(link)

    assert door.call("link", version=None).result == {"content": [{"type": "text", "text": "X test://x"}]}
    assert door.call("link", version="2025-06-18").result["content"][0]["type"] == "resource_link"
    assert "structuredContent" not in door.call("link", version="2025-11-25").result
    assert door.modern("tools/call", {"name": "link"}).result["structuredContent"] == [1]


# Status, end date, selection


@pytest.mark.parametrize(
    "change, said",
    [({"status": "inactive"}, "switched off"), ({"expires_at": clock.utcnow() - timedelta(seconds=1)}, "ended on")],
)
def test_a_closed_instance_tells_the_model_who_can_mend_it_and_where(door, change, said):
    door.accesses.change(door.id, **change)

    for answer in (door.call("read", {"owner": "alice"}), door.modern("tools/call", {"name": "read"})):
        assert answer.status == 200
        assert answer.result["isError"] is True
        assert said in answer.text
        assert f"https://mcpweb.example.com/instances/{door.id}" in answer.text
    assert door.upstream.sent == []
    assert door.records[0].outcome == "refused"


def test_a_closed_instance_still_says_what_it_is(door):
    door.accesses.change(door.id, status="inactive")

    assert door.ask("initialize", {"protocolVersion": "2025-06-18"}).result["serverInfo"]
    assert door.ask("tools/list").result["tools"]
    assert door.modern("server/discover").result["capabilities"]


def test_an_instance_ends_at_its_second(door, monkeypatch):
    end = clock.utcnow() + timedelta(days=1)
    door.accesses.change(door.id, expires_at=end)

    monkeypatch.setattr(clock, "utcnow", lambda: end - timedelta(microseconds=1))
    assert "isError" not in door.call("read", {"owner": "alice"}).result
    monkeypatch.setattr(clock, "utcnow", lambda: end)
    assert door.call("read", {"owner": "alice"}).result["isError"] is True


def test_switching_off_while_the_request_is_read_stops_the_call(door):
    door.accesses.before_get = [lambda: None, lambda: door.accesses.change(door.id, status="inactive")]

    answer = door.call("read", {"owner": "alice"})

    assert "switched off" in answer.text
    assert door.upstream.sent == []


def test_a_token_revoked_while_the_request_is_read_opens_nothing(door):
    door.accesses.before_get = [lambda: None, door.accesses.entries.clear]

    assert door.call("read", {"owner": "alice"}).status == 401
    assert door.upstream.sent == []


def test_a_tool_that_the_owner_took_out_is_neither_listed_nor_run(door):
    assert len(door.ask("tools/list").result["tools"]) == 3
    door.accesses.change(door.id, tool_names=frozenset({"echo"}))

    assert [listed["name"] for listed in door.ask("tools/list").result["tools"]] == ["echo"]
    assert [listed["name"] for listed in door.modern("tools/list").result["tools"]] == ["echo"]
    assert door.call("read", {"owner": "alice"}).error["code"] == jsonrpc.INVALID_PARAMS
    assert door.call("echo").status == 200


def test_a_tool_taken_out_while_the_request_is_read_is_not_run(door):
    door.accesses.before_get = [lambda: None, lambda: door.accesses.change(door.id, tool_names=frozenset())]

    assert door.call("read", {"owner": "alice"}).error["code"] == jsonrpc.INVALID_PARAMS
    assert door.upstream.sent == []


# Many at once


def test_calls_over_the_limit_are_sent_away_at_once_and_lists_are_still_answered():
    entered, leave = threading.Semaphore(0), threading.Event()

    @tool("Wait", read_only=True)
    def wait(api: Api) -> str:
        """Wait."""
        entered.release()
        assert leave.wait(20)
        return "through"

    door = Door.to(wait, max_concurrent=2)
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(door.call("wait"))) for _ in range(2)]
    for thread in threads:
        thread.start()
        assert entered.acquire(timeout=20)

    refused = door.call("wait")
    listed = door.ask("tools/list")
    leave.set()
    for thread in threads:
        thread.join()

    assert (refused.status, refused.headers["Retry-After"], refused.error["code"]) == (503, "2", jsonrpc.BUSY)
    assert listed.status == 200
    assert [answer.text for answer in answers] == ["through", "through"]
    assert door.call("wait").text == "through"


def test_the_same_id_in_two_calls_at_once_does_not_mix_up_their_answers():
    both = threading.Barrier(2)

    @tool("Meet", read_only=True)
    def meet(api: Api, who: Annotated[str, "Who."]) -> str:
        """Meet the other."""
        both.wait(20)
        return who

    door = Door.to(meet)
    answers: dict[str, str] = {}

    def go(who: str) -> None:
        answers[who] = door.call("meet", {"who": who}, id=7).text

    threads = [threading.Thread(target=go, args=(who,)) for who in ("alice", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == {"alice": "alice", "bob": "bob"}


@pytest.mark.parametrize("keeps", [True, False])
def test_the_record_holds_the_arguments_only_where_the_owner_wants_it(keeps, door):
    door.accesses.change(door.id, keeps_arguments=keeps)
    door.call("read", {"owner": "octocat"})

    assert door.records[0].arguments == ({"owner": "octocat"} if keeps else None)
