"""Signing in: through the mailbox, with the code, and while the link is opened somewhere else."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.live import Live
from tests.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture
def ask(live: Live, open_page: OpenPage):
    """Asks for a link in a browser of its own, which is then on the waiting page, and has the mail arrive."""

    def ask(email: str, path: str = "/sign-in") -> Page:
        page = open_page()
        page.goto(path)
        page.get_by_label("E-mail address").fill(email)
        page.get_by_role("button", name="Send me a link").click()
        expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()
        until(lambda: live.mails(email), "the mail is in the mailbox")
        return page

    return ask


def test_the_link_in_the_mailbox_leads_to_where_one_wanted_to_go(ask) -> None:
    page = ask("mailbox@example.com", "/services/github/connect")

    page.get_by_role("link", name="Open the local mailbox").click()
    page.get_by_role("row", name="mailbox@example.com").get_by_role("link").click()
    page.get_by_role("link", name="/sign-in/").click()
    page.get_by_role("button", name="Sign in as mailbox@example.com").click()

    expect(page).to_have_url(re.compile("/services/github/connect$"))
    expect(page.get_by_role("status").first).to_have_text("You are signed in as mailbox@example.com.")


def test_the_waiting_page_notices_that_the_link_was_used_in_another_browser(ask, live: Live) -> None:
    page = ask("elsewhere@example.com")

    live.use_link(live.visitor(), live.mailed("elsewhere@example.com")[0])

    expect(page.get_by_text("that browser is signed in now")).to_be_visible()
    expect(page.locator("#live")).to_have_text("The link has been used")
    expect(page.get_by_label("Code from the mail")).to_be_hidden()


def test_the_waiting_page_goes_on_when_the_link_is_used_in_another_tab(ask, live: Live) -> None:
    page = ask("tab@example.com")

    tab = page.context.new_page()
    tab.goto(live.mailed("tab@example.com")[0])
    tab.get_by_role("button", name="Sign in as tab@example.com").click()

    expect(tab.get_by_role("heading", name="Instances")).to_be_visible()
    expect(page.get_by_role("heading", name="Instances")).to_be_visible()


def test_what_is_being_typed_stays_while_the_page_looks_again(ask) -> None:
    page = ask("typing@example.com")
    code = page.get_by_label("Code from the mail")
    code.press_sequentially("ab")

    with page.expect_response("**/sign-in/sent"):
        code.press_sequentially("cd")

    expect(code).to_have_value("abcd")
    expect(code).to_be_focused()


def test_the_code_signs_in_however_it_is_spelled(ask, live: Live) -> None:
    page = ask("code@example.com")

    page.get_by_label("Code from the mail").fill(live.mailed("code@example.com")[1].replace("-", " ").lower())
    page.get_by_role("button", name="Sign in with the code").click()

    expect(page.get_by_role("heading", name="Instances")).to_be_visible()


def test_another_browser_is_told_who_asked_before_it_signs_in(ask, live: Live, open_page: OpenPage) -> None:
    ask("asked@example.com")

    other = open_page()
    other.goto(live.mailed("asked@example.com")[0])

    expect(other.get_by_role("heading", name="Is this you?")).to_be_visible()
    expect(other.get_by_text("Chrome")).to_be_visible()
    expect(other.get_by_role("button", name="Sign in as asked@example.com")).to_be_visible()
