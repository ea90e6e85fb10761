"""Asking for a link: the same answer to everybody, and not without end."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from mcpweb import clock
from mcpweb.accounts.models import Role, User, UserToken
from mcpweb.database import db, transaction
from mcpweb.extensions import limiter
from tests.ageing import age
from tests.conftest import URL
from tests.form_client import FormClient, InProcess, Page, filled
from tests.pages import plain
from tests.parallel import at_once


def asked(browser: FormClient, email: str, **headers: str) -> Page:
    """The answer to one request for a link, redirect not followed."""
    page = browser.page if browser.page and browser.page.path == "/sign-in" else browser.get("/sign-in")
    return browser.open("POST", "/sign-in", dict(filled(page.form("/sign-in"), email=email)), **headers)


def rows() -> int:
    return db.session.query(UserToken).count()


def add_user(email: str, *, enabled: bool = True) -> None:
    with transaction():
        db.session.add(User(email=email, role=Role.USER, is_enabled=enabled, created_at=clock.utcnow()))


def test_known_unknown_and_disabled_addresses_and_a_closed_sign_up_get_the_same_answer(
    other_app, new_browser, run_jobs, mail_server
):
    add_user("known@example.com")
    add_user("disabled@example.com", enabled=False)
    closed = other_app(sign_up="invite")
    people = {"known": new_browser, "unknown": new_browser, "disabled": new_browser}
    browsers = {name: make() for name, make in people.items()}
    browsers["stranger"] = FormClient(InProcess(closed), URL)

    answers, pages = {}, {}
    for name, browser in browsers.items():
        answer = asked(browser, f"{name}@example.com")
        answers[name] = (answer.status, answer.headers["Location"], plain(answer))
        pages[name] = plain(browser.get("/sign-in/sent"), f"{name}@example.com")
        run_jobs(closed if name == "stranger" else browser.transport.client.application)

    assert len(set(answers.values())) == 1
    assert len(set(pages.values())) == 1
    assert [mail.to for mail in mail_server.mails] == [["known@example.com"], ["unknown@example.com"]]


@pytest.mark.parametrize(("domains", "expected"), [(("example.com",), 1), (("example.org",), 0)])
def test_sign_up_by_domain_mails_to_that_domain_only(domains, expected, other_app, run_jobs, mail_server):
    app = other_app(sign_up="domains", sign_up_domains=domains)

    assert asked(FormClient(InProcess(app), URL), "new@example.com").status == 303
    run_jobs(app)

    assert len(mail_server.mails) == expected


def test_who_is_known_already_gets_a_link_although_sign_up_is_closed(other_app, run_jobs, mail_server):
    add_user("known@example.com")
    app = other_app(sign_up="invite")

    asked(FormClient(InProcess(app), URL), "known@example.com")
    run_jobs(app)

    assert len(mail_server.mails) == 1


VARIANTS = [
    "victim@example.com",
    "Victim@Example.com",
    "vic.tim@example.com",
    "victim+1@example.com",
    " v.i.c.t.i.m+spam+more@example.com ",
    "victim+6@EXAMPLE.com",
]


def test_an_address_in_any_spelling_gets_five_mails_in_a_quarter_of_an_hour(browser, run_jobs, mail_server):
    answers = [asked(browser, spelling) for spelling in VARIANTS]
    run_jobs()

    assert {(answer.status, answer.headers["Location"]) for answer in answers} == {(303, "/sign-in/sent")}
    assert rows() == 5
    assert "Check your mail" in browser.get("/sign-in/sent").text, "whoever is beyond the limit is not told"
    mail_server.mails.clear()
    asked(browser, "someone-else@example.com")
    run_jobs()
    assert [mail.to for mail in mail_server.mails] == [["someone-else@example.com"]]


def test_the_limit_of_an_address_ends_with_its_quarter_of_an_hour_and_counts_by_the_day(browser):
    for _ in range(4):
        for _ in range(6):
            asked(browser, "victim@example.com")
        age(UserToken, timedelta(minutes=15, seconds=1))
    assert rows() == 20

    asked(browser, "victim@example.com")
    assert rows() == 20, "no more on one day"
    age(UserToken, timedelta(days=1))
    asked(browser, "victim@example.com")
    assert rows() == 21


def test_many_requests_at_once_do_not_get_around_the_limit_of_an_address(browser, mailed):
    form = dict(filled(browser.get("/sign-in").form("/sign-in"), email="victim@example.com"))
    twins = [browser.twin() for _ in range(10)]

    at_once([lambda twin=twin: twin.open("POST", "/sign-in", form) for twin in twins])

    assert rows() == 5
    assert db.session.query(UserToken).filter_by(superseded_at=None).count() == 1, "and only the newest is open"


def test_one_source_gets_thirty_links_in_a_quarter_of_an_hour_whatever_it_says_of_itself(browser, monkeypatch):
    monkeypatch.setattr(limiter, "enabled", False)

    for number in range(32):
        answer = asked(browser, f"person{number}@example.com", **{"X-Forwarded-For": f"198.51.100.{number}"})
        assert answer.status == 303

    assert rows() == 30
    assert {row.requested_ip for row in db.session.query(UserToken)} == {"127.0.0.1"}


def test_a_source_that_posts_very_fast_is_told_to_wait(browser):
    statuses = [
        asked(browser, "no address", **{"X-Forwarded-For": f"198.51.100.{number}"}).status for number in range(31)
    ]
    refused = asked(browser, "no address")

    assert statuses[:30] == [422] * 30
    assert refused.status == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert re.search(r"Wait [0-9]+ seconds, then try again", refused.text)


def test_a_listed_proxy_is_believed_about_the_caller_but_not_about_what_the_caller_wrote(other_app):
    app = other_app(trusted_proxies=("127.0.0.0/8",))

    asked(FormClient(InProcess(app), URL), "a@example.com", **{"X-Forwarded-For": "10.9.9.9, 203.0.113.7, 127.0.0.9"})

    assert db.session.query(UserToken).one().requested_ip == "203.0.113.7"


def test_the_mailed_link_is_built_from_the_public_url_whatever_the_request_says(other_app, run_jobs, mail_server):
    app = other_app(public_url="https://mcpweb.example.com")
    browser = FormClient(InProcess(app), "https://localhost")
    browser.get("/sign-in")
    poison = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher", "Forwarded": "host=evil.example"}

    answer = asked(browser, "alice@example.com", Referer="https://localhost/", **poison)
    run_jobs(app)

    assert answer.status == 303
    assert mail_server.mails[0].part("plain").count("https://mcpweb.example.com/sign-in/") == 1
    assert "evil" not in str(mail_server.mails[0].message)


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "evil.example:8080", "localhost@evil", "a b"]
)
def test_a_request_for_a_foreign_host_is_refused(host, browser, run_jobs, mail_server):
    form = dict(filled(browser.get("/sign-in").form("/sign-in"), email="alice@example.com"))

    assert browser.transport.raw("/sign-in", headers={"Host": host}).status_code == 400
    answer = browser.transport.raw("/sign-in", method="POST", data=form, headers={"Host": host})

    assert answer.status_code in (400, 403)
    assert urlsplit(answer.headers.get("Location", "")).netloc == ""
    assert rows() == 0


NO_ADDRESSES = [
    "",
    "   ",
    "alice",
    "@example.com",
    "alice@",
    "alice@example",
    "alice@example..com",
    "alice@example.com.",
    "alice@@example.com",
    "alice@example.com, bob@example.com",
    "alice@example.com;bob@example.com",
    "Alice <alice@example.com>",
    "alice@example.com\r\nBcc: bob@example.com",
    "alice@example.com\nX: y",
    "alice\r@example.com",
    "alice@exam\nple.com",
    "alice@example.com%0aBcc:x@example.com\n.",
    "alice\0@example.com",
    "alice@exa\0mple.com",
    '"alice bob"@example.com',
    "alice(comment)@example.com",
    "alice@[127.0.0.1]",
    "\u0430lice@example.com",  # a Cyrillic letter in the local part
    "alice\u202e@example.com",
    "alice@exam\u200bple.com\u202e",
    "a" * 65 + "@example.com",
    "alice@" + "a" * 64 + ".com",
    "alice@" + "a." * 130 + "com",
    "a@" + "ü." * 100_000 + "com",
]


@pytest.mark.parametrize("text", NO_ADDRESSES, ids=range(len(NO_ADDRESSES)))
def test_what_is_not_one_plain_address_is_refused_and_nothing_is_mailed(text, browser):
    page = browser.submit(browser.get("/sign-in").form("/sign-in"), email=text)

    assert page.status == 422
    assert "e-mail address" in page.text
    assert rows() == 0


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("  Alice@Example.COM ", "alice@example.com"),
        ("alice+news@example.com", "alice+news@example.com"),
        ("o'brien@example.com", "o'brien@example.com"),
        ("alice@bücher.example", "alice@xn--bcher-kva.example"),
        ("alice@\u0430\u0440\u0440\u04cf\u0435.example", "alice@xn--80ak6aa92e.example"),  # Cyrillic, not apple
    ],
)
def test_an_address_is_stored_in_one_spelling_in_which_look_alikes_differ(typed, stored, browser):
    browser.submit(browser.get("/sign-in").form("/sign-in"), email=typed)

    assert db.session.query(UserToken).one().email == stored


def test_a_refused_address_stays_in_the_form_together_with_where_to_go(browser):
    page = browser.get("/sign-in?next=/services")

    page = browser.submit(page.form("/sign-in"), email="alice at example.com")

    assert {("email", "alice at example.com"), ("next", "/services")} <= set(page.form("/sign-in").fields)
    assert "alice at example.com" in page.text


def test_the_waiting_page_knows_how_far_the_link_is(browser, new_browser, mailed):
    link = mailed(browser).link
    assert 'data-state="pending"' in browser.get("/sign-in/sent").text
    phone: FormClient = new_browser()
    phone.submit(phone.get(link).form(link))
    assert 'data-state="used"' in browser.get("/sign-in/sent").text


def test_the_waiting_page_of_an_ended_link_offers_a_new_one(browser, mailed):
    mailed(browser, "alice@example.com", "/services")
    age(UserToken, timedelta(minutes=10))

    page = browser.get("/sign-in/sent")

    assert 'data-state="expired"' in page.text
    assert {("email", "alice@example.com"), ("next", "/services")} <= set(page.form("/sign-in").fields)


def test_who_has_asked_for_nothing_has_no_waiting_page(browser: FormClient, app: Callable[..., object]):
    assert browser.get("/sign-in/sent").path == "/sign-in"
