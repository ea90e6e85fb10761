"""The main road without JavaScript, from an empty installation to a call that is seen."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.live import Connected, Live, running
from tests.browser.states import CONNECT, try_key
from tests.spec_server import SpecServer
from tests.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def live(chromium: Browser, tmp_path_factory: pytest.TempPathFactory, github: SpecServer) -> Iterator[Live]:
    """An installation of its own, which nobody has set up yet."""
    with running(tmp_path_factory.mktemp("empty"), github) as installation:
        yield installation


def test_everything_from_the_set_up_link_to_the_first_call(live: Live, open_page: OpenPage) -> None:
    administrator = open_page(java_script_enabled=False)
    _set_up(administrator, live)
    _sign_out(administrator)

    page = open_page(java_script_enabled=False)
    page.goto(CONNECT)
    _sign_in(page, live, "alice@example.com")
    expect(page).to_have_url(re.compile(f"{CONNECT}$"))
    instance = _connect(page)
    _choose_client(page)
    _see_first_call(page, instance)
    _look_at_the_log(page)
    _sign_out(page)


def _set_up(page: Page, live: Live) -> None:
    page.goto(live.setup_link)
    page.get_by_label("E-mail address").fill("carol@example.com")
    page.get_by_role("button", name="Become administrator").click()
    expect(page.get_by_role("heading", name="Instances")).to_be_visible()
    page.get_by_role("link", name="Account").click()
    expect(page.get_by_text("Administrator", exact=True)).to_be_visible()


def _sign_in(page: Page, live: Live, email: str) -> None:
    page.get_by_label("E-mail address").fill(email)
    page.get_by_role("button", name="Send me a link").click()
    page.get_by_role("link", name="Check again").click()
    expect(page.get_by_text("Waiting for the link to be opened")).to_be_visible()
    until(lambda: live.mails(email), "the mail is in the mailbox")
    page.get_by_role("link", name="Open the local mailbox").click()
    page.get_by_role("row", name=email).get_by_role("link").click()
    page.get_by_role("link", name="/sign-in/").click()
    page.get_by_role("button", name=f"Sign in as {email}").click()


def _connect(page: Page) -> Connected:
    try_key("revoked")(page)
    expect(page.get_by_role("alert")).to_contain_text("GitHub refused this key")
    try_key("good")(page)
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)  # what would need a script is not there
    token, endpoint = page.locator("#token").inner_text(), page.locator("#endpoint").inner_text()
    return Connected(page.url, endpoint, token)


def _choose_client(page: Page) -> None:
    expect(page.get_by_text("claude mcp add")).to_be_visible()
    page.get_by_text("Cursor", exact=True).click()
    expect(page.get_by_text("~/.cursor/mcp.json")).to_be_visible()
    expect(page.get_by_text("claude mcp add")).to_be_hidden()


def _see_first_call(page: Page, instance: Connected) -> None:
    expect(page.get_by_text("Waiting for the first call")).to_be_visible()
    instance.call("get_me")
    page.get_by_role("link", name="Check again").click()
    expect(page.get_by_role("heading", name="Last calls")).to_be_visible()
    expect(page.get_by_role("row", name="get_me")).to_contain_text("OK")


def _look_at_the_log(page: Page) -> None:
    """Search, open a call, export it, and look at the numbers: all of it is links and forms."""
    page.get_by_role("link", name="All calls").click()
    row = page.locator("details.call")

    def filtered() -> bool:
        page.get_by_label("Outcome").select_option("ok")
        page.get_by_role("button", name="Filter").click()
        return row.count() == 1

    until(filtered, "the call is in the index")
    row.locator("summary").click()
    expect(row.get_by_text("Request id")).to_be_visible()
    with page.expect_download() as exported:
        page.get_by_role("link", name="CSV").click()
    assert "get_me" in exported.value.path().read_text()
    page.get_by_role("link", name="Usage").click()
    expect(page.get_by_role("img", name="Calls by hour")).to_be_visible()
    page.get_by_text("As a table").click()
    expect(page.get_by_role("region", name="Calls by hour").get_by_role("row")).to_have_count(2)


def _sign_out(page: Page) -> None:
    page.get_by_role("button", name="Your account").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto("/instances")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
