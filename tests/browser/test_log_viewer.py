"""The log viewer in a browser, with and without a script: find, zoom, keep, export, follow, and all of it by keys."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.live import Connected, Live
from tests.browser.scene import Scene
from tests.form_client import FormClient
from tests.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

CALLS = "/admin/logs?category=performance&q=get_me"
_CANCEL = """() => {
  const note = document.querySelector("[data-slow]");
  window.shown = 0;
  const press = () => { if (!note.hidden) { shown += 1; note.querySelector("button").click(); } };
  new MutationObserver(press).observe(note, { attributes: true });
}"""
"""Presses the button when it comes up. Playwright itself waits for the new page first."""


@pytest.fixture
def admin(scene: Scene) -> FormClient:
    """Who looks at the log."""
    return scene.people["admin"]


@pytest.fixture(scope="module")
def instance(live: Live, alice: FormClient) -> Connected:
    """Something that is called, twice already."""
    made = live.connect(alice, "Watched")
    made.call("get_me")
    made.call("get_me")
    return made


@pytest.fixture
def calls(admin: FormClient, instance: Connected) -> Callable[[], None]:
    """Calls a tool, and waits until the log shows it."""

    def count() -> int:
        return admin.get(f"{CALLS}&instance={instance.path.rpartition('/')[2]}").text.count("data-line=")

    def call() -> None:
        before = count()
        instance.call("get_me")
        until(lambda: count() == before + 1, "the call is in the index")

    until(lambda: count() >= 2, "the first calls are in the index")
    return call


@pytest.mark.parametrize("script", [True, False], ids=["with-script", "without"])
def test_lines_are_found_narrowed_down_zoomed_kept_and_exported(
    script: bool, admin: FormClient, instance: Connected, calls: Callable[[], None], open_page: OpenPage
) -> None:
    page = open_page(admin, java_script_enabled=script)
    page.goto("/admin/logs")
    page.get_by_label("Search in the logs").fill("get_me")
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_role("link", name="Only Watched").click()
    rows = page.locator(".line")
    found = rows.count()
    assert found >= 2 and page.locator("mark", has_text="get_me").count() >= 2

    page.get_by_text("As a table").click()
    page.get_by_role("region", name="Lines by").get_by_role("link").last.click()
    expect(page).to_have_url(re.compile("since="))
    assert 0 < rows.count() <= found

    rows.first.locator("summary").first.click()
    page.get_by_role("link", name="50 lines before and after").first.click()
    expect(page.get_by_role("heading", name="A line and its neighbours")).to_be_visible()
    expect(page.locator(".line--here")).to_contain_text("get_me")
    page.go_back()
    _keep(page, "Mine" if script else "Mine too")
    _export(page)


def _keep(page: Page, name: str) -> None:
    page.get_by_text("Saved and recent searches").click()
    page.get_by_label("Name for the search in view").fill(name)
    page.get_by_role("button", name="Save search").click()
    expect(page.get_by_role("status").first).to_contain_text("is kept")
    page.goto("/admin/logs")
    page.get_by_text("Saved and recent searches").click()
    page.get_by_role("link", name=name, exact=True).click()
    expect(page).to_have_url(re.compile("q=get_me.*instance="))


def _export(page: Page) -> None:
    """The three files hold the same lines, and those of the page."""
    ids = page.locator("[data-line]").count()
    page.get_by_role("link", name="Export", exact=True).click()
    texts = {}
    for name in ("JSON lines", "CSV", "Text"):
        with page.expect_download() as got:
            page.get_by_role("link", name=name, exact=True).click()
        texts[name] = got.value.path().read_text()
    lines = [json.loads(line) for line in texts["JSON lines"].splitlines()]
    rows = list(csv.DictReader(texts["CSV"].splitlines()))
    assert [json.loads(row["line"]) for row in rows] == lines and len(lines) == ids
    assert [row["time"] for row in rows] == [line.split(" ")[0] for line in texts["Text"].splitlines()]
    assert all(line["tool"] == "get_me" for line in lines)


def test_new_lines_come_by_themselves_and_wait_while_somebody_reads(
    admin: FormClient, calls: Callable[[], None], open_page: OpenPage
) -> None:
    page = open_page(admin)
    page.clock.install()
    page.goto(CALLS)
    page.get_by_role("link", name="Follow new lines").click()
    rows = page.locator(".lines > li")
    before = rows.count()

    calls()
    page.clock.run_for(2_100)
    expect(rows).to_have_count(before + 1)
    page.clock.run_for(100)
    expect(page.locator("#live")).to_have_text("1 new line")

    rows.nth(1).locator("summary").first.click()
    calls()
    calls()
    page.clock.run_for(2_100)
    news = page.get_by_role("button", name="2 new lines")
    expect(news).to_be_visible()
    expect(rows).to_have_count(before + 1)
    news.click()
    expect(rows).to_have_count(before + 3)
    stamps = page.locator(".lines > li").evaluate_all(
        "rows => rows.map((row) => Number(row.dataset.cursor.split('.')[0]))"
    )
    assert stamps == sorted(stamps, reverse=True)

    page.evaluate("Object.defineProperty(document, 'hidden', { get: () => true })")
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    page.clock.run_for(60_000)
    assert fetched == [], "nobody looks"


def test_a_page_that_follows_for_long_keeps_a_thousand_rows(
    admin: FormClient, calls: Callable[[], None], open_page: OpenPage
) -> None:
    page = open_page(admin)
    page.clock.install()
    page.goto(f"{CALLS}&follow=1")
    # As if the page had been open for a day: many copies of its oldest row.
    page.evaluate("""() => {
      const list = document.querySelector("[data-tail]");
      for (let number = 0; number < 1100; number++) {
        const row = list.lastElementChild.cloneNode(true);
        row.dataset.cursor = `${number}.0`;
        list.append(row);
      }
    }""")
    calls()
    page.clock.run_for(2_100)
    expect(page.locator(".lines > li")).to_have_count(1000)


def test_the_keys_move_open_and_lead_on_and_can_be_switched_off(
    admin: FormClient, calls: Callable[[], None], open_page: OpenPage
) -> None:
    page = open_page(admin)
    page.goto("/admin/logs?category=performance")
    heads = page.locator(".line > summary")

    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(heads.nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(heads.first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".line").first).to_have_attribute("open", "")
    page.keyboard.press("f")
    expect(page.locator(".facets__body a").first).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("Search in the logs")).to_be_focused()
    page.keyboard.type("jk?")
    expect(page.get_by_label("Search in the logs")).to_have_value("jk?")
    heads.nth(2).focus()
    page.keyboard.press("c")
    expect(page.get_by_role("heading", name="A line and its neighbours")).to_be_visible()
    page.go_back()
    for key, where in (("[", "before="), ("]", "after=")):
        with page.expect_navigation(url=re.compile(where)):
            page.keyboard.press(key)
    page.goto("/admin/logs?category=performance")
    with page.expect_navigation():
        page.keyboard.press("t")
    expect(page.get_by_role("link", name="Stop following")).to_be_visible()

    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    dialog.get_by_label("Use these keys").uncheck()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.reload()
    page.keyboard.press("?")
    page.keyboard.press("/")
    expect(dialog).to_be_hidden()
    expect(page.get_by_label("Search in the logs")).not_to_be_focused()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(dialog.get_by_label("Use these keys")).not_to_be_checked()


def test_times_are_ones_own_when_one_likes_and_the_address_keeps_utc(
    admin: FormClient, calls: Callable[[], None], open_page: OpenPage
) -> None:
    page = open_page(admin, timezone_id="America/Phoenix")  # seven hours behind all year
    page.goto(CALLS)
    page.get_by_role("button", name="Your time").click()
    time = page.locator(".line time").first
    at = datetime.fromisoformat(time.get_attribute("datetime") or "").astimezone(timezone(timedelta(hours=-7)))
    expect(time).to_contain_text(f"{at:%H:%M:%S}.")
    expect(page.get_by_text("times in your time (America/Phoenix)")).to_be_visible()

    page.get_by_text("From and until").click()
    page.get_by_label("From,").fill("2026-01-01T05:00")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page).to_have_url(re.compile(re.escape("since=2026-01-01T12%3A00%3A00.000Z")))
    expect(page.get_by_label("From,")).to_have_value(re.compile("2026-01-01T05:00"))
    page.get_by_role("button", name="UTC").click()
    expect(page.locator(".line time").first).to_contain_text(f"{at.astimezone(UTC):%H:%M:%S}.")

    page.goto("/account")
    page.get_by_label("Show times and days in").select_option("America/New_York")  # which has a summer time
    page.get_by_role("button", name="Save time zone").click()
    page.goto("/admin/logs?since=2026-03-08T07:30:00Z&until=2026-07-01T12:00:00Z")
    page.get_by_role("button", name="Your time").click()
    since = page.get_by_label("From, your time (America/New_York)")
    expect(since).to_have_value(re.compile("2026-03-08T03:30"))
    since.fill("2026-03-08T01:30")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page).to_have_url(re.compile(re.escape("since=2026-03-08T06%3A30%3A00.000Z")))
    expect(page).to_have_url(re.compile(re.escape("until=2026-07-01T12%3A00%3A00.000Z")))


def test_a_search_that_takes_long_can_be_cancelled_and_everything_stays(
    admin: FormClient, calls: Callable[[], None], open_page: OpenPage
) -> None:
    page = open_page(admin)
    page.goto(CALLS)
    held: list[Route] = []
    page.route("**/admin/logs?*", lambda route: held.append(route))  # and never answered
    cancel = page.get_by_role("button", name="Cancel the search")
    expect(cancel).to_be_hidden()
    page.evaluate(_CANCEL)
    for name, role in (("Search", "button"), ("Last 7 days", "link")):
        page.get_by_label("Search in the logs").fill("get_me slow")
        page.get_by_role(role, name=name, exact=True).click(no_wait_after=True)
        expect(cancel).to_be_hidden()
        expect(page.locator("#live")).to_have_text("The search was cancelled.")
    assert len(held) == page.evaluate("shown") == 2 and page.url.endswith(CALLS)
    expect(page.get_by_label("Search in the logs")).to_have_value("get_me slow")
    expect(page.locator(".line").first).to_be_visible()

    page.unroute_all()
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page).to_have_url(re.compile("q=get_me\\+slow"))


def test_on_paper_is_what_was_found_with_its_times_once(
    admin: FormClient, calls: Callable[[], None], open_page: OpenPage
) -> None:
    page = open_page(admin)
    said = "time => getComputedStyle(time, '::after').content"
    page.goto(CALLS)
    page.emulate_media(media="print")
    expect(page.locator(".line").first).to_be_visible()
    for what in (".header", ".filters", ".beside", ".facets", ".button"):
        expect(page.locator(what).first).to_be_hidden()
    assert page.locator(".line time").first.evaluate(said) == "none", "it is written out already"
    page.goto("/admin")
    assert page.locator(".health time").first.evaluate(said) != "none", "on paper nobody can point at it"
