"""Reading bad answers: what they mean, when to come back, and what the provider says itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mcpweb import clock
from mcpweb.catalog import refusals
from mcpweb.catalog.refusals import KINDS, Refusal
from tests.catalog.upstreams import reply

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "utcnow", lambda: NOW)


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        (301, {}, "unavailable"),
        (304, {}, "unavailable"),
        (400, {}, "invalid"),
        (401, {}, "key_refused"),
        (402, {}, "invalid"),
        (403, {}, "scope_missing"),
        (403, {"retry_after": "60"}, "rate_limited"),
        (404, {}, "not_found"),
        (405, {}, "invalid"),
        (409, {}, "invalid"),
        (410, {}, "not_found"),
        (422, {}, "invalid"),
        (429, {}, "rate_limited"),
        (451, {}, "invalid"),
        (500, {}, "unavailable"),
        (503, {}, "unavailable"),
        (599, {}, "unavailable"),
    ],
)
def test_a_status_alone_has_its_usual_meaning(status, headers, kind):
    error = refusals.read(reply(status, **headers), "Weather", ())

    assert (error.kind, error.status) == (kind, status)
    assert "Weather" in str(error)


ROWS = (
    Refusal("key_refused", 403, "invalid token"),
    Refusal("rate_limited", 403, None, "X-Remaining: 0"),
    Refusal("not_found", 403, "sso", "X-SSO: required"),
    Refusal("unavailable", 404),
)


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind"),
    [
        (403, {"err": "INVALID TOKEN."}, {}, "key_refused"),
        (403, {"err": "other"}, {"x_remaining": "0"}, "rate_limited"),
        (403, {"err": "other"}, {"x_remaining": "00"}, "scope_missing"),
        (403, {"err": "sso"}, {}, "scope_missing"),
        (403, {"err": "sso"}, {"x_sso": "required"}, "not_found"),
        (403, {"err": "invalid token"}, {"x_remaining": "0"}, "key_refused"),
        (401, {"err": "invalid token"}, {}, "key_refused"),
        (404, None, {}, "unavailable"),
        (403, b"\xff\xfeinvalid token", {}, "key_refused"),
    ],
)
def test_the_manifests_rows_go_before_and_the_first_that_fits_counts(status, body, headers, kind):
    assert refusals.read(reply(status, body, **headers), "Weather", ROWS).kind == kind


@pytest.mark.parametrize(
    ("headers", "reset_at"),
    [
        ({"retry_after": "37"}, NOW + timedelta(seconds=37)),
        ({"retry_after": "0"}, NOW),
        ({"retry_after": "1.5"}, NOW + timedelta(seconds=1.5)),
        ({"retry_after": "Mon, 23 Nov 2026 12:05:00 GMT"}, NOW + timedelta(minutes=5)),
        ({"retry_after": "Mon, 23 Nov 2026 11:00:00 GMT"}, NOW),
        ({"retry_after": "Fri, 31 Dec 9999 23:59:59 GMT"}, NOW + timedelta(days=31)),
        ({"retry_after": "9" * 400}, NOW + timedelta(days=31)),
        ({"retry_after": "-5"}, NOW + timedelta(days=31)),
        ({"retry_after": "soon"}, NOW + timedelta(days=31)),
        ({"retry_after": "1.2.3"}, NOW + timedelta(days=31)),
        ({"x_reset": str(int(NOW.timestamp()) + 600)}, NOW + timedelta(minutes=10)),
        ({"x_reset": "1"}, NOW),
        ({"x_reset": "1e300"}, NOW + timedelta(days=31)),
        ({"x_reset": "nan"}, NOW + timedelta(days=31)),
        ({"x_reset": "never"}, NOW + timedelta(days=31)),
        ({"retry_after": "37", "x_reset": "1"}, NOW + timedelta(seconds=37)),
        ({}, None),
    ],
    ids=str,
)
def test_the_end_of_a_limit_is_said_and_nonsense_is_cut(headers, reset_at):
    error = refusals.read(reply(429, **headers), "Weather", (), "x-reset")

    assert error.reset_at == reset_at
    assert (f"{reset_at:%Y-%m-%d %H:%M:%S} UTC" in str(error)) if reset_at else ("next request at" not in str(error))


@pytest.mark.parametrize("status", [401, 404, 500])
def test_only_a_limit_has_an_end(status):
    assert refusals.read(reply(status, retry_after="37"), "Weather", (), "x-reset").reset_at is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"message": "Validation Failed"}, "It says: Validation Failed"),
        ({"err": "Not found"}, "It says: Not found"),
        (
            {"message": "No", "errors": [{"field": "title", "code": "missing"}, {"message": "twice"}, "text"]},
            "No; title: missing; twice; text",
        ),
        ({"message": "x" * 1000}, "x" * 300),
        ({"message": None, "errors": None}, ""),
        ({"message": {"deep": 1}}, "deep"),
        ({"errors": 5}, ""),
        ({"errors": True}, ""),
        ({"errors": {"a": "b"}}, ""),
        ({"errors": [1, None, []]}, ""),
        (["a"], ""),
        (b"<html>", ""),
        (b"\xff", ""),
        (None, ""),
        (7, ""),
    ],
    ids=range(15),
)
def test_the_providers_own_words_are_added_where_they_help(body, said):
    text = str(refusals.read(reply(422, body), "Weather", ()))

    assert said in text
    assert bool(said) == ("It says" in text)
    assert len(text) < 500


def test_what_a_refusal_of_the_key_says_is_ours_alone():
    assert "secret detail" not in str(refusals.read(reply(401, {"message": "secret detail"}), "Weather", ()))
    assert "secret detail" not in str(refusals.read(reply(500, {"message": "secret detail"}), "Weather", ()))


@pytest.mark.parametrize("header", ["x_accepted_oauth_scopes", "x_accepted_github_permissions"])
def test_a_missing_right_names_what_is_needed_where_the_service_says(header):
    assert "It needs: repo, workflow." in str(refusals.read(reply(403, **{header: "repo, workflow"}), "GitHub", ()))


def test_every_kind_has_a_sentence():
    for kind in KINDS:
        error = refusals.read(reply(418), "Weather", (Refusal(kind, 418),))  # type: ignore[arg-type]
        assert error.kind == kind
        assert str(error).startswith(("Weather", "The key")) and str(error).endswith(".")
