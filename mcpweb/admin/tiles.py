"""The figures of the dashboard: a word, a value, what stands beside it, its last hour, and the lines behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from mcpweb.admin.log_filter import stamp
from mcpweb.admin.trends import trend
from mcpweb.instances.traffic import OURS, THEIRS
from mcpweb.monitoring.figures import Figures, Line

_SPAN = "Last hour"
NOTHING = "–"  # noqa: RUF001 - a dash, as everywhere where there is no number


def tiles(figures: Figures) -> Sequence[dict[str, Any]]:
    """All of them, in the order in which they are looked at."""
    hour, lines = figures.hour, figures.lines
    calls = _lines(figures, "tools/call")
    of_calls = f"of {_count(hour.calls)} calls" if hour.calls else "no call within an hour"
    return [
        _tile("Calls a minute", _rate(figures.per_minute), f"{_count(hour.calls)} in an hour", calls, lines["calls"]),
        _tile(
            "Failed here", _percent(hour.share(hour.faults)), f"{_count(hour.faults)} {of_calls}",
            _lines(figures, f"tools/call {OURS}"), lines["faults"], unit="%",
        ),
        _tile(
            "Failed at services", _percent(hour.share(hour.upstream_errors)),
            f"{_count(hour.upstream_errors)} {of_calls}", _lines(figures, f"tools/call {THEIRS}"),
            lines["upstream"], unit="%",
        ),
        _tile(
            "95 of 100 within", _ms(hour.p95_ms), f"half within {_ms(hour.p50_ms)}" if hour.calls else "no call",
            calls, lines["p95_ms"], unit="ms",
        ),
        _tile(
            "Active instances", _count(figures.active_instances), f"of {_count(figures.instances)}",
            "/admin/instances?state=active", lines["instances"], from_zero=False,
        ),
        _tile("Users", _count(figures.users), _admins(figures.admins), "/admin/users", lines["users"], from_zero=False),
        _tile(
            "Jobs in the queue", "?" if figures.waiting is None else _count(figures.waiting),
            "Redis does not answer" if figures.waiting is None else "wait for a worker",
            "/admin/maintenance", lines["waiting"],
        ),
        _tile(
            "From the cache", NOTHING if figures.cache_share is None else _percent(figures.cache_share),
            "of accesses in an hour", _lines(figures, '"access cache"'), lines["cache"], unit="%",
        ),
    ]  # fmt: skip


def _lines(figures: Figures, text: str) -> str:
    """Where the lines of the very hour are that the figures count."""
    return "/admin/logs?" + urlencode({"category": "performance", "q": text, "since": stamp(figures.since)})


def _tile(
    word: str, value: str, beside: str, link: str, line: Line, unit: str = "", *, from_zero: bool = True
) -> dict[str, Any]:
    words = {"%": _percent, "ms": _ms}.get(unit, _count)
    top = 100.0 if word == "From the cache" else {"%": 5.0}.get(unit, 4.0)
    drawn = trend(line, words, _SPAN, top if from_zero else None, from_zero=from_zero)
    return {"word": word, "value": value, "beside": beside, "link": link, "trend": drawn}


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _rate(value: float) -> str:
    return f"{value:,.1f}" if 0 < value < 10 else _count(value)


def _percent(value: float) -> str:
    if 0 < value < 0.1:
        return "< 0.1 %"
    return f"{value:.1f} %" if 0 < value < 99.95 else f"{value:.0f} %"


def _ms(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value / 1000:.1f} s" if value >= 1000 else f"{value:.0f} ms"


def _admins(count: int) -> str:
    return f"{_count(count)} administrator{'' if count == 1 else 's'}"
