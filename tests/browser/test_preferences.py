"""Colours, motion and contrast are as the person wants them."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.scene import Scene
from tests.form_client import FormClient

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

COLOURS = {"light": "rgb(250, 250, 251)", "dark": "rgb(14, 15, 18)"}


@pytest.mark.parametrize("scheme", COLOURS)
def test_the_colours_follow_the_system(scheme: str, open_page: OpenPage) -> None:
    page = open_page(color_scheme=scheme)
    page.goto("/help")
    expect(page.locator("html")).to_have_css("background-color", COLOURS[scheme])


@pytest.mark.parametrize(("chosen", "system"), [("dark", "light"), ("light", "dark")])
def test_a_chosen_theme_is_there_from_the_first_paint(chosen: str, system: str, open_page: OpenPage) -> None:
    page = open_page(color_scheme=system, java_script_enabled=False)  # so nothing can mend a wrong first paint
    page.goto("/help?from=somewhere")

    page.get_by_role("button", name=chosen.capitalize(), exact=True).click()

    for _ in range(2):
        expect(page.get_by_role("button", name=chosen.capitalize(), exact=True)).to_have_attribute(
            "aria-pressed", "true"
        )
        expect(page.locator("html")).to_have_css("background-color", COLOURS[chosen])
        assert page.url.endswith("/help?from=somewhere")
        page.reload()


def test_the_choice_can_be_taken_back(open_page: OpenPage) -> None:
    page = open_page(color_scheme="light")
    page.goto("/help")
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_css("background-color", COLOURS["dark"])
    page.get_by_role("button", name="System").click()
    expect(page.locator("html")).to_have_css("background-color", COLOURS["light"])


def test_nothing_moves_for_those_who_want_it_still(scene: Scene, open_page: OpenPage) -> None:
    page = open_page(scene.people["waiting"], reduced_motion="reduce")
    page.goto("/sign-in/sent")
    assert page.evaluate("document.getAnimations().length") == 0


def test_what_is_chosen_can_be_seen_in_forced_colours(open_page: OpenPage, alice: FormClient) -> None:
    page = open_page(alice, forced_colors="active")
    page.goto("/services/github/connect")
    for chosen in (page.locator(".choice", has_text="30 days"), page.get_by_role("link", name="Services").first):
        expect(chosen).to_have_css("outline-style", "solid")
