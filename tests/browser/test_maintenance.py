"""What administrators do to keep the house in order, in a browser, with JavaScript and without."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests import tooling
from tests.browser.axe import faults
from tests.browser.conftest import OpenPage
from tests.browser.live import Live
from tests.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

AT = "/admin/maintenance"
KEPT = "Logs of pages, calls, jobs and instances are kept (days)"


@pytest.mark.parametrize("scripted", [True, False], ids=["with JavaScript", "without"])
def test_schedules_runs_integrity_policies_and_maintenance_mode(
    scripted: bool, live: Live, open_page: OpenPage
) -> None:
    admin = live.administrator(f"upkeep-{scripted}@example.com".lower())
    page = open_page(admin, java_script_enabled=scripted)
    _change_a_schedule(page)
    _close_a_day_and_damage_it(page, live)
    _decide(page)
    visitor = open_page(live.visitor(), java_script_enabled=scripted)
    _close_and_open(page, visitor, scripted)


def _press(page: Page, name: str) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name=name).first.click()


def _change_a_schedule(page: Page) -> None:
    page.goto(f"{AT}/recount/schedule")
    page.get_by_label("Time of day").fill("04:15")
    _press(page, "Preview")
    expect(page.get_by_text("Nothing is saved yet.")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="04:15 UTC")).to_have_count(5)
    _press(page, "Save the schedule")
    expect(page.get_by_text("Daily at 04:15 UTC").first).to_be_visible()
    _press(page, "Restore the default")


def _run(page: Page, button: str) -> None:
    """Start a job of the logs, and look again until it has ended."""
    _press(page, button)
    waiting = page.get_by_role("link", name="Look again")

    def is_done() -> bool:
        if waiting.count():
            with page.expect_navigation():
                waiting.click()
        return waiting.count() == 0

    until(is_done, f"{button} has ended")


def _close_a_day_and_damage_it(page: Page, live: Live) -> None:
    day = (datetime.now(UTC) - timedelta(days=3)).date()
    plain = live.home / "logs" / "system" / f"app-{day}.jsonl"
    packed = Path(f"{plain}.gz")
    if not packed.exists():
        plain.write_text(json.dumps({"time": f"{day}T12:00:00.000Z", "message": "an old line"}) + "\n")
    page.goto(f"{AT}/logs")
    _run(page, "Run now log maintenance")
    whole = packed.read_bytes()
    packed.write_bytes(whole[:-9] + bytes(9))
    _run(page, "Verify now the log files")
    expect(page.get_by_text("Not whole")).to_be_visible()
    page.get_by_text("to know").first.click()
    expect(page.get_by_text(f"app-{day}.jsonl").first).to_be_visible()
    packed.write_bytes(whole)
    _run(page, "Verify now the log files")
    expect(page.get_by_text("Every closed day is there and unchanged.")).to_be_visible()


def _decide(page: Page) -> None:
    page.goto(f"{AT}/policies/logs")
    page.get_by_label(KEPT).fill("2")
    _press(page, "Preview")
    expect(page.get_by_text("The next maintenance of this host would delete 1 file")).to_be_visible()
    expect(page.get_by_text("Nothing is saved yet.")).to_be_visible()
    page.get_by_label(KEPT).fill("29")
    _press(page, "Save")
    expect(page.get_by_role("row", name=KEPT[:20])).to_contain_text("29 days")
    _press(page, "Restore the default")
    expect(page.get_by_role("row", name=KEPT[:20])).to_contain_text("Never")


def _close_and_open(page: Page, visitor: Page, scripted: bool) -> None:
    page.goto(f"{AT}/mode")
    page.get_by_label("Message").fill("New disk.")
    _press(page, "Switch on")
    try:
        page.goto("/instances")
        expect(page.get_by_text("Maintenance mode is on until")).to_be_visible()
        visitor.goto("/instances")
        expect(visitor.get_by_role("heading", name="Closed for maintenance")).to_be_visible()
        expect(visitor.get_by_text("New disk.")).to_be_visible()
        if scripted:
            assert faults(visitor, tooling.axe()) == []
    finally:
        page.goto(f"{AT}/mode")
        _press(page, "Switch off")
    visitor.get_by_role("link", name="Look again").click()
    expect(visitor.get_by_role("heading", name="Sign in")).to_be_visible()
