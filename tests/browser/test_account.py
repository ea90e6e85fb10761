"""One's sessions: ending another one, and signing out."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.live import Live

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_a_session_that_is_ended_elsewhere_is_over_at_once(live: Live, open_page: OpenPage) -> None:
    here, there = (open_page(live.signed_in("sessions@example.com")) for _ in range(2))
    there.goto("/account")

    here.goto("/account")
    here.get_by_role("button", name="End session").click()

    expect(here.get_by_text("The session has ended.")).to_be_visible()
    expect(here.get_by_role("region", name="Sessions").get_by_role("listitem")).to_have_count(1)
    there.reload()
    expect(there).to_have_url(re.compile(r"/sign-in\?next=/account$"))


def test_signing_out_is_in_the_menu_behind_ones_address(live: Live, open_page: OpenPage) -> None:
    page = open_page(live.signed_in("leaving@example.com"))
    page.goto("/instances")

    page.get_by_role("button", name="Your account: leaving@example.com").click()
    page.get_by_role("button", name="Sign out").click()

    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("E-mail address")).to_be_visible()
