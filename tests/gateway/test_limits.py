import json
import threading
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any

import pytest

from mcpweb import clock, config, jsonrpc
from mcpweb.application import call_places
from mcpweb.gateway.limits import Limits
from mcpweb.plugin_api import Api, Progress, resource, tool
from tests.gateway.door import TOKEN, Door

NOW = datetime(2027, 3, 11, 23, 58, 20, tzinfo=UTC)


@tool("Echo", read_only=True)
def echo(api: Api, value: Annotated[int, "Anything."] = 0) -> int:
    """Give it back."""
    return value


@tool("Fail", read_only=True)
def fail(api: Api) -> str:
    """Fail."""
    raise ZeroDivisionError


@tool("Walk", read_only=True)
def walk(api: Api) -> Any:
    """Report on the way."""
    yield Progress(1)
    yield Progress(2)
    return "through"


@resource("test://note", name="Note", mime_type="text/plain")
def note(api: Api) -> str:
    """A text."""
    return "a note"


class Hanging:
    """A tool that hangs until it is let go, and the calls that hang in it."""

    def __init__(self) -> None:
        self.entered, self.leave = threading.Semaphore(0), threading.Event()
        self.threads: list[threading.Thread] = []

        @tool("Hang", read_only=True)
        def hang(api: Api) -> str:
            """Wait."""
            self.entered.release()
            assert self.leave.wait(20)
            return "through"

        self.tool = hang

    def call(self, door: Door, times: int) -> None:
        """Call so often, and wait until all calls are in the tool."""
        for _ in range(times):
            self.threads.append(threading.Thread(target=door.call, args=("hang",)))
            self.threads[-1].start()
        for _ in range(times):
            assert self.entered.acquire(timeout=20)

    def end(self) -> None:
        """Let all calls go, and wait for them."""
        self.leave.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture(autouse=True)
def moment(monkeypatch):
    """The time, which a test may move."""
    now = [NOW]
    monkeypatch.setattr(clock, "utcnow", lambda: now[0])
    return now


def to(*items: Any, **limits: int) -> Door:
    return Door.to(*(items or (echo, fail, walk, note)), limits=Limits(**limits))


def another(door: Door, owner_id: int = 1) -> Door:
    """A client of another instance behind the same door."""
    id = door.accesses.add(door.accesses.entries[door.id][1].service)
    door.accesses.change(id, owner_id=owner_id)
    return Door(door.accesses, door.upstream, door.records, id, door.app)


# A minute and a day


def test_a_call_beyond_the_minute_is_told_when_the_next_one_is_answered(moment):
    door = to(per_minute=3)
    assert [door.call("echo").status for _ in range(3)] == [200] * 3

    answer = door.call("echo")

    assert (answer.status, answer.headers["Retry-After"]) == (429, "40")
    assert answer.error["code"] == jsonrpc.LIMITED
    assert answer.error["message"] == (
        "The connection “Work” may make 3 calls a minute, and has made them. "
        "The next one is answered from 23:59:00 UTC on 11 March. "
        f"Its owner sees the calls here: https://mcpweb.example.com/instances/{door.id}"
    )
    assert (door.records[-1].outcome, door.records[-1].http_status) == ("limited", 429)
    assert door.records[-1].error == answer.error["message"]
    moment[0] += timedelta(seconds=40)
    assert door.call("echo").status == 200


def test_a_call_beyond_the_day_is_answered_from_midnight_utc(moment):
    door = to(per_day=1, per_minute=10)
    door.call("echo")

    answer = door.call("echo")

    assert (answer.status, answer.headers["Retry-After"]) == (429, "100")
    assert "1 calls a day" in answer.error["message"]
    assert "from 00:00:00 UTC on 12 March" in answer.error["message"]
    moment[0] += timedelta(seconds=99)
    assert door.call("echo").status == 429
    moment[0] += timedelta(seconds=1)
    assert door.call("echo").status == 200


def test_all_methods_that_run_a_plugin_are_counted_and_the_others_are_free():
    door = to(per_minute=3)
    for _ in range(5):
        assert door.ask("ping").status == 200
        assert door.ask("tools/list").status == 200
        assert door.modern("server/discover").status == 200
    assert door.call("nonsense").error["code"] == jsonrpc.INVALID_PARAMS
    assert door.call("echo", {"value": "wrong"}).result["isError"]
    assert door.ask("resources/read", {"uri": "test://note"}).result

    assert door.ask("resources/read", {"uri": "test://note"}).error["code"] == jsonrpc.LIMITED
    assert door.modern("tools/call", {"name": "echo"}).status == 429
    assert door.ask("tools/list").status == 200


def test_one_instance_does_not_use_up_what_another_may():
    door = to(per_minute=1)
    door.call("echo")

    assert door.call("echo").status == 429
    assert another(door).call("echo").status == 200


def test_in_a_batch_each_call_beyond_the_limit_has_an_error_of_its_own():
    door = to(per_minute=2)
    calls = [{"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": {"name": "echo"}} for n in range(4)]

    answer = door.send([*calls, {"jsonrpc": "2.0", "id": 4, "method": "ping"}])

    assert answer.status == 200
    assert ["error" in part for part in answer.json] == [False, False, True, True, False]
    assert {part["error"]["code"] for part in answer.json if "error" in part} == {jsonrpc.LIMITED}
    assert [record.outcome for record in door.records] == ["ok", "ok", "limited", "limited", "ok"]


def test_with_nothing_set_nothing_is_limited():
    door = Door.to(echo)

    assert {door.call("echo").status for _ in range(300)} == {200}
    assert "isError" not in door.call("echo").result


def test_a_call_of_a_closed_instance_is_told_so_and_not_counted():
    door = to(per_minute=1)
    door.accesses.change(door.id, status="inactive")
    for _ in range(3):
        assert "switched off" in door.call("echo").text
    door.accesses.change(door.id, status="active")

    assert door.call("echo").status == 200


# Circles


def test_the_same_call_in_a_row_is_answered_with_advice_once_it_comes_too_often(moment):
    door = to(identical=3)
    assert [door.call("echo", {"value": 5}).text for _ in range(3)] == ["5"] * 3

    answer = door.call("echo", {"value": 5})

    assert (answer.status, answer.result["isError"]) == (200, True)
    assert answer.text.startswith("This is call number 4 of echo in a row with the same arguments within a minute;")
    assert "wait until 23:59:00 UTC" in answer.text
    assert (door.records[-1].outcome, door.records[-1].error) == ("limited", answer.text)
    assert "call number 5 of echo" in door.call("echo", {"value": 5}).text
    moment[0] += timedelta(seconds=40)
    assert door.call("echo", {"value": 5}).text == "5"


def test_any_other_call_ends_the_row():
    door = to(identical=2)
    for arguments in ({"value": 1}, {"value": 2}) * 5:
        assert "isError" not in door.call("echo", arguments).result
    door.call("echo", {"value": 2})
    door.call("walk")

    assert door.call("echo", {"value": 2}).text == "2"


def test_another_order_of_the_arguments_and_another_meta_are_the_same_call():
    @tool("Add", read_only=True)
    def add(api: Api, a: Annotated[int, "A."], b: Annotated[int, "B."]) -> int:
        """Add."""
        return a + b

    door = to(add, identical=2)
    door.modern("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}}, meta={"progressToken": 1})
    door.modern("tools/call", {"name": "add", "arguments": {"b": 2, "a": 1}}, meta={"progressToken": 2})

    assert "call number 3 of add" in door.call("add", {"a": 1, "b": 2}).text


def test_a_wrong_call_over_and_over_is_a_circle_too():
    door = to(identical=2)
    for _ in range(2):
        assert "do not fit" in door.call("echo", {"value": "x"}).text

    assert "call number 3 of echo" in door.call("echo", {"value": "x"}).text


def test_a_call_refused_as_a_circle_uses_up_nothing():
    door = to(identical=1, per_minute=2)
    for _ in range(5):
        door.call("echo")

    assert door.call("echo", {"value": 1}).status == 200


def test_arguments_nested_beyond_measure_are_counted_like_any_other():
    door = to(identical=1)
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"value":%s}}}'
    body = body % (b'{"a":' * 900 + b"1" + b"}" * 900)

    assert door.send(body).result["isError"] is True
    assert "call number 2" in door.send(body).text


def test_the_rows_of_one_instance_are_not_those_of_another():
    door = to(identical=1)
    other = another(door)

    assert "isError" not in door.call("echo").result
    assert "isError" not in other.call("echo").result


# At once


def test_one_user_with_many_hanging_calls_keeps_no_other_out():
    hanging = Hanging()
    door = Door.to(hanging.tool, echo, max_concurrent=4, max_concurrent_per_user=2)
    second, bob = another(door), another(door, owner_id=2)
    hanging.call(door, 2)

    refused = [door.call("echo"), second.call("echo"), door.ask("tools/call", {"name": "hang"})]
    listed, served = door.ask("tools/list"), [bob.call("echo") for _ in range(5)]
    hanging.end()

    for answer in refused:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
        assert answer.error["code"] == jsonrpc.LIMITED
        assert "2 calls running at once" in answer.error["message"]
    assert listed.status == 200
    assert [answer.status for answer in served] == [200] * 5
    assert [record.outcome for record in door.records if record.http_status == 429] == ["limited"] * 3
    assert [door.call("echo").status, second.call("echo").status] == [200, 200]


def test_a_place_is_given_back_however_a_call_ends():
    door = Door.to(echo, fail, walk, note, max_concurrent=2, max_concurrent_per_user=1)

    def revoke() -> None:
        door.accesses.entries[door.id] = ("another", door.accesses.entries[door.id][1])

    for _ in range(3):
        door.call("fail")
        door.call("nonsense")
        door.call("echo", {"value": "wrong"})
        door.ask("resources/read", {"uri": "test://note"})
        door.ask("resources/read", {"uri": "test://nothing"})
        door.accesses.before_get = [lambda: None, revoke]
        assert door.call("echo").status == 401
        door.accesses.entries[door.id] = (TOKEN, door.accesses.entries[door.id][1])

    assert door.call("echo").status == 200


def test_a_stream_keeps_its_place_until_it_is_closed_even_unread():
    door = Door.to(echo, walk, max_concurrent=3, max_concurrent_per_user=1)
    body = json.dumps(
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "walk", "_meta": {"progressToken": 1}},
        }
    ).encode()
    for events_read in (0, 1, 3):
        status, _, content = door.open(body, mcp_protocol_version="2025-11-25")
        assert status == HTTPStatus.OK
        reading = iter(content)
        for _ in range(events_read):
            next(reading)
        assert door.call("echo").status == 429
        content.close()
        assert door.call("echo").status == 200


def test_a_user_may_have_all_places_where_no_limit_is_set():
    hanging = Hanging()
    door = Door.to(hanging.tool, max_concurrent=2)
    hanging.call(door, 2)

    refused = door.call("hang")
    hanging.end()

    assert (refused.status, refused.error["code"]) == (503, jsonrpc.BUSY)


@pytest.mark.parametrize(
    "threads, at_once, expected",
    [(256, 32, (240, 32)), (40, 32, (24, 12)), (256, 10_000, (240, 120)), (17, 5, (1, 1)), (256, 0, (240, 0))],
)
def test_no_setting_lets_one_user_take_all_places_of_a_process(threads, at_once, expected):
    settings = config.load({"MCPWEB_WEB_THREADS": str(threads), "MCPWEB_CALLS_AT_ONCE": str(at_once)})

    assert call_places(settings) == expected
