"""How times read on a page."""

from __future__ import annotations

from datetime import datetime

from flask import Flask

from mcpweb import clock
from mcpweb.web.time_zone import zone

_UNITS = ((60, "minute", 60), (3600, "hour", 24), (86400, "day", 1_000_000))


def init_app(app: Flask) -> None:
    """Make the filters known to the templates."""
    app.add_template_filter(ago)
    app.add_template_filter(utc)
    app.add_template_filter(full)
    app.add_template_filter(both)
    app.add_template_filter(iso)
    app.add_template_filter(day)
    app.add_template_filter(own_day)
    app.add_template_filter(axis)


def ago(at: datetime) -> str:
    """`3 minutes ago`, `in 5 days`, `just now`."""
    seconds = (clock.utcnow() - at).total_seconds()
    # Rounded, so that what was just given 30 days does not end "in 29 days".
    count, unit = next((count, unit) for size, unit, most in _UNITS if (count := round(abs(seconds) / size)) < most)
    if count == 0:
        return "just now" if seconds >= 0 else "in a moment"
    words = f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{words} ago" if seconds > 0 else f"in {words}"


def utc(at: datetime) -> str:
    """`23 Nov 2026, 14:05 UTC`."""
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def full(at: datetime) -> str:
    """`23 Nov 2026, 15:05 CET`: in the reader's zone."""
    there = at.astimezone(zone())
    return f"{there.day} {there:%b %Y, %H:%M %Z}"


def both(at: datetime) -> str:
    """`23 Nov 2026, 15:05 CET (14:05 UTC)`: in the reader's zone, and in UTC where that is another."""
    there, here = full(at), utc(at)
    if there == here:
        return here
    same_day = at.astimezone(zone()).date() == at.date()
    return f"{there} ({here.rpartition(', ')[2] if same_day else here})"


def iso(at: datetime) -> str:
    """For the `datetime` attribute."""
    return at.isoformat(timespec="seconds")


def day(at: datetime) -> str:
    """`23 November 2026`, in UTC."""
    return f"{at.day} {at:%B %Y}"


def own_day(at: datetime) -> str:
    """`23 November 2026`: the day of the reader's zone."""
    return day(at.astimezone(zone()))


def axis(at: datetime, by_day: bool) -> str:
    """A place on a chart's axis: `23 Nov` or `23 Nov, 14:00`, in UTC."""
    return f"{at.day} {at:%b}" if by_day else f"{at.day} {at:%b, %H:%M}"
