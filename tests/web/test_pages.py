"""Start page, help, theme and the ways of showing a time."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from mcpweb import clock
from mcpweb.database import db
from mcpweb.instances.models import Instance
from mcpweb.web import filters
from tests.spec_server import TOKENS


def test_the_start_page_leads_in(browser, alice):
    assert browser.open("GET", "/").headers["Location"] == "/sign-in"
    assert alice.open("GET", "/").headers["Location"] == "/instances"


def test_help_is_there_for_everybody(browser):
    assert browser.get("/help").status == 200


@pytest.mark.parametrize("theme", ["light", "dark", "system"])
def test_the_theme_is_kept_in_the_browser_and_one_stays_on_the_page(theme, browser):
    page = browser.get("/help")

    page = browser.submit(page.form("/theme"), button="", theme=theme)

    assert page.path == "/help"
    assert f'data-theme="{theme}"' in page.text


def test_who_changes_the_theme_while_signing_in_stays_where_they_are(browser, mailed):
    mail = mailed(browser)

    for path in ("/sign-in", "/sign-in/sent", mail.link):
        page = browser.get(path)
        assert browser.submit(page.form("/theme"), theme="dark").path == path


@pytest.mark.parametrize("theme", ["", "blue", '"><script>', "dark\0"])
def test_an_unknown_theme_changes_nothing(theme, browser):
    page = browser.get("/help")
    answer = browser.open("POST", "/theme", {**dict(page.form("/theme").fields), "theme": theme})

    assert answer.status == 303
    assert "theme=" not in "".join(answer.headers.getlist("Set-Cookie"))
    assert 'data-theme="system"' in browser.get("/help").text
    assert 'data-theme="system"' in browser.open("GET", "/help", Cookie=f"theme={theme}").text


def test_times_are_shown_in_the_time_zone_that_somebody_chose_and_days_end_there(alice):
    form = alice.get("/account").form("/time-zone")
    page = alice.submit(form, time_zone="Asia/Kolkata")  # five and a half hours ahead all year
    assert "Times are shown in Asia/Kolkata now." in page.text
    assert "<option selected>Asia/Kolkata</option>" in page.text
    assert " IST</time> now" in page.text

    day = (clock.utcnow() + timedelta(days=20)).date()
    connecting = alice.get("/services/github/connect")
    assert "until the end of this day, Asia/Kolkata." in connecting.text
    key = {"credential_token": TOKENS["github"]["good"]}
    alice.submit(connecting.form("/connect"), lifetime="custom", custom_day=day.isoformat(), label="Work", **key)
    ends_at = db.session.query(Instance).one().expires_at
    assert ends_at == datetime.combine(day, time(18, 29, 59), UTC)
    listed = alice.get("/instances").text
    assert f'title="{day.day} {day:%b %Y}, 23:59 IST (18:29 UTC)"' in listed

    page = alice.submit(alice.get("/account").form("/time-zone"), time_zone="")
    assert "Times are shown in UTC now." in page.text
    assert f'title="{filters.utc(ends_at)}"' in alice.get("/instances").text


def test_an_unknown_time_zone_changes_nothing(alice):
    fields = dict(alice.get("/account").form("/time-zone").fields)
    for name in ("Mars/Base", "../../etc/passwd", "/etc/localtime", "Europe", "UTC\0", "x" * 3000):
        answer = alice.open("POST", "/time-zone", {**fields, "time_zone": name})

        assert answer.status == 303
        assert "zone=" not in "".join(answer.headers.getlist("Set-Cookie"))
        page = alice.get("/account")
        assert "There is no such time zone." in page.text and " UTC</time> now" in page.text
        alice.transport.client.set_cookie("zone", name)
        assert " UTC</time> now" in alice.get("/account").text
        alice.transport.client.delete_cookie("zone")


@pytest.mark.parametrize(
    ("away", "words"),
    [
        (timedelta(seconds=-2), "just now"),
        (timedelta(seconds=10), "in a moment"),
        (timedelta(minutes=-1), "1 minute ago"),
        (timedelta(minutes=-59), "59 minutes ago"),
        (timedelta(hours=-5), "5 hours ago"),
        (timedelta(days=-1), "1 day ago"),
        (timedelta(days=30), "in 30 days"),
    ],
)
def test_a_time_reads_as_people_say_it(away, words, monkeypatch):
    now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    monkeypatch.setattr(clock, "utcnow", lambda: now)

    assert filters.ago(now + away) == words


def test_a_moment_reads_as_a_day_a_time_and_a_machine_readable_text():
    at = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)

    assert filters.utc(at) == "4 Mar 2026, 05:06 UTC"
    assert filters.day(at) == "4 March 2026"
    assert filters.iso(at) == "2026-03-04T05:06:07+00:00"
