"""Everything can be reached with the keyboard, in the order in which it is seen, and one sees where one is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.states import CONNECT
from tests.form_client import FormClient

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SKIP = "Skip to the content"
FOOTER = ["Help", "System", "Light", "Dark"]
# What has the focus: how it is called, whether a line of 2 px shows it, and whether something lies over it.
_FOCUSED = """() => {
  const here = document.activeElement;
  const words = (here.labels?.[0] ?? here).cloneNode(true);
  words.querySelectorAll("[aria-hidden=true]").forEach((decoration) => decoration.remove());
  const label = here.closest("label") ?? here;
  const styles = [getComputedStyle(here), getComputedStyle(here, "::after"), getComputedStyle(label)];
  const box = here.getBoundingClientRect();
  const over = document.elementFromPoint(box.x + Math.min(box.width / 2, 100), box.y + box.height / 2);
  return {
    name: here === document.body ? "" : words.textContent.replace(/\\s+/g, " ").trim(),
    isRinged: styles.some((style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2),
    isCovered: !label.contains(over),
  };
}"""


def walk(page: Page, key: str) -> Iterator[str]:
    """The names of what gets the focus, once through the page; each time it has to be seen."""
    first = None
    while True:
        page.keyboard.press(key)
        focused = page.evaluate(_FOCUSED)
        if focused["name"] in ("", first):
            return
        first = first or focused["name"]
        assert focused["isRinged"] and not focused["isCovered"], focused
        yield focused["name"]


def test_the_skip_link_leads_past_the_navigation(open_page: OpenPage, alice: FormClient) -> None:
    page = open_page(alice)
    page.goto("/services")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name=SKIP)).to_be_focused()
    expect(page.get_by_role("link", name=SKIP)).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Connect Figma")).to_be_focused()


def test_the_sign_in_page_starts_at_the_address(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/sign-in")

    expect(page.get_by_label("E-mail address")).to_be_focused()
    assert list(walk(page, "Tab")) == ["Send me a link", *FOOTER]
    assert list(walk(page, "Shift+Tab")) == [
        *reversed([SKIP, "mcpweb", "Mailbox", "E-mail address", "Send me a link", *FOOTER])
    ]


def test_the_connect_form_is_walked_through_as_it_is_seen(open_page: OpenPage, alice: FormClient) -> None:
    page = open_page(alice)
    page.set_viewport_size({"width": 1280, "height": 400})  # so that the page scrolls under its header
    page.goto(CONNECT)
    header = [SKIP, "mcpweb", "Instances", "Services", "Account", "Mailbox", "Your account: alice@example.com"]
    form = ["Copy the permissions", "Create a classic token at GitHub, with these scopes preset (opens a new tab)"]
    form += ["Access token", "Show Access token", "Name", "30 days", "Check and connect", "Cancel"]

    assert list(walk(page, "Tab")) == [*header, "Services", *form, *FOOTER]
    assert list(walk(page, "Shift+Tab")) == [*reversed([*header, "Services", *form, *FOOTER])]


def test_a_menu_is_opened_and_closed_with_the_keyboard(open_page: OpenPage, alice: FormClient) -> None:
    page = open_page(alice)
    page.goto("/instances")
    opener = page.get_by_role("button", name="Your account")
    opener.focus()

    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Sign out")).to_be_focused()
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
