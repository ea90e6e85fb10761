"""One call's way to the service: safe addresses, our headers, errors that a model can act on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mcpweb import clock
from mcpweb.catalog.api import Api, Segments, Upstream, fill
from mcpweb.catalog.outgoing import (
    BadReply,
    ConnectFailed,
    DestinationRefused,
    Destinations,
    OutgoingError,
    TimedOut,
    TooLarge,
)
from mcpweb.catalog.refusals import Refusal, UpstreamError
from tests.catalog.upstreams import Upstreams, reply

UPSTREAM = Upstream(
    "Weather",
    "https://api.weather.example/v1",
    Destinations(hosts=("api.weather.example",)),
    (Refusal("key_refused", 403, "bad key"),),
    "x-reset",
)
KEY = "0123456789abcdef"


@pytest.fixture
def client() -> Upstreams:
    """Answers everything with an empty object."""
    return Upstreams([reply(200, {})])


@pytest.fixture
def api(client: Upstreams) -> Api:
    """As made for one call."""
    return Api(UPSTREAM, {"Authorization": f"Bearer {KEY}"}, client, (KEY.encode(),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("template", "path", "filled"),
    [
        ("/user", {}, "/user"),
        ("/repos/{owner}/{repo}", {"owner": "a b", "repo": "c"}, "/repos/a%20b/c"),
        ("/x/{n}", {"n": 7}, "/x/7"),
        ("/x/{q}", {"q": "a?b=c#d&e%2f"}, "/x/a%3Fb%3Dc%23d%26e%252f"),
        ("/x/{q}", {"q": "ü🌍"}, "/x/%C3%BC%F0%9F%8C%8D"),
        ("/x/{q}", {"q": "\ud800"}, "/x/%3F"),
        ("/x/{q}", {"q": "a\r\nHost: evil"}, "/x/a%0D%0AHost%3A%20evil"),
        ("/x/{q}", {"q": "..."}, "/x/..."),
        ("/x/{q}", {"q": "..a"}, "/x/..a"),
        ("/x/{q}/y", {"q": Segments("src/main.py")}, "/x/src/main.py/y"),
        ("/x/{q}", {"q": Segments("/a//b/".replace("//", "/"))}, "/x/a/b"),
        ("/x/{q}", {"q": Segments("a b/c?d")}, "/x/a%20b/c%3Fd"),
    ],
)
def test_each_argument_fills_its_own_place_only(template, path, filled):
    assert fill(template, path) == filled


@pytest.mark.parametrize(
    "value",
    ["", ".", "..", "a/b", "/", "../../user", "a\\b", "..\\", "a\0b", "\0"]
    + [Segments(text) for text in ("", "/", "..", "a/../b", "a/./b", "a//b", "../a", "a/..", "a\\..\\b", "a/\0")],
    ids=repr,
)
def test_an_argument_that_would_leave_its_place_is_refused(value):
    with pytest.raises(UpstreamError, match="argument place can not be used in a path") as caught:
        fill("/forecast/{place}/days", {"place": value})

    assert caught.value.kind == "invalid"


def test_a_template_without_its_argument_is_a_bug_of_the_plugin():
    with pytest.raises(KeyError):
        fill("/x/{place}", {})


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (None, ""),
        ({}, ""),
        ({"a": None, "b": []}, ""),
        ({"a": 1, "b": True, "c": False}, "?a=1&b=true&c=false"),
        ({"labels": ["bug", "help wanted"]}, "?labels=bug%2Chelp+wanted"),
        ({"q": "a&b=c#d"}, "?q=a%26b%3Dc%23d"),
        ({"q": "ü\ud800"}, "?q=%C3%BC%3F"),
        ({"q": ""}, "?q="),
        ({"q": 0}, "?q=0"),
    ],
)
def test_a_query_is_written_as_providers_expect_it(query, text, api, client):
    api.get("/x", query=query)

    assert client.sent[0].url == f"https://api.weather.example/v1/x{text}"


def test_a_request_carries_the_credential_and_goes_where_the_manifest_allows(api, client):
    api.get("/user")

    sent = client.sent[0]
    assert (sent.method, sent.headers, sent.body) == ("GET", {"Authorization": f"Bearer {KEY}"}, None)
    assert sent.to == UPSTREAM.destinations


@pytest.mark.parametrize("verb", ["post", "put", "patch", "delete"])
def test_a_body_is_sent_as_json_and_an_empty_answer_is_none(verb, api, client):
    client.replies = [reply(204)]
    method: Callable[..., Any] = getattr(api, verb)

    assert method("/x", json={"text": "ü"}) is None

    assert client.sent[0].method == verb.upper()
    assert client.sent[0].body == '{"text":"ü"}'.encode()
    assert client.sent[0].headers["Content-Type"] == "application/json"


def test_an_accept_header_can_be_chosen_and_leaves_the_others_alone(api, client):
    api.request("GET", "/x", accept="text/plain")
    api.get("/x")

    assert client.sent[0].headers["Accept"] == "text/plain"
    assert "Accept" not in client.sent[1].headers


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (TooLarge("x"), "invalid", "Ask for less"),
        (TimedOut("x"), "unavailable", "did not answer in time"),
        (BadReply("x"), "unavailable", "can not be read"),
        (ConnectFailed("x"), "unavailable", "can not be reached"),
        (DestinationRefused("x"), "unavailable", "can not be reached"),
        (OutgoingError("x"), "unavailable", "can not be reached"),
    ],
)
def test_a_failure_on_the_way_becomes_a_sentence(error, kind, words, api, client):
    client.replies = [error]

    with pytest.raises(UpstreamError, match=words) as caught:
        api.get("/x")

    assert (caught.value.kind, caught.value.status) == (kind, None)
    assert "Weather" in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a":', b"\xff\xfe", b"NaN", b"[" * 5000])
def test_an_answer_that_is_no_json_is_the_services_fault(body, api, client):
    client.replies = [reply(200, body)]

    with pytest.raises(UpstreamError, match="can not be read") as caught:
        api.get("/x")

    assert caught.value.kind == "unavailable"


@pytest.mark.parametrize("status", [301, 302, 304, 307, 308])
def test_a_redirect_is_not_followed(status, api, client):
    client.replies = [reply(status, {"moved": True}, location="https://evil.example/")]

    with pytest.raises(UpstreamError):
        api.get("/x")
    assert api.request("GET", "/x", redirects=True).headers["location"] == "https://evil.example/"

    assert [sent.url for sent in client.sent] == ["https://api.weather.example/v1/x"] * 2


def test_refusals_are_read_by_the_manifests_rows(api, client):
    client.replies = [reply(403, {"message": "Bad key, sorry"})]

    with pytest.raises(UpstreamError) as caught:
        api.get("/x")

    assert (caught.value.kind, caught.value.status) == ("key_refused", 403)


def test_a_download_goes_without_the_credential(api, client):
    client.replies = [reply(200, b"log")]

    assert api.download("https://api.weather.example/logs?sig=1", max_bytes=5).body == b"log"

    assert dict(client.sent[0].headers) == {}
    assert client.sent[0].max_bytes == 5
    client.replies = [reply(404)]
    with pytest.raises(UpstreamError):
        api.download("https://api.weather.example/logs?sig=2")


def test_the_requests_of_one_call_share_its_deadline(api, client, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    answer = client.request

    def slow(*arguments: Any, **options: Any) -> Any:
        now[0] += 10
        return answer(*arguments, **options)

    monkeypatch.setattr(client, "request", slow)
    for _ in range(3):
        api.get("/x")

    assert [sent.total_timeout_s for sent in client.sent] == [25.0, 15.0, 5.0]
    assert (api.requests, api.upstream_ms) == (3, 30_000)
    api.get("/x")
    assert client.sent[-1].total_timeout_s == 0.1


@pytest.mark.parametrize("status", [200, 404, 422])
def test_a_service_that_repeats_the_credential_does_not_hand_it_on(status, api, client):
    client.replies = [reply(status, {"message": f"hello Bearer {KEY}", KEY: [KEY]})]

    try:
        text = str(api.get("/x"))
    except UpstreamError as error:
        text = str(error)

    assert KEY not in text


def test_nothing_of_a_call_shows_the_credential(api):
    assert KEY not in repr(api)
