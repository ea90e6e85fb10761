"""The page of an instance: copying, tabs, and noticing the first call."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.live import Connected, Live
from tests.browser.states import CONNECT, try_key
from tests.form_client import FormClient

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def bob(live: Live) -> FormClient:
    """Whose instances these are."""
    return live.signed_in("bob@example.org")


@pytest.fixture
def instance(live: Live, bob: FormClient) -> Connected:
    """An instance that nobody has called."""
    return live.connect(bob, "Work")


@pytest.fixture
def page(open_page: OpenPage, bob: FormClient, instance: Connected) -> Page:
    """Its page."""
    page = open_page(bob, permissions=["clipboard-read", "clipboard-write"])
    page.goto(instance.path)
    return page


def test_copying_fills_the_clipboard_and_says_so(page: Page, instance: Connected) -> None:
    page.get_by_role("button", name="Copy the endpoint address").click()

    expect(page.locator("#live")).to_have_text("Copied")
    expect(page.get_by_role("button", name="Copied the endpoint address")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == instance.endpoint


def test_where_there_is_no_clipboard_the_text_is_selected(page: Page, instance: Connected) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.reload()

    page.get_by_role("button", name="Copy the endpoint address").click()

    expect(page.locator("#live")).to_have_text("Selected. Press Control C or Command C to copy.")
    assert page.evaluate("getSelection().toString()") == instance.endpoint


def test_the_client_that_was_chosen_last_is_open_on_every_instance(page: Page, live: Live, bob: FormClient) -> None:
    page.get_by_text("Cursor", exact=True).click()
    expect(page.get_by_text("~/.cursor/mcp.json")).to_be_visible()

    page.goto(live.connect(bob, "Another").path)

    expect(page.get_by_text("~/.cursor/mcp.json")).to_be_visible()
    expect(page.get_by_text("claude mcp add")).to_be_hidden()


def test_one_client_is_always_open_where_they_lie_side_by_side(page: Page) -> None:
    page.get_by_text("Claude Code", exact=True).click()

    expect(page.get_by_text("claude mcp add")).to_be_visible()


def test_the_page_notices_the_first_call_by_itself_and_says_when(page: Page, instance: Connected) -> None:
    expect(page.get_by_text("Waiting for the first call")).to_be_visible()

    instance.call("get_me")

    expect(page.get_by_role("heading", name="Last calls")).to_be_visible()
    expect(page.get_by_role("row", name="get_me")).to_contain_text("OK")
    expect(page.locator("#live")).to_have_text("The first call has come")
    expect(page.locator("#calls time").first).to_have_attribute("title", re.compile("your time, .* UTC"))


def test_a_message_stays_until_it_is_dismissed(page: Page) -> None:
    page.goto(CONNECT)
    try_key("good")(page)
    message = page.get_by_text("GitHub is connected.")
    expect(message).to_be_visible()

    page.get_by_role("button", name="Dismiss this message").click()

    expect(message).to_be_hidden()
    expect(page.get_by_role("main")).to_be_focused()
