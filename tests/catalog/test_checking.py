"""The live check of a key: which call is made, and what is read from its answer."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mcpweb.catalog import checking, registry
from mcpweb.catalog.checking import Checked, CheckRefused
from mcpweb.catalog.outgoing import ConnectFailed, Reply, TimedOut, TooLarge
from mcpweb.catalog.registry import Service
from tests.catalog.upstreams import Upstreams, reply
from tests.plugin_folder import PORT, plugin

KEY = {"key": "12345678", "region": "north"}


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """The example plugin."""
    plugin(tmp_path)
    found = registry.discover([tmp_path], {"weather": PORT}, {})
    return found.services["weather"]


def check(service: Service, answer: Reply | Exception, credential: dict[str, str] = KEY) -> Checked:
    return checking.check(service, credential, Upstreams([answer]))  # type: ignore[arg-type,list-item]


def refusal(service: Service, answer: Reply | Exception) -> CheckRefused:
    with pytest.raises(CheckRefused) as caught:
        check(service, answer)
    return caught.value


def test_account_scopes_and_end_are_read_from_where_the_manifest_says(service):
    answer = reply(
        200,
        {"owner": {"name": "Alice"}},
        x_scopes="read, history , admin,",
        x_expires="2026-12-01 10:00:00 UTC",
    )

    assert check(service, answer) == Checked(
        "Alice", ("read", "history", "admin"), (), datetime(2026, 12, 1, 10, tzinfo=UTC)
    )


def test_the_kind_of_key_chooses_the_call_and_the_answer_has_eight_seconds(service):
    client = Upstreams([reply(200, {}, x_scopes="read")])

    checking.check(service, {"key": "02345678", "region": "x"}, client)  # type: ignore[arg-type]
    checking.check(service, {"key": "12345678", "region": "x"}, client)  # type: ignore[arg-type]

    assert [sent.url.removeprefix("https://api.weather.example") for sent in client.sent] == [
        "/old-account",
        "/account",
    ]
    assert client.sent[0].total_timeout_s == 8.0


@pytest.mark.parametrize(
    ("scopes", "missing"),
    [
        ("read,history", ()),
        ("write,history", ()),  # implies read
        ("read", ("history",)),
        ("write", ("history",)),
        (None, ()),  # the service does not tell
    ],
)
def test_a_broader_scope_implies_a_narrow_one_and_optional_ones_are_only_named(scopes, missing, service):
    headers = {} if scopes is None else {"x_scopes": scopes}

    assert check(service, reply(200, {}, **headers)).missing == missing


@pytest.mark.parametrize("scopes", ["", "history", "READ", "reader"])
def test_a_key_without_a_needed_scope_is_refused_with_its_name(scopes, service):
    refused = refusal(service, reply(200, {}, x_scopes=scopes))

    assert (refused.kind, refused.missing) == ("scope", ("read",))
    assert "lacks rights that are needed: read" in refused.sentence


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(401), "rejected"),
        (reply(404), "rejected"),
        (reply(400), "rejected"),
        (reply(403), "scope"),
        (reply(403, {"message": "Bad key"}), "rejected"),
        (reply(429), "rate_limited"),
        (reply(418, x_limit="0"), "rate_limited"),
        (reply(302), "unreachable"),
        (reply(500), "unreachable"),
        (reply(200, b"<html>"), "unreachable"),
        (reply(200, b""), "unreachable"),
        (TimedOut("x"), "unreachable"),
        (ConnectFailed("x"), "unreachable"),
        (TooLarge("x"), "unreachable"),
    ],
    ids=range(14),
)
def test_refusals_are_told_apart_in_words_of_ours(answer, kind, service):
    refused = refusal(service, answer)

    assert refused.kind == kind
    assert refused.sentence.startswith("Weather ")
    assert KEY["key"] not in refused.sentence


@pytest.mark.parametrize(
    ("body", "account"),
    [
        ({"owner": {"name": "Ali\u202ece\0\n"}}, "Alice"),
        ({"owner": {"name": 7}}, "7"),
        ({"owner": {"name": "x" * 500}}, "x" * 200),
        ({"owner": {"name": f"me {KEY['key']}"}}, "me [redacted]"),
        ({"owner": {"name": None}}, ""),
        ({"owner": []}, ""),
        ({"owner": "Alice"}, ""),
        ([], ""),
        (5, ""),
    ],
    ids=range(9),
)
def test_an_account_of_any_shape_becomes_a_printable_text(body, account, service):
    assert check(service, reply(200, body, x_scopes="read")).account == account


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-12-01 10:00:00 UTC", datetime(2026, 12, 1, 10, tzinfo=UTC)),
        ("2026-12-01 10:00:00 +0100", datetime(2026, 12, 1, 9, tzinfo=UTC)),
        ("2026-12-01 10:00:00 -0800", datetime(2026, 12, 1, 18, tzinfo=UTC)),
        ("2026-12-01T10:00:00Z", datetime(2026, 12, 1, 10, tzinfo=UTC)),
        ("2026-12-01T10:00:00", datetime(2026, 12, 1, 10, tzinfo=UTC)),
        ("2026-12-01", datetime(2026, 12, 1, tzinfo=UTC)),
        ("", None),
        ("soon", None),
        ("2026-99-99", None),
        ("9999-12-31 23:59:59 -2300", None),
        ("2" * 100, None),
    ],
)
def test_the_end_of_a_key_is_read_in_the_forms_that_are_in_use(text, at, service):
    assert check(service, reply(200, {}, x_scopes="read", x_expires=text)).expires_at == at
