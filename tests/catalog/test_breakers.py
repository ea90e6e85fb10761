"""A service that does not answer is left alone, for all or for one key, and is tried again by one request."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from mcpweb import clock
from mcpweb.catalog import breakers
from mcpweb.catalog.api import Api, Upstream
from mcpweb.catalog.breakers import FAILURES, Breakers
from mcpweb.catalog.outgoing import Destinations, Outgoing, OutgoingError, Resting
from mcpweb.catalog.refusals import UpstreamError
from mcpweb.plugin_api import tool
from tests import bad_upstream
from tests.bad_upstream import BadUpstream
from tests.gateway.door import Door

ALICE, BOB, CAROL = 1, 2, 3


class Later:
    """A monotonic clock that a test puts forward."""

    def __init__(self) -> None:
        self.moment = 1000.0

    def __call__(self) -> float:
        return self.moment


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    found = Later()
    monkeypatch.setattr(clock, "monotonic", found)
    return found


@pytest.fixture
def upstream() -> Iterator[BadUpstream]:
    with bad_upstream.running() as found:
        yield found


@pytest.fixture
def sender() -> Iterator[Outgoing]:
    found = Outgoing(connect_timeout_s=1.0, total_timeout_s=5.0)
    yield found
    found.close()


def ask(sender: Outgoing, upstream: BadUpstream, path: str, whose: int) -> str:
    """What comes of one request: the status, or the name of the error."""
    to = Destinations(hosts=(), private_hosts=(upstream.host,))
    try:
        return str(sender.request("GET", upstream.base_url + path, to=to, whose=whose).status)
    except OutgoingError as error:
        return type(error).__name__


def test_a_key_that_gets_no_answer_is_refused_at_once_while_other_keys_go_on(sender, upstream, later):
    said = [ask(sender, upstream, "/silent", ALICE) for _ in range(FAILURES + 3)]
    assert said == ["BadReply"] * FAILURES + ["Resting"] * 3
    assert len(upstream.messages) == FAILURES, "what rests is not asked"

    assert ask(sender, upstream, "/ok", BOB) == "200", "one user's trouble is his own"
    assert ask(sender, upstream, "/ok", ALICE) == "Resting"
    [told] = sender.breakers()
    assert (told["host"], told["of"], told["state"], told["failures"]) == (upstream.host, "one key", "resting", 5)


def test_a_host_that_answers_nobody_rests_for_everybody_until_one_request_gets_through(sender, upstream, later):
    for number in range(FAILURES):
        ask(sender, upstream, "/silent", (ALICE, BOB)[number % 2])
    assert ask(sender, upstream, "/ok", CAROL) == "Resting"
    assert [row["of"] for row in sender.breakers()] == ["all"]

    later.moment += 5.1
    assert ask(sender, upstream, "/silent", CAROL) == "BadReply", "one tries"
    later.moment += 5.1
    assert ask(sender, upstream, "/ok", CAROL) == "Resting", "and the rest is longer"
    later.moment += 5.1
    assert ask(sender, upstream, "/ok", CAROL) == "200"
    assert ask(sender, upstream, "/ok", ALICE) == "200"
    assert sender.breakers() == []


def test_a_host_that_can_not_be_reached_rests_for_everybody_whoever_tried(sender, later):
    with socket.create_server(("127.0.0.1", 0)) as free:
        gone = BadUpstream.__new__(BadUpstream)
        gone.host = f"127.0.0.1:{free.getsockname()[1]}"
    gone.base_url = f"http://{gone.host}"

    said = [ask(sender, gone, "/", ALICE) for _ in range(FAILURES)]

    assert said == ["ConnectFailed"] * FAILURES
    assert ask(sender, gone, "/", BOB) == "Resting"


@pytest.mark.parametrize("path", ["/error", "/redirect", "/no-content"])
def test_an_answer_ends_the_row_whatever_it_says(path, sender, upstream, later):
    for _ in range(3):
        for _ in range(FAILURES - 1):
            assert ask(sender, upstream, "/silent", ALICE) == "BadReply"
        assert ask(sender, upstream, path, ALICE).isdigit()


def test_only_one_of_many_tries_what_rested(later):
    kept = Breakers()
    for _ in range(FAILURES):
        kept.failed("host", ALICE, later(), connected=True)
    later.moment += 5.1
    passed: list[int] = []

    def come() -> None:
        try:
            kept.ask("host", ALICE)
            passed.append(1)
        except Resting:
            return

    crowd = [threading.Thread(target=come) for _ in range(50)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()

    assert len(passed) == 1
    assert kept.report()[0]["state"] == "trying"


def test_what_was_under_way_when_the_others_failed_does_not_make_the_rest_longer(later):
    kept = Breakers()
    began = later()
    later.moment += 25
    for _ in range(50):
        kept.failed("host", ALICE, began, connected=True)
    later.moment += 5.1

    kept.ask("host", ALICE)


def test_failures_far_apart_are_no_row_and_the_rows_are_bounded(later, monkeypatch):
    monkeypatch.setattr(breakers, "_MOST", 20)
    kept = Breakers()
    for _ in range(FAILURES * 2):
        kept.failed("host", ALICE, later(), connected=True)
        kept.ask("host", ALICE)
        later.moment += 301
    for whose in range(1000):
        kept.failed(f"host{whose}", whose, later(), connected=True)
    assert len(kept._rows) == 20


def test_a_caller_is_told_since_when_the_service_is_away_and_its_call_is_not_ours_to_mend(sender, upstream, later):
    @tool("Read", read_only=True)
    def read(api: Api) -> object:
        """Read."""
        there = Upstream("GitHub", upstream.base_url, Destinations(hosts=(), private_hosts=(upstream.host,)))
        return Api(there, {"Authorization": "Bearer x"}, sender).get("/silent")

    door = Door.to(read)
    texts = [door.call("read").text for _ in range(FAILURES + 1)]

    assert "can not be read" in texts[0]
    assert (
        texts[-1] == f"GitHub does not answer since {clock.utcnow():%H:%M} UTC, so it was not asked. Try again in 5 s."
    )
    assert {record.outcome for record in door.records} == {"unavailable"}
    assert {record.refusal for record in door.records} == {"unavailable"}


def test_the_key_itself_is_in_no_report_and_no_error(sender, upstream, later):
    there = Upstream("GitHub", upstream.base_url, Destinations(hosts=(), private_hosts=(upstream.host,)))
    for _ in range(FAILURES):
        with pytest.raises(UpstreamError):
            Api(there, {"Authorization": "Bearer ghp_canary"}, sender).get("/silent")
    with pytest.raises(Resting) as resting:
        sender.request(
            "GET",
            upstream.base_url + "/ok",
            to=there.destinations,
            whose=hash(("Bearer ghp_canary",)),
        )

    assert "canary" not in f"{sender.breakers()} {resting.value!r}"
    assert ask(sender, upstream, "/ok", BOB) == "200"
