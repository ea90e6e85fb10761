"""Chromium, an installation for it to visit, and pages that must not complain."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests import tooling
from tests.browser.live import Live, running
from tests.browser.scene import Scene, play
from tests.form_client import FormClient, OverHttp
from tests.spec_server import SpecServer

_PATIENCE_MS = 15_000

OpenPage = Callable[..., Page]


# All of this ends with the package: while playwright runs, no other test of this process can use asyncio.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The browser."""
    try:
        path = tooling.chromium()
    except tooling.Missing as missing:
        pytest.skip(str(missing))
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def live(chromium: Browser, tmp_path_factory: pytest.TempPathFactory, github: SpecServer) -> Iterator[Live]:
    """The installation that all tests visit. Nobody uses its set-up link."""
    with running(tmp_path_factory.mktemp("live"), github) as installation:
        yield installation


@pytest.fixture(scope="package")
def scene(live: Live) -> Scene:
    """What there is to see in it."""
    return play(live)


@pytest.fixture(scope="package")
def alice(live: Live) -> FormClient:
    """Somebody who is signed in."""
    return live.signed_in("alice@example.com")


class Browsers:
    """Opens browsers, and notes in `complaints` what they hold against the pages."""

    def __init__(self, chromium: Browser, live: Live) -> None:
        self.complaints: list[str] = []
        self._chromium, self._live = chromium, live
        self._contexts: list[BrowserContext] = []

    def open(self, person: FormClient | None = None, *, width: int = 1280, **options: object) -> Page:
        """A page in a browser of its own: of nobody, or with the cookies of somebody."""
        person = person or self._live.visitor()
        context = self._chromium.new_context(
            base_url=self._live.url,
            ignore_https_errors=True,  # of deploy/loopback, whose certificate is its own
            viewport={"width": width, "height": 800},
            extra_http_headers={"X-Forwarded-For": person.headers["X-Forwarded-For"]},
            **options,
        )
        self._contexts.append(context)
        context.add_cookies(_cookies(person, self._live.url))
        context.set_default_timeout(_PATIENCE_MS)
        context.on("console", lambda message: self.complaints.extend(_complaint(message)))
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        return context.new_page()

    def close(self) -> None:
        """Close them all."""
        for context in self._contexts:
            context.close()


@pytest.fixture
def open_page(chromium: Browser, live: Live) -> Iterator[OpenPage]:
    """Opens a browser of its own: of nobody, or with the cookies of somebody. It must not complain of anything."""
    browsers = Browsers(chromium, live)
    yield browsers.open
    browsers.close()
    assert browsers.complaints == []


def _cookies(person: FormClient, url: str) -> list[dict[str, str]]:
    assert isinstance(person.transport, OverHttp)
    jar = person.transport.session.cookies
    return [{"name": cookie.name, "value": cookie.value or "", "url": url} for cookie in jar]


def _complaint(message: ConsoleMessage) -> list[str]:
    """What the browser holds against the page. That a page has an error's status is no fault of the page."""
    page = message.page
    is_status = message.text.startswith("Failed to load resource") and page and message.location["url"] == page.url
    return [] if message.type not in ("error", "warning") or is_status else [message.text]
