from __future__ import annotations

import os
import socket
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from mcpweb.catalog.outgoing import (
    BadReply,
    ConnectFailed,
    Destinations,
    Outgoing,
    OutgoingError,
    Reply,
    TimedOut,
    TooLarge,
)
from tests import bad_upstream
from tests.bad_upstream import BadUpstream

LIMIT = 64 * 1024


class Client:
    """Asks the bad service as the operator's own host."""

    def __init__(self, upstream: BadUpstream, sender: Outgoing) -> None:
        self.upstream, self.sender = upstream, sender
        self.to = Destinations(hosts=(), private_hosts=(upstream.host,))

    def __call__(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Reply:
        return self.sender.request(method, self.upstream.base_url + path, to=self.to, headers=headers, body=body)

    @property
    def connections(self) -> list[int]:
        """For each request that arrived, the number of the connection it came on."""
        return [number for number, _ in self.upstream.messages]


@pytest.fixture
def sender() -> Iterator[Outgoing]:
    sender = Outgoing(connect_timeout_s=1.0, total_timeout_s=5.0, max_bytes=LIMIT)
    yield sender
    sender.close()


@pytest.fixture
def ask(sender: Outgoing) -> Iterator[Client]:
    with bad_upstream.running() as upstream:
        yield Client(upstream, sender)


# What is fine


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/ok", 200, b'{"ok": true}'),
        ("/gzip", 200, b'{"gzipped": true}' * 100),
        ("/chunked", 200, b"hello world"),
        ("/chunked-gzip", 200, b'{"gzipped": true}' * 100),
        ("/interim", 200, b"after"),
        ("/no-content", 204, b""),
        ("/error", 500, b'{"message": "no"}'),
        ("/old", 200, b"until the end"),
        ("/close", 200, b"last one"),
    ],
)
def test_an_answer_is_read_whole_and_decoded(ask: Client, path: str, status: int, body: bytes) -> None:
    reply = ask(path)

    assert (reply.status, reply.body) == (status, body)


def test_an_answers_headers_are_lower_case_and_joined(ask: Client) -> None:
    assert ask("/twice").headers["x-thing"] == "a, b"


def test_the_json_of_an_answer_is_decoded_and_what_is_none_is_a_bad_reply(ask: Client) -> None:
    assert ask("/ok").json() == {"ok": True}
    with pytest.raises(BadReply):
        ask("/chunked").json()


def test_half_a_character_in_a_json_answer_does_not_cost_the_rest() -> None:
    body = rb'{"cut": "x\ud83d", "whole": "\ud83d\ude00", "n": 1}'

    assert Reply(200, {}, body).json() == {"cut": "x\N{REPLACEMENT CHARACTER}", "whole": "\N{GRINNING FACE}", "n": 1}


def test_a_request_carries_its_headers_body_and_nothing_else(ask: Client) -> None:
    sent = ask("/echo?a=b", "POST", b'{"x": 1}', Authorization="Bearer secret").text

    assert sent.split("\r\n") == [
        "POST /echo?a=b HTTP/1.1",
        f"Host: {ask.upstream.host}",
        "Accept-Encoding: gzip",
        "Authorization: Bearer secret",
        "User-Agent: mcpweb",
        "Content-Length: 8",
        "",
        '{"x": 1}',
    ]


def test_proxies_netrc_and_cookies_change_no_request(
    ask: Client, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login alice password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    ask("/cookie")

    sent = ask("/echo").text.lower()

    assert "cookie" not in sent
    assert "authorization" not in sent


# Connections


def test_a_connection_is_used_again(ask: Client) -> None:
    for path in ("/ok", "/gzip", "/chunked", "/no-content", "/error", "/redirect", "/ok"):
        ask(path)

    assert set(ask.connections) == {0}


@pytest.mark.parametrize("path", ["/old", "/close", "/ok-and-more", "/ok-then-gone"])
def test_a_connection_that_ended_or_sent_too_much_is_not_used_again(ask: Client, path: str) -> None:
    ask(path)
    sent = ask("/echo")

    assert sent.headers["x-connection"] == "1"


def test_a_connection_left_by_an_error_is_not_used_again(ask: Client) -> None:
    with pytest.raises(BadReply):
        ask("/two-lengths")

    assert ask("/echo").headers["x-connection"] == "1"


def test_a_get_on_a_kept_connection_that_dies_is_sent_once_more(ask: Client) -> None:
    ask("/ok")
    with pytest.raises(BadReply):
        ask("/silent")  # kept connection: once more on a new one, and no third time

    assert ask.connections == [0, 0, 1]


def test_a_post_is_never_sent_twice(ask: Client) -> None:
    ask("/ok")
    with pytest.raises(BadReply):
        ask("/silent", "POST", b"{}")

    assert ask.connections == [0, 0]


def test_a_post_after_the_kept_connection_ended_goes_on_a_new_one(ask: Client) -> None:
    ask("/ok-then-gone")
    assert ask.upstream.hung_up.wait(5)

    assert ask("/echo", "POST", b"{}").headers["x-connection"] == "1"


def test_a_get_that_was_partly_answered_is_not_sent_again(ask: Client) -> None:
    ask("/ok")
    with pytest.raises(BadReply):
        ask("/cut-head")

    assert ask.connections == [0, 0]


def test_many_threads_each_get_their_own_answer(ask: Client) -> None:
    def run(number: int) -> bool:
        return all(f"/echo?{number}.{turn} " in ask(f"/echo?{number}.{turn}").text for turn in range(20))

    with ThreadPoolExecutor(32) as threads:
        assert all(threads.map(run, range(32)))
    assert len(set(ask.connections)) <= 32


def test_a_forked_process_does_not_share_its_parents_connections(ask: Client) -> None:
    ask("/ok")
    child = os.fork()
    if not child:
        try:
            ask("/ok")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    ask("/ok")

    assert ask.connections == [0, 1, 0]


# Limits


@pytest.mark.parametrize("path", bad_upstream.BROKEN)
def test_a_broken_answer_is_a_bad_reply(ask: Client, path: str) -> None:
    with pytest.raises(BadReply):
        ask(path)


@pytest.mark.parametrize("path", ["/silent", "/reset"])
def test_a_connection_that_ends_without_an_answer_is_a_bad_reply(ask: Client, path: str) -> None:
    with pytest.raises(BadReply):
        ask(path)


@pytest.mark.parametrize("path", bad_upstream.LARGE)
def test_an_answer_that_is_or_becomes_too_large_is_given_up(ask: Client, path: str) -> None:
    with pytest.raises(TooLarge):
        ask(path)


@pytest.mark.parametrize("path", ["/bomb", "/chunked-bomb"])
def test_a_bomb_takes_little_more_memory_than_its_limit(ask: Client, path: str) -> None:
    bad_upstream.LARGE[path]()  # packed before the measuring begins
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            ask(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("path", bad_upstream.DRIPPING)
def test_a_slow_answer_ends_at_the_deadline_wherever_it_is_slow(ask: Client, path: str) -> None:
    started = time.monotonic()
    with pytest.raises(TimedOut):
        ask.sender.request("GET", ask.upstream.base_url + path, to=ask.to, total_timeout_s=0.3)

    assert 0.25 < time.monotonic() - started < 2.0


def test_a_request_that_is_not_taken_ends_at_the_deadline(sender: Outgoing) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # the kernel connects, nobody ever reads
        host = f"127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(TimedOut):
            sender.request(
                "POST",
                f"http://{host}/",
                to=Destinations((), (host,)),
                body=bytes(32 << 20),
                total_timeout_s=0.3,
            )


def test_the_limits_of_one_request_go_before_the_general_ones(ask: Client) -> None:
    with pytest.raises(TooLarge):
        ask.sender.request("GET", ask.upstream.base_url + "/ok", to=ask.to, max_bytes=5)


def test_a_redirect_is_an_answer_and_is_not_followed(ask: Client) -> None:
    reply = ask("/redirect")

    assert (reply.status, reply.headers["location"]) == (302, "https://elsewhere.example.com/")
    assert len(ask.connections) == 1


def test_a_host_where_nobody_listens_can_not_be_connected(sender: Outgoing) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        host = f"127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(ConnectFailed):
        sender.request("GET", f"http://{host}/", to=Destinations((), (host,)))


# What may be sent


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "Bearer a\r\nX-Admin: 1"),
        ("Authorization", "Bearer a\nb"),
        ("Authorization", "Bearer a\rb"),
        ("Authorization", "Bearer a\0b"),
        ("Authorization", "Bearer \u2028"),
        ("Authorization", "Bearer \ud800"),
        ("X-A: 1\r\nX-B", "1"),
        ("X A", "1"),
        ("", "1"),
        ("Host", "elsewhere.example.com"),
        ("content-length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
    ],
)
def test_a_header_that_would_change_the_request_is_refused_unsent(ask: Client, name: str, value: str) -> None:
    with pytest.raises(ValueError, match="can not be sent") as refused:
        ask.sender.request("GET", ask.upstream.base_url + "/ok", to=ask.to, headers={name: value})

    assert not ask.upstream.messages
    assert "Bearer" not in str(refused.value)


@pytest.mark.parametrize("method", ["", "get", "GET /x HTTP/1.1\r\nX:", "GE T"])
def test_a_method_that_would_change_the_request_is_refused(ask: Client, method: str) -> None:
    with pytest.raises(ValueError, match="method"):
        ask("/ok", method)


# What it tells


def test_no_error_tells_the_credential_the_path_or_the_query(ask: Client, sender: Outgoing) -> None:
    paths = [*bad_upstream.BROKEN, *bad_upstream.LARGE, "/silent"]
    urls = [f"{ask.upstream.base_url}{path}?key=hush" for path in paths] + ["https://elsewhere.example.com/x?key=hush"]
    for url in urls:
        with pytest.raises(OutgoingError) as error:
            sender.request("GET", url, to=ask.to, headers={"Authorization": "Bearer hush"})
        assert "hush" not in str(error.value)
        assert "/" not in str(error.value)


def test_a_request_that_hangs_does_not_hold_up_the_others(ask: Client) -> None:
    with ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(ask, "/hang")
        answered = [ask("/ok").status for _ in range(20)]

        assert not hanging.done()
        assert answered == [200] * 20
        ask.upstream.over.set()
        with pytest.raises(BadReply):
            hanging.result()
