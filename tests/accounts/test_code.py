"""The code of a sign-in mail: for reading the mail on one device and signing in on another."""

from __future__ import annotations

import pytest

from mcpweb.accounts.links import LINK_LIFE
from mcpweb.accounts.models import UserSession, UserToken
from mcpweb.database import db
from tests.ageing import age
from tests.form_client import FormClient, Page
from tests.parallel import at_once


def type_in(browser: FormClient, code: str) -> Page:
    page = browser.get("/sign-in/sent")
    return browser.submit(page.form("/sign-in/code"), code=code)


def sessions() -> int:
    return db.session.query(UserSession).count()


@pytest.mark.parametrize("spelling", [str, str.lower, lambda code: f"  {code.replace('-', ' ')} "])
def test_the_mailed_code_signs_in_the_browser_that_asked(spelling, browser, mailed):
    mail = mailed(browser, next_path="/services")
    assert mail.code in mail.part("html")

    page = type_in(browser, spelling(mail.code))

    assert (page.status, page.path) == (200, "/services")
    assert "You are signed in as alice@example.com" in page.text


def test_the_code_and_the_link_are_used_up_together(browser, new_browser, mailed):
    mail = mailed(browser)
    type_in(browser, mail.code)

    assert new_browser().get(mail.link).status == 410


def test_after_five_wrong_codes_the_right_one_does_not_help(browser, mailed):
    mail = mailed(browser)

    pages = [type_in(browser, "WRNG-CDES") for _ in range(5)]
    late = type_in(browser, mail.code)

    assert [page.status for page in pages] == [422] * 5
    assert all("not the code of the newest mail" in page.text for page in pages)
    assert late.status == 410
    assert sessions() == 0


def test_wrong_codes_typed_at_once_are_all_counted(browser, mailed):
    mail = mailed(browser)
    form = dict(browser.get("/sign-in/sent").form("/sign-in/code").fields)
    twins = [browser.twin() for _ in range(12)]

    at_once([lambda twin=twin: twin.open("POST", "/sign-in/code", form | {"code": "WRNGCDES"}) for twin in twins])

    assert db.session.query(UserToken).one().code_tries == 5
    assert type_in(browser, mail.code).status == 410


def test_the_code_typed_eight_times_at_once_starts_one_session(browser, mailed):
    mail = mailed(browser)
    form = dict(browser.get("/sign-in/sent").form("/sign-in/code").fields)
    twins = [browser.twin() for _ in range(8)]

    answers = at_once(
        [lambda twin=twin: twin.open("POST", "/sign-in/code", form | {"code": mail.code}) for twin in twins]
    )

    assert sorted(answer.status for answer in answers) == [303] + [410] * 7
    assert sessions() == 1


def test_the_code_is_worth_nothing_in_another_browser(browser, new_browser, mailed):
    mail = mailed(browser)
    other = new_browser()
    mailed(other, "mallory@example.com")

    page = type_in(other, mail.code)

    assert page.status == 422
    assert sessions() == 0


def test_without_having_asked_no_code_is_taken(browser, mailed, new_browser):
    mail = mailed(browser)
    stranger = new_browser()
    token = dict(stranger.get("/sign-in").form("/sign-in").fields)["csrf_token"]

    answer = stranger.open("POST", "/sign-in/code", {"csrf_token": token, "code": mail.code})

    assert answer.status == 410
    assert sessions() == 0


def test_a_code_ends_with_its_link(browser, mailed):
    mail = mailed(browser)
    age(UserToken, LINK_LIFE)

    assert type_in(browser, mail.code).status == 410
    assert sessions() == 0


def test_the_code_of_an_older_mail_does_not_sign_in(browser, mailed):
    old, new = mailed(browser).code, mailed(browser).code

    assert type_in(browser, old).status == 422
    assert type_in(browser, new).path == "/instances"


@pytest.mark.parametrize("text", ["", "   ", "A" * 41, "\0" * 8, "\u202eABCDEFG", "ÄÖÜ", "--------"])
def test_what_is_no_code_is_refused_and_the_page_stays(text, browser, mailed):
    mail = mailed(browser)

    page = type_in(browser, text)

    assert page.status == 422
    assert page.form("/sign-in/code")
    assert type_in(browser, mail.code).path == "/instances"
