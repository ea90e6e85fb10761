"""Sessions: ended on the server, at once, and by themselves in the end."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from mcpweb import clock
from mcpweb.accounts import links
from mcpweb.accounts.models import UserSession, UserToken
from mcpweb.database import db, transaction
from mcpweb.jobs import cleaning
from tests.ageing import age
from tests.conftest import user
from tests.form_client import FormClient


def is_signed_in(browser: FormClient) -> bool:
    return browser.open("GET", "/account").status == 200


def revoke_paths(browser: FormClient) -> list[str]:
    return re.findall(r'action="(/account/sessions/\d+/revoke)"', browser.get("/account").text)


def test_a_cookie_that_was_copied_before_signing_out_is_dead_afterwards(alice):
    copy = alice.twin()
    assert is_signed_in(copy)

    page = alice.submit(alice.get("/account").form("/sign-out"))

    assert page.path == "/sign-in"
    assert not is_signed_in(copy)
    assert not is_signed_in(alice)


def test_signing_out_has_the_browser_forget_what_it_saw(alice):
    form = alice.get("/account").form("/sign-out")

    answer = alice.open("POST", "/sign-out", dict(form.fields))

    assert answer.status == 303
    assert answer.headers["Clear-Site-Data"] == '"cache"'


def test_signing_out_by_a_mere_link_is_not_possible(alice):
    assert alice.open("GET", "/sign-out").status == 405
    assert is_signed_in(alice)


def test_a_disabled_user_is_out_at_once_everywhere(alice, sign_in):
    other = sign_in("alice@example.com")
    with transaction():
        user("alice@example.com").is_enabled = False

    assert not is_signed_in(alice)
    assert not is_signed_in(other)


def test_a_session_ends_when_it_is_not_used_for_half_a_day(alice):
    age(UserSession, timedelta(hours=11, minutes=59))
    assert is_signed_in(alice)
    age(UserSession, timedelta(hours=12))
    assert not is_signed_in(alice)


def test_a_session_in_use_lives_on_until_its_last_day(alice):
    for _ in range(29):
        age(UserSession, timedelta(hours=11, minutes=30))
        assert is_signed_in(alice)

    age(UserSession, timedelta(hours=3))
    assert not is_signed_in(alice), "14 days are over, in use or not"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_clock_alone_ends_a_session(alice, monkeypatch):
    started = clock.utcnow()

    monkeypatch.setattr(clock, "utcnow", lambda: started + timedelta(hours=11))
    assert is_signed_in(alice)
    monkeypatch.setattr(clock, "utcnow", lambda: started + timedelta(hours=23, minutes=1))
    assert not is_signed_in(alice)


def test_a_page_view_within_the_minute_writes_nothing(alice):
    seen = db.session.query(UserSession.last_seen_at).scalar()

    assert is_signed_in(alice)

    assert db.session.query(UserSession.last_seen_at).scalar() == seen


def test_the_account_page_lists_where_one_is_signed_in_and_ends_one_of_them(alice, sign_in, new_browser, mailed):
    phone = new_browser("Phone/1.0 <b>bold</b>")
    link = mailed(phone).link
    phone.submit(phone.get(link).form(link))
    page = alice.get("/account")
    assert page.text.count("This session") == 1
    assert "Phone/1.0 &lt;b&gt;bold" in page.text
    newest_first = revoke_paths(alice)
    assert len(newest_first) == 2

    other = next(path for path in newest_first if "Sign out" not in _button(page.text, path))
    page = alice.submit(alice.get("/account").form(other))

    assert "The session has ended" in page.text
    assert len(revoke_paths(alice)) == 1
    assert not is_signed_in(phone)


def _button(text: str, path: str) -> str:
    found = re.search(re.escape(f'action="{path}"') + r".*?</form>", text, re.DOTALL)
    assert found
    return found[0]


def test_signing_out_everywhere_ends_every_session_and_every_pending_link(alice, sign_in, new_browser, mailed, bob):
    other = sign_in("alice@example.com")
    pending = mailed(new_browser()).link
    bobs = mailed(new_browser(), "bob@example.com").link

    page = alice.submit(alice.get("/account").form("/account/sessions/revoke-all"))

    assert page.path == "/sign-in"
    assert not is_signed_in(alice) and not is_signed_in(other)
    assert is_signed_in(bob)
    assert new_browser().get(pending).status == 410
    assert new_browser().get(bobs).status == 200


def test_nobody_ends_the_session_of_somebody_else(alice, bob):
    theirs = revoke_paths(bob)[0]
    token = dict(alice.get("/account").form("/sign-out").fields)["csrf_token"]

    foreign = alice.open("POST", theirs, {"csrf_token": token})
    absent = alice.open("POST", "/account/sessions/999999/revoke", {"csrf_token": token})

    assert foreign.status == absent.status == 404
    assert is_signed_in(bob)


@pytest.mark.parametrize("number", ["0", "-1", "2147483648", "99999999999999999999999", "1e3"])
def test_a_session_number_that_can_not_be_is_not_found(number, alice):
    token = dict(alice.get("/account").form("/sign-out").fields)["csrf_token"]

    assert alice.open("POST", f"/account/sessions/{number}/revoke", {"csrf_token": token}).status == 404


@pytest.mark.parametrize("cookie", ["", "nonsense", ".eJwNx", "a.b.c", "é", "A" * 4000])
def test_a_made_up_cookie_is_nobody(cookie, browser):
    answer = browser.open("GET", "/account", Cookie=f"mcpweb={cookie}")

    assert (answer.status, answer.headers["Location"]) == (303, "/sign-in?next=/account")


def test_the_session_cookie_is_out_of_the_reach_of_scripts_other_sites_and_plain_http(other_app):
    app = other_app(public_url="https://mcpweb.example.com")
    client = app.test_client()

    answer = client.get("/sign-in", base_url="https://mcpweb.example.com")

    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-mcpweb=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_the_database_holds_no_session_id_that_could_be_used(alice, app):
    cookie = alice.transport.client.get_cookie("mcpweb", domain="localhost")
    assert cookie is not None
    session = app.session_interface.get_signing_serializer(app).loads(cookie.value)  # type: ignore[attr-defined]

    row = db.session.query(UserSession).one()

    assert len(session["_user_id"]) >= 43
    assert session["_user_id"].encode() not in row.id_hash
    assert session["_user_id"] not in str(vars(row))


def test_ended_sessions_and_old_links_are_cleaned_away_in_time(alice, mailed, new_browser, run_jobs, app):
    mailed(new_browser(), "bob@example.com")
    age(UserSession, timedelta(days=30, hours=1))
    age(UserToken, timedelta(days=1, hours=23))
    cleaning.clean_up()
    assert db.session.query(UserToken).count() == 2
    assert db.session.query(UserSession).count() == 1, "a month after its end, not after its start"

    age(UserSession, timedelta(days=15))
    age(UserToken, links.LINK_LIFE + timedelta(hours=1))
    cleaning.clean_up()
    cleaning.clean_up()

    assert db.session.query(UserToken).count() == 0
    assert db.session.query(UserSession).count() == 0
