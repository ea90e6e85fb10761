"""The log viewer in a browser: new lines come by themselves, and not under one's hands."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.live import Live
from tests.browser.scene import Scene

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_a_followed_log_shows_what_is_new_and_waits_while_a_line_is_open(
    live: Live, scene: Scene, open_page: OpenPage
) -> None:
    page = open_page(scene.people["admin"])
    page.clock.install()
    page.goto("/admin/logs?category=security&q=link")
    page.get_by_role("link", name="Follow new lines").click()
    first = page.locator(".line").first
    first.locator("summary").first.click()
    before = page.locator(".line").count()

    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    live.asks("follow@example.com")
    page.clock.run_for(30_000)
    assert page.locator(".line").count() == before and first.get_attribute("open") is not None
    assert fetched == []

    first.locator("summary").first.click()
    page.clock.run_for(30_000)
    expect(page.locator(".line")).not_to_have_count(before)
