"""The live check of a key, through the form: what the service says of it, and what the user is told."""

from __future__ import annotations

import time

import pytest

from mcpweb.catalog import checking
from mcpweb.database import db
from mcpweb.instances.models import CredentialState, Instance
from tests.form_client import FormClient
from tests.instances.connecting import connect, shown_token
from tests.instances.endpoint import call, works
from tests.spec_server import TOKENS, Answer

GITHUB = TOKENS["github"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that waits for a moment only."""
    monkeypatch.setattr(checking, "TIMEOUT_S", 0.4)


@pytest.mark.parametrize("kind", ["good", "fine_grained", "oauth", "legacy", "expiring"])
def test_every_kind_of_github_key_is_taken(kind, alice):
    page = connect(alice, GITHUB[kind])

    assert "The key works" in page.text
    assert db.session.query(Instance).one().account_label == "octocat"


def test_an_apps_key_is_checked_where_an_app_may_ask(alice, github):
    connect(alice, GITHUB["installation"])

    assert github.seen[-1].path == "/installation/repositories"
    assert db.session.query(Instance).one().account_label == "octocat"


def test_scopes_are_unknown_where_a_kind_of_key_has_none(alice):
    connect(alice, GITHUB["fine_grained"])

    assert db.session.query(Instance).one().scopes is None


def test_a_figma_key_is_taken(alice):
    page = connect(alice, TOKENS["figma"]["good"], service="figma")

    assert "The key works" in page.text
    assert db.session.query(Instance).one().account_label


REFUSED = [
    ("github", "revoked", "GitHub refused this key", "does not accept this key"),
    ("github", "expired", "GitHub refused this key", "does not accept this key"),
    ("github", "no_scope", "This key may not do enough", "rights that are needed: repo"),
    ("github", "rate_limited", "GitHub asks us to wait", "Try again a little later"),
    ("github", "rate_limited_forever", "GitHub asks us to wait", "Try again a little later"),
    ("github", "primary_limit", "GitHub asks us to wait", "Try again a little later"),
    ("github", "secondary_limit", "GitHub asks us to wait", "Try again a little later"),
    ("figma", "revoked", "Figma refused this key", "does not accept this key"),
    ("figma", "rate_limited", "Figma asks us to wait", "Try again a little later"),
]


@pytest.mark.parametrize(("service", "kind", "title", "sentence"), REFUSED, ids=lambda text: text[:20])
def test_refusals_are_told_apart_and_nothing_is_kept(service, kind, title, sentence, alice):
    page = connect(alice, TOKENS[service][kind], service=service, label="Mine")

    assert page.status == 422
    assert title in page.text and sentence in page.text
    assert "save_unverified" not in page.text
    assert TOKENS[service][kind] not in page.text
    assert ("label", "Mine") in page.form("/connect").fields
    assert db.session.query(Instance).count() == 0


def test_a_key_that_may_not_even_tell_whose_it_is_is_told_apart_from_a_wrong_one(alice, figma):
    figma.force["getMe"] = Answer(403, {"status": 403, "err": "Invalid scope(s): file_content:read"})
    try:
        page = connect(alice, TOKENS["figma"]["good"], service="figma")
    finally:
        figma.force.clear()

    assert page.status == 422
    assert "This key may not do enough" in page.text
    assert "does not let it read whose it is" in page.text


def test_a_refused_key_can_not_be_saved_by_saying_so(alice):
    for kind in ("revoked", "no_scope", "rate_limited"):
        assert connect(alice, GITHUB[kind], save_unverified="1").status == 422

    assert db.session.query(Instance).count() == 0


UNREACHABLE = ["hanging", "dripping", "reset", "truncated", "broken_json", "html", "redirect", "error_500", "error_502"]


@pytest.mark.parametrize("kind", [*UNREACHABLE, "huge", "bomb"])
def test_a_service_without_a_sensible_answer_is_said_to_be_away_and_the_key_is_not_blamed(kind, alice, impatient):
    started = time.monotonic()
    page = connect(alice, GITHUB[kind])

    assert time.monotonic() - started < 4
    assert page.status == 422
    assert "GitHub does not answer" in page.text
    assert "save_unverified" in page.text
    assert db.session.query(Instance).count() == 0


def test_a_key_that_could_not_be_checked_is_saved_as_unverified_when_asked_for(alice, app, impatient, github):
    page = connect(alice, GITHUB["error_502"], label="Later")
    page = alice.submit(page.form("/connect"), button="save_unverified", credential_token=GITHUB["error_502"])

    instance = db.session.query(Instance).one()
    assert page.path == f"/instances/{instance.id}"
    assert (instance.credential_state, instance.credential_checked_at) == (CredentialState.UNVERIFIED, None)
    assert (instance.account_label, instance.label) == ("", "Later")
    assert "not verified yet" in page.text
    token = shown_token(page)
    assert call(app, instance.id, token)[0] == 200, "the endpoint is there"


def test_a_good_key_is_verified_even_when_saving_unverified_was_asked_for(alice, app):
    page = connect(alice, GITHUB["good"], save_unverified="1")

    assert db.session.query(Instance).one().credential_state == CredentialState.OK
    assert works(app, page.path.rpartition("/")[2], shown_token(page))


def test_a_service_that_repeats_its_callers_key_does_not_get_it_shown_or_stored(alice):
    page = connect(alice, GITHUB["echoing"])

    instance = db.session.query(Instance).one()
    assert GITHUB["echoing"] not in page.text
    assert GITHUB["echoing"] not in instance.account_label


ODD = {
    "nothing of a name": {},
    "a list": [],
    "a number": 7,
    "null": None,
    "a text": "octocat",
    "a name that is a table": {"login": {"a": 1}},
    "a name that is null": {"login": None},
    "NUL": {"login": "octo\0cat"},
    "right-to-left": {"login": "octo\u202ecat\r\n"},
    "long": {"login": "x" * 5000},
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_an_odd_account_name_stands_in_nobodys_way(body, alice, github):
    github.force["users/get-authenticated"] = Answer(200, body, {"X-OAuth-Scopes": "repo"})
    try:
        page = connect(alice, GITHUB["good"])
    finally:
        github.force.clear()

    if body is None or not isinstance(body, dict):
        assert page.status in (200, 422)
        return
    label = db.session.query(Instance).one().account_label
    assert page.status == 200
    assert len(label) <= 200 and (label.isprintable() or not label)


@pytest.mark.parametrize(
    "end", ["2026-13-45", "9999-12-31 23:59:59 -2300", "0001-01-01 00:00:00 +2300", "soon", "", "1" * 500]
)
def test_an_odd_end_of_a_key_stands_in_nobodys_way(end, alice, github):
    headers = {"GitHub-Authentication-Token-Expiration": end, "X-OAuth-Scopes": "repo"}
    github.force["users/get-authenticated"] = Answer(200, {"login": "octocat"}, headers)
    try:
        page = connect(alice, GITHUB["good"])
    finally:
        github.force.clear()

    assert page.status == 200
    assert db.session.query(Instance).one().credential_expires_at is None


def test_the_key_goes_to_the_service_and_nowhere_else(alice: FormClient, github, figma):
    before = len(figma.seen)
    connect(alice, GITHUB["good"])

    assert github.seen[-1].headers["authorization"] == f"Bearer {GITHUB['good']}"
    assert len(figma.seen) == before
    assert "cookie" not in github.seen[-1].headers
    assert "referer" not in github.seen[-1].headers
