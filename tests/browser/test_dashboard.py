"""The dashboard in a browser: it looks again by itself, unless it is told not to, and takes nobody's place away."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.scene import Scene

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

HIDE = "is => { Object.defineProperty(document, 'hidden', { value: is, configurable: true }) }"
MARK = "() => { document.querySelector('.looked').textContent = 'old' }"


def test_it_looks_again_by_itself_until_it_is_paused_or_hidden(scene: Scene, open_page: OpenPage) -> None:
    page = open_page(scene.people["admin"])
    page.clock.install()
    page.goto("/admin")
    looked, users = page.locator(".looked"), page.get_by_role("link", name="Users", exact=True)
    page.evaluate(MARK)
    users.focus()

    page.clock.run_for(15_000)
    expect(looked).to_contain_text("As of")
    expect(users).to_be_focused()

    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    page.get_by_role("button", name="Pause").click()
    page.clock.run_for(60_000)
    expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Pause").click()
    page.evaluate(HIDE, True)
    page.clock.run_for(60_000)
    assert fetched == []

    page.evaluate(HIDE, False)
    page.evaluate(MARK)
    page.clock.run_for(15_000)
    expect(looked).to_contain_text("As of")
