"""Error pages: right status, plain words, an id to quote, and nothing about our insides."""

from __future__ import annotations

import json
import re
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from flask import template_rendered
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from mcpweb import clock
from mcpweb.accounts import sessions
from mcpweb.database import db
from mcpweb.errors import AppError, Conflict, InvalidInput, NotFound, Unavailable
from mcpweb.instances import queries
from mcpweb.web import errors, static_errors
from mcpweb.web.current import settings
from mcpweb.web.error_words import WORDS
from mcpweb.web.guard import public
from tests.conftest import user
from tests.pages import plain


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
    assert f"Request <code>{page.headers['X-Request-Id']}</code>" in page.text
    again = page.form("/services/github/connect")
    assert ("label", "My <b>repos</b>") in again.fields
    assert "ghp_secretsecret" not in page.text
    alice.page = page
    assert alice.submit(again, credential_token="ghp_wrong").status == 422, "sent again, it arrives"


def test_an_outlived_form_comes_back_with_every_line_every_choice_and_its_whole_address(carol, alice, make_instance):
    instance, _ = make_instance()
    path = f"/instances/{instance.id}/tools"
    form = alice.get(path).form("/tools")
    chosen = [value for name, value in form.fields if name == "picked"] * 8
    form.fields += [("picked", value) for value in chosen[len(chosen) // 8 :]]
    assert len(chosen) > 300
    outlive(form)
    page = alice.submit(form)
    again = page.form("/tools")
    assert [value for name, value in again.fields if name == "picked"] == chosen, "none is lost on the way"

    form = carol.get("/admin/maintenance/recount/schedule").form("/schedule", holding="timezone")
    outlive(form)
    page = carol.submit(form, "preview")
    assert "Please send the form again" in page.text
    assert "Time zone" in carol.submit(page.form("/schedule")).text, "sent again, it arrives"

    long = "line one\nline two " + "x" * 5000
    page = carol.open("POST", "/admin/users/invite?q=a&page=2", {"email": long, "csrf_token": "x"})
    again = next(form for form in page.forms if "/invite" in form.action)
    assert again.action == "/admin/users/invite?q=a&page=2"
    assert ("email", long) in again.fields


def outlive(form) -> None:
    """As if the session had ended since the form was shown."""
    form.fields = [(name, "x" if name == "csrf_token" else value) for name, value in form.fields]


def test_a_form_that_is_too_much_to_keep_is_not_offered_in_part(browser):
    browser.get("/sign-in")
    for fields in ({f"field{n}": "v" for n in range(401)}, {"long": "x" * 10_001}):
        page = browser.open("POST", "/sign-in", fields)

        assert page.status == 400
        assert "too much" in page.text
        assert not any(form.action == "/sign-in" for form in page.forms)
        assert "field7" not in page.text and "xxxxx" not in page.text


def test_what_is_not_allowed_here_says_what_is(alice):
    page = alice.open("GET", "/sign-out")

    assert page.status == 405
    assert set(page.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}
    assert "Not this way" in page.text


STATUSES = sorted(WORDS)
LATER = {"text/html": "text/html", "application/json": "application/problem+json"}


@pytest.fixture
def failing(app, monkeypatch):
    """Lets the help page fail with a status."""

    def fail(status: int) -> None:
        def view() -> None:
            raise make_error(status)

        monkeypatch.setitem(app.view_functions, "web.help_page", public(view))

    return fail


def make_error(status: int) -> HTTPException:
    """An error of this status, also of those that werkzeug has no class for."""
    error = HTTPException("inner words of ours")
    error.code = status
    return error


def test_every_status_is_a_page_or_problem_details_or_an_rpc_error_for_whoever_asks(app, alice, browser, failing):
    for status in STATUSES:
        failing(status)
        for person in (alice, browser):
            page = person.open("GET", "/help", Accept="text/html,application/xhtml+xml,*/*;q=0.8")
            assert (page.status, page.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
            assert f"<h1>{WORDS[status].title}</h1>" in page.text and WORDS[status].what_now in page.text
            assert page.headers["X-Request-Id"] in page.text and "inner words" not in page.text
            assert page.headers["Content-Security-Policy"] and page.headers["Cache-Control"] == "no-store"

            said = person.open("GET", "/help", Accept="application/json")
            assert (said.status, said.headers["Content-Type"]) == (status, "application/problem+json")
            body = json.loads(said.text)
            assert (body["status"], body["title"]) == (status, WORDS[status].title)
            assert body["request_id"] == said.headers["X-Request-Id"] and "inner words" not in said.text

        for path in ("/mcp", "/x/mcp"):
            with app.test_request_context(path):
                response = errors.answer(status)
            assert (response.status_code, response.mimetype) == (status, "application/json")
            assert response.get_json()["error"]["message"] == WORDS[status].reason


def test_programs_that_are_not_signed_in_are_told_so_instead_of_being_sent_to_a_page(browser):
    for accept, status in (("application/json", 401), ("*/*", 303), ("text/html", 303)):
        assert browser.open("GET", "/instances", Accept=accept).status == status
    missed = browser.open("POST", "/mcp", {"a": "b"}, Accept="application/json, text/event-stream")
    assert missed.status == 404 and json.loads(missed.text)["error"]["message"]


def test_a_deleted_instance_is_gone_for_its_former_owner_and_absent_for_everybody_else(alice, bob, make_instance):
    instance, _ = make_instance()
    deleted = str(instance.id)
    path = f"/instances/{deleted}"
    form = alice.get(f"{path}/delete").form("/delete")
    alice.submit(form, label=instance.label)

    page = alice.get(path)
    assert page.status == 410
    assert f"This instance was deleted on {clock.utcnow():%d %B %Y}" in page.text

    never = str(uuid4())
    theirs, absent = bob.get(path), bob.get(f"/instances/{never}")
    assert theirs.status == absent.status == 404
    assert plain(theirs, deleted) == plain(absent, never)


def test_what_is_limited_says_how_long_to_wait(browser, limited):
    page = browser.get("/sign-in/nonsense")
    for _ in range(60):
        page = browser.open("POST", "/sign-in/nonsense", {"csrf_token": limited(browser)})
        if page.status == 429:
            break
    assert page.status == 429
    assert re.search(r"Wait \d+ (seconds|minutes), then try again", page.text)
    assert int(page.headers["Retry-After"]) > 0


@pytest.fixture
def limited():
    """The form token of a browser."""
    return lambda person: dict(person.get("/help").form("/theme").fields)["csrf_token"]


def test_a_fault_in_the_error_page_itself_still_answers_in_plain_words(app, alice, monkeypatch):
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("the inner truth")

    monkeypatch.setattr(queries, "list_owned", broken)
    monkeypatch.setattr(errors, "render_template", broken)
    page = alice.get("/instances")

    assert page.status == 500
    assert page.text.startswith("Something broke here. The fault is ours")
    assert page.headers["X-Request-Id"] in page.text and "inner truth" not in page.text


def test_a_bug_is_logged_once_with_who_and_where_and_without_local_variables(app, alice, monkeypatch):
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)

    def broken(owner: object, *_: object, **__: object) -> None:
        credential = "canary-in-a-local"
        raise ZeroDivisionError(f"with Bearer ghp_{'a' * 36} {len(credential)}")

    monkeypatch.setattr(queries, "list_owned", broken)
    page = alice.get("/instances?q=x")

    noted = [line for line in lines("app") if line.get("request_id") == page.headers["X-Request-Id"]]
    assert len(noted) == 1
    assert (noted[0]["endpoint"], noted[0]["method"], noted[0]["path"]) == ("instances.index", "GET", "/instances")
    assert noted[0]["user"] == user("alice@example.com").id
    assert "canary" not in str(noted[0]) and "ghp_a" not in str(noted[0])
    assert "ZeroDivisionError" in str(noted[0]["traceback"])


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_page_that_is_made_comes_also_when_its_connection_is_lost_meanwhile(app, alice, postgres_url):
    ended = []

    def lose(*_: object, **__: object) -> None:
        with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as other:
            mine = db.session.scalar(text("SELECT pg_backend_pid()"))
            ended.append(other.execute("SELECT pg_terminate_backend(%s, 5000)", (mine,)).fetchone())

    with template_rendered.connected_to(lose, app):
        page = alice.get("/help")

    assert (page.status, ended) == (200, [(True,)])
    assert alice.get("/instances").status == 200


def test_the_proxys_own_pages_need_nothing_else():
    made = static_errors.pages()

    assert made.keys() >= {"400.html", "502.html", "maintenance.html"}
    for page in made.values():
        assert not re.search(r"(src=|url\(|@import|<link|<script|https?://)", page)
