"""Every page in every state: nothing for axe to find, nothing beyond the edge, and no complaint in the console."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import tooling
from tests.browser.axe import ALL, COLOURS, faults, resize
from tests.browser.conftest import OpenPage
from tests.browser.live import Live
from tests.browser.scene import Scene
from tests.browser.states import STATES

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser states")]  # long, so beside the others

SCHEMES = ("light", "dark")
NARROW = 320


@pytest.fixture(scope="module")
def axe() -> Path:
    """The script of axe-core."""
    try:
        return tooling.axe()
    except tooling.Missing as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("name", STATES)
def test_axe_finds_nothing_and_nothing_is_wider_than_a_narrow_phone(
    name: str, scene: Scene, open_page: OpenPage, axe: Path
) -> None:
    state = STATES[name]
    page = open_page(scene.people[state.who])
    state.reach(page, scene)

    for scheme, rules in zip(SCHEMES, (ALL, COLOURS), strict=True):
        # Not emulated: Chromium keeps some of the old colours when the system's scheme changes under a page.
        page.evaluate("scheme => { document.documentElement.dataset.theme = scheme }", scheme)
        assert faults(page, axe, rules) == [], scheme
    resize(page, NARROW)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_in_the_mail(scheme: str, scene: Scene, live: Live, open_page: OpenPage, axe: Path) -> None:
    page = open_page(color_scheme=scheme)
    page.set_content(live.visitor().get(f"{scene.paths['mail']}/html").text)  # at its own address no script may run

    assert faults(page, axe) == []
    resize(page, NARROW)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW
