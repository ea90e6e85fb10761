"""Every page in every state: nothing for axe to find, nothing beyond the edge, and no complaint in the console."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests import tooling
from tests.browser.axe import ALL, COLOURS, WIDTHS, faults, resize, thin_out
from tests.browser.conftest import Browsers, OpenPage
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


PageOf = Callable[[str], Page]


@pytest.fixture(scope="module")
def browsers(chromium: Browser, live: Live) -> Iterator[Browsers]:
    """They stay open: a new one for each state would take longer to start than the page takes to be looked at."""
    opened = Browsers(chromium, live)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def pages() -> dict[str, Page]:
    """The page of everybody who has one."""
    return {}


@pytest.fixture
def page_of(browsers: Browsers, pages: dict[str, Page], scene: Scene) -> Iterator[PageOf]:
    """Somebody's page, in the browser that is theirs in every state. It must not complain of anything."""
    browsers.complaints.clear()

    def page_of(who: str) -> Page:
        pages[who] = pages.get(who) or browsers.open(scene.people[who])
        resize(pages[who], WIDTHS[-1])
        return pages[who]

    yield page_of
    for page in pages.values():
        if page.url != "about:blank":  # else one that looks again by itself would go on beside the next
            page.goto("about:blank")
    assert browsers.complaints == []


@pytest.mark.parametrize("name", STATES)
def test_axe_finds_nothing_and_nothing_is_wider_than_a_narrow_phone(
    name: str, scene: Scene, page_of: PageOf, axe: Path
) -> None:
    state = STATES[name]
    page = page_of(state.who)
    state.reach(page, scene)
    page.wait_for_load_state()  # until then, Chromium may still go to the fragment of the address

    resize(page, NARROW)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW
    thin_out(page)
    for scheme, rules in zip(SCHEMES, (ALL, COLOURS), strict=True):
        # Not emulated: Chromium keeps some of the old colours when the system's scheme changes under a page.
        page.evaluate("scheme => { document.documentElement.dataset.theme = scheme }", scheme)
        assert faults(page, axe, rules) == [], scheme


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_in_the_mail(scheme: str, scene: Scene, live: Live, open_page: OpenPage, axe: Path) -> None:
    page = open_page(color_scheme=scheme)
    page.set_content(live.visitor().get(f"{scene.paths['mail']}/html").text)  # at its own address no script may run

    assert faults(page, axe) == []
    resize(page, NARROW)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW
