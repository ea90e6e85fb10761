"""Error pages: right status, plain words, an id to quote, and nothing about our insides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from mcpweb import clock
from mcpweb.accounts import sessions
from mcpweb.errors import AppError, Conflict, InvalidInput, NotFound, Unavailable
from mcpweb.instances import queries
from mcpweb.web.current import settings


def lines(category: str) -> list[dict[str, object]]:
    """What was logged today."""
    path: Path = settings().home / "logs" / "system" / f"{category}-{clock.utcnow():%Y-%m-%d}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_bug_shows_a_page_without_details_and_is_noted_with_its_traceback(alice, app, monkeypatch):
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("the inner truth")

    monkeypatch.setattr(queries, "list_owned", broken)
    page = alice.get("/instances")

    assert page.status == 500
    assert "Something broke here" in page.text
    assert "inner truth" not in page.text and "Traceback" not in page.text
    request_id = page.headers["X-Request-Id"]
    assert request_id in page.text
    noted = [line for line in lines("app") if line.get("request_id") == request_id]
    assert "inner truth" in str(noted[0]["traceback"])


def test_a_database_that_does_not_answer_is_a_503_that_asks_for_patience(alice, monkeypatch):
    def away(*_: object, **__: object) -> None:
        raise OperationalError("SELECT secret_column", {}, Exception("connection refused to 10.1.2.3"))

    monkeypatch.setattr(queries, "list_owned", away)
    page = alice.get("/instances")

    assert page.status == 503
    assert int(page.headers["Retry-After"]) > 0
    assert "secret_column" not in page.text and "10.1.2.3" not in page.text


def test_without_a_database_even_the_error_page_comes(alice, monkeypatch):
    def away(*_: object, **__: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    monkeypatch.setattr(sessions, "now", away)

    assert alice.get("/instances").status == 503


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("A sentence of ours."), 404),
        (Conflict("A sentence of ours."), 409),
        (InvalidInput("A sentence of ours."), 422),
        (Unavailable("A sentence of ours."), 503),
        (AppError("A sentence of ours."), 400),
    ],
)
def test_an_expected_failure_shows_its_sentence_with_its_status(error, status, alice, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(queries, "list_owned", fail)
    page = alice.get("/instances")

    assert page.status == status
    assert "A sentence of ours." in page.text
    assert page.headers["X-Request-Id"] in page.text


def test_a_form_whose_session_has_ended_is_offered_again_with_everything_but_the_key(alice, new_browser):
    form = alice.get("/services/github/connect").form("/connect")
    values = dict(form.fields) | {"label": "My <b>repos</b>", "credential-token": "ghp_secretsecret", "csrf_token": "x"}

    page = alice.open("POST", "/services/github/connect", values)

    assert page.status == 400
    assert "Please send the form again" in page.text
    again = page.form("/services/github/connect")
    assert ("label", "My <b>repos</b>") in again.fields
    assert "ghp_secretsecret" not in page.text
    alice.page = page
    assert alice.submit(again, credential_token="ghp_wrong").status == 422, "sent again, it arrives"


def test_a_kept_form_can_not_be_blown_up(browser):
    browser.get("/sign-in")
    fields = {f"field{n}": "v" for n in range(80)} | {"long": "x" * 1001}

    page = browser.open("POST", "/sign-in", fields)

    assert page.status == 400
    kept = [name for name, _ in page.form("/sign-in").fields if name.startswith("field")]
    assert len(kept) == 50
    assert "x" * 1001 not in page.text


def test_what_is_not_allowed_here_says_what_is(alice):
    page = alice.open("GET", "/sign-out")

    assert page.status == 405
    assert set(page.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}
    assert "Not this way" in page.text
