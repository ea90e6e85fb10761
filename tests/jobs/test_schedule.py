"""When a job is due: slots of seconds, and days in a time zone, whatever the clocks do there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from mcpweb import queue
from mcpweb.jobs import (
    schedule,
    worker,  # noqa: F401 - lists the jobs
)
from mcpweb.jobs.schedule import PLANS, When, daily, every

BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def changes(when: When, begin: datetime, hours: int) -> list[datetime]:
    """The moments, to the minute, at which a new slot begins."""
    found, last = [], when.slot(begin)
    for minute in range(hours * 60 + 1):
        moment = begin + timedelta(minutes=minute)
        if when.slot(moment) != last:
            found.append(moment)
            last = when.slot(moment)
    return found


def test_every_job_on_the_schedule_is_one_that_a_worker_knows():
    assert set(queue._functions) >= set(PLANS)


def test_every_job_on_the_schedule_says_what_it_does():
    assert all(plan.does.endswith(".") and plan.does.count(".") == 1 for plan in PLANS.values())


def test_spans_begin_at_multiples_of_their_length():
    assert changes(every(1800), at("2026-11-23T00:01"), 2) == [
        at(f"2026-11-23T{time}") for time in ("00:30", "01:00", "01:30", "02:00")
    ]


def test_a_day_begins_at_its_time():
    when = daily("03:10")

    assert changes(when, at("2026-11-23T00:00"), 48) == [at("2026-11-23T03:10"), at("2026-11-24T03:10")]


@pytest.mark.parametrize(
    ("time", "begin", "expected"),
    [
        ("02:30", "2026-03-28T12:00", ["2026-03-29T01:30", "2026-03-30T00:30"]),  # 02:30 is skipped: 03:30 in summer
        ("02:30", "2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),  # 02:30 comes twice: the first
        ("00:00", "2026-03-28T12:00", ["2026-03-28T23:00", "2026-03-29T22:00"]),
        ("23:59", "2026-10-24T12:00", ["2026-10-24T21:59", "2026-10-25T22:59"]),
    ],
)
def test_where_the_clocks_change_a_daily_job_still_runs_once_a_day(time, begin, expected):
    assert changes(daily(time, BERLIN), at(begin), 36 if time != "02:30" else 38) == [at(text) for text in expected]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "America/New_York", "Australia/Lord_Howe"])
def test_in_every_zone_a_year_has_as_many_slots_as_days(zone):
    when = daily("02:15", zone)
    begin = at("2026-01-01T00:00")

    slots = [when.slot(begin + timedelta(minutes=30 * step)) for step in range(365 * 48)]

    assert slots == sorted(slots)
    assert len(set(slots)) in (365, 366)
    assert max(b - a for a, b in pairwise(slots)) == 1


@pytest.mark.parametrize("when", [every(30), every(3600), daily("03:10"), daily("02:30", BERLIN)])
def test_the_next_time_is_when_the_next_slot_begins(when):
    for hours in range(0, 24 * 300, 7):
        moment = at("2026-01-01T00:00") + timedelta(hours=hours)
        following = when.next_at(moment)
        assert following > moment
        assert when.slot(following) == when.slot(moment) + 1
        assert when.slot(following - timedelta(seconds=1)) == when.slot(moment)


@pytest.mark.parametrize("when", [When(), daily("25:00"), daily("nonsense"), daily("03:10", "Mars/Olympus")])
def test_what_can_not_be_read_is_an_error_that_can_be_told_from_others(when):
    with pytest.raises((ValueError, KeyError)):
        when.slot(at("2026-01-01T00:00"))


def test_utc_needs_no_list_of_time_zones(monkeypatch):
    def no_list(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(schedule, "ZoneInfo", no_list)

    assert daily("03:10").slot(at("2026-11-23T03:10")) == at("2026-11-23T00:00").toordinal()
