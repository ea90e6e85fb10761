"""The first administrator, and the links that an operator prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from click.testing import CliRunner, Result

from mcpweb.accounts import links
from mcpweb.accounts.links import SET_UP_LIFE, Links
from mcpweb.accounts.models import Role, User, UserToken
from mcpweb.cli import cli
from mcpweb.database import db, transaction
from mcpweb.logs.models import AuditEvent
from mcpweb.web.current import settings as current_settings
from tests.ageing import age
from tests.conftest import URL, user
from tests.form_client import FormClient
from tests.parallel import at_once


@pytest.fixture
def command(app: object, environ: dict[str, str], process_state: None) -> Callable[..., Result]:
    """Runs `mcpweb` with these arguments."""
    return lambda *arguments: CliRunner().invoke(cli, arguments, env=environ, catch_exceptions=False)


def set_up_link() -> str:
    return f"/sign-in/{links.direct_link('', Role.ADMIN, Links.of(current_settings()))}"


def test_the_set_up_link_makes_the_first_administrator(browser, app):
    link = set_up_link()
    page = browser.get(link)
    assert "Become the first administrator" in page.text

    page = browser.submit(page.form(link), email="Carol@Example.com")

    assert "You are signed in as carol@example.com" in page.text
    assert user("carol@example.com").is_admin
    assert [event.action for event in db.session.query(AuditEvent).filter(AuditEvent.actor != "system")] == [
        "user.create"
    ]


def test_looking_at_the_set_up_link_uses_nothing_up(browser, app):
    link = set_up_link()

    for method in ("GET", "HEAD", "GET"):
        assert browser.open(method, link).status == 200

    assert db.session.query(User).count() == 0
    assert db.session.query(UserToken).one().used_at is None


def test_a_wrong_address_costs_the_set_up_link_nothing(browser, app):
    link = set_up_link()

    page = browser.submit(browser.get(link).form(link), email="not an address")

    assert page.status == 422
    assert db.session.query(User).count() == 0
    page = browser.submit(page.form(link), email="carol@example.com")
    assert "You are signed in" in page.text


def test_the_set_up_link_is_dead_as_soon_as_there_is_an_administrator(browser, sign_in):
    link = set_up_link()
    form = browser.get(link).form(link)
    sign_in("carol@example.com", Role.ADMIN)

    assert browser.submit(form, email="mallory@example.com").status == 410
    assert browser.get(link).status == 410
    assert db.session.query(User).count() == 1


@pytest.mark.parametrize("same", [True, False], ids=["one link", "several links"])
def test_set_up_links_used_at_once_make_one_administrator(same, new_browser, app):
    paths = [set_up_link()] * 6 if same else [set_up_link() for _ in range(6)]
    browsers = [new_browser() for _ in paths]
    forms = [browser.get(path).form(path) for browser, path in zip(browsers, paths, strict=True)]

    pages = at_once(
        [
            lambda n=n, browser=browser, form=form: browser.submit(form, email=f"person{n}@example.com")
            for n, (browser, form) in enumerate(zip(browsers, forms, strict=True))
        ]
    )

    assert sorted(page.status for page in pages) == [200] + [410] * 5
    assert db.session.query(User).filter_by(role=Role.ADMIN).count() == 1
    assert db.session.query(User).count() == 1


def test_the_set_up_link_ends_after_a_day(browser, app):
    link = set_up_link()
    age(UserToken, SET_UP_LIFE - timedelta(minutes=1))
    assert browser.get(link).status == 200
    age(UserToken, timedelta(minutes=1))
    assert browser.get(link).status == 410


def test_nobody_becomes_an_administrator_by_being_first_or_by_saying_so(browser, mailed):
    link = mailed(browser).link
    form = browser.get(link).form(link)

    browser.submit(form, role="admin", is_admin="1", email="carol@example.com", purpose="set-up")

    assert [(found.email, found.role) for found in db.session.query(User)] == [("alice@example.com", "user")]


def test_the_operator_prints_a_link_that_signs_in(command, browser):
    result = command("sign-in-link", "Alice@example.com")

    assert result.exit_code == 0
    link = result.output.strip()
    assert link.startswith(f"{URL}/sign-in/")
    page = browser.get(link)
    page = browser.submit(page.form(page.path))
    assert "You are signed in as alice@example.com" in page.text
    assert not user("alice@example.com").is_admin


def test_the_operator_makes_an_administrator(command, browser, alice: FormClient):
    link = command("sign-in-link", "alice@example.com", "--admin").output.strip()
    assert not user("alice@example.com").is_admin, "printing the link alone changes nothing"

    page = browser.get(link)
    browser.submit(page.form(page.path))

    assert user("alice@example.com").is_admin
    assert "user.make-admin" in [event.action for event in db.session.query(AuditEvent)]


def test_a_printed_link_replaces_what_was_pending(command, mailed, new_browser):
    pending = mailed(new_browser()).link

    command("sign-in-link", "alice@example.com")

    assert new_browser().get(pending).status == 410


def test_no_link_is_printed_for_what_is_no_address(command):
    result = command("sign-in-link", "alice")

    assert result.exit_code == 1
    assert "not an e-mail address" in result.output
    assert db.session.query(UserToken).count() == 0


def test_preparing_prints_a_set_up_link_until_there_is_an_administrator(command, browser):
    first = json.loads(command("prepare").output)
    page = browser.get(first["setup_link"])
    browser.submit(page.form(page.path), email="carol@example.com")

    second = json.loads(command("prepare").output)

    assert (first["services"], first["warnings"]) == (["figma", "github"], [])
    assert second["setup_link"] is None


def test_a_disabled_administrator_leaves_the_set_up_link_dead(app, browser, carol):
    with transaction():
        user("carol@example.com").is_enabled = False

    assert browser.get(set_up_link()).status == 410
