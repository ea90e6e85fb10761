"""Connecting a service: what the form says and does while it is filled in, refused and sent."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.live import Live
from tests.browser.states import CONNECT, send, send_bad_connect_form, try_key
from tests.form_client import FormClient
from tests.spec_server import TOKENS

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

GOOD = TOKENS["github"]["good"]


@pytest.fixture
def page(open_page: OpenPage, alice: FormClient) -> Page:
    """The form that connects GitHub."""
    page = open_page(alice)
    page.goto(CONNECT)
    return page


def test_the_token_is_shown_once(page: Page) -> None:
    try_key("good")(page)

    expect(page.get_by_role("heading", name="Copy this token now")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^mcpw_[0-9A-Za-z]{38}$"))).to_be_visible()
    expect(page.get_by_text("The key works", exact=True)).to_be_visible()
    expect(page.locator("main")).to_contain_text("octocat")
    page.reload()
    expect(page.get_by_role("heading", name="Endpoint")).to_be_visible()
    expect(page.get_by_role("heading", name="Copy this token now")).to_be_hidden()


def test_two_clicks_make_one_instance(live: Live, open_page: OpenPage) -> None:
    page = open_page(live.signed_in("impatient@example.com"))
    page.goto(CONNECT)
    page.get_by_label("Access token", exact=True).fill(GOOD)

    page.get_by_role("button", name="Check and connect").dblclick()

    expect(page.get_by_role("heading", name="Copy this token now")).to_be_visible()
    page.goto("/instances")
    expect(page.get_by_role("rowheader")).to_have_count(1)


def test_a_form_is_sent_once_and_its_button_says_so_meanwhile(page: Page) -> None:
    page.route(f"**{CONNECT}", lambda route: route.fulfill(status=204))  # which leaves the page as it is
    page.evaluate("addEventListener('submit', (event) => (window.sent ??= []).push(!event.defaultPrevented))")

    page.get_by_role("button", name="Check and connect").click()

    expect(page.get_by_role("button", name="Checking at GitHub…")).to_be_disabled()
    expect(page.locator("#live")).to_have_text("Checking at GitHub…")
    page.get_by_label("Name", exact=True).press("Enter")
    assert page.evaluate("sent") == [True, False]


def test_a_secret_can_be_looked_at_while_typing(page: Page) -> None:
    secret, show = page.get_by_label("Access token", exact=True), page.get_by_role("button", name="Show Access token")
    secret.fill(GOOD)
    expect(secret).to_have_attribute("type", "password")

    show.click()
    expect(secret).to_have_attribute("type", "text")
    expect(show).to_have_attribute("aria-pressed", "true")
    show.click()
    expect(secret).to_have_attribute("type", "password")
    expect(secret).to_have_value(GOOD)


def test_the_summary_of_errors_has_the_focus_and_leads_to_each_field(page: Page) -> None:
    send_bad_connect_form(page)

    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    errors = {"Access token": "Access token does not look right", "Name": "Give it a name.", "Last day": "Choose the"}
    expect(summary.get_by_role("link")).to_contain_text([*errors.values()])
    for field, error in errors.items():
        summary.get_by_role("link", name=error).click()
        expect(page.get_by_label(field, exact=True)).to_be_focused()
        expect(page.get_by_label(field, exact=True)).to_have_accessible_description(re.compile(error))


def test_a_refusal_has_the_focus_and_what_was_entered_is_kept_but_for_the_key(page: Page) -> None:
    page.get_by_text("7 days").click()
    send("Check and connect", Access_token=TOKENS["github"]["revoked"], Name="My work")(page)

    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_role("alert")).to_contain_text("GitHub refused this key")
    expect(page.get_by_label("Name", exact=True)).to_have_value("My work")
    expect(page.get_by_label("7 days")).to_be_checked()
    expect(page.get_by_label("Access token", exact=True)).to_have_value("")


def test_the_last_day_is_asked_for_only_where_one_is_wanted(page: Page) -> None:
    day = page.get_by_label("Last day")
    expect(day).to_be_hidden()
    page.get_by_text("Another day").click()
    expect(day).to_be_visible()
