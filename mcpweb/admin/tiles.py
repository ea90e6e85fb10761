"""The figures of the dashboard: a word, a value, what stands beside it, its last hour, and the lines behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcpweb.admin.trends import trend
from mcpweb.monitoring.figures import Figures, Line

_CALLS = "/admin/logs?category=performance&range=1h"
_SPAN = "Last hour"
NOTHING = "–"  # noqa: RUF001 - a dash, as everywhere where there is no number


def tiles(figures: Figures) -> Sequence[dict[str, Any]]:
    """All of them, in the order in which they are looked at."""
    hour, lines = figures.hour, figures.lines
    of_calls = f"of {_count(hour.calls)} calls" if hour.calls else "no call within an hour"
    return [
        _tile("Calls a minute", _rate(figures.per_minute), f"{_count(hour.calls)} in an hour", _CALLS, lines["calls"]),
        _tile(
            "Failed here", _percent(hour.share(hour.faults)), f"{_count(hour.faults)} {of_calls}",
            f"{_CALLS}&outcome=error&outcome=refused", lines["faults"], unit="%",
        ),
        _tile(
            "Failed at services", _percent(hour.share(hour.upstream_errors)),
            f"{_count(hour.upstream_errors)} {of_calls}", f"{_CALLS}&outcome=tool_error&outcome=unavailable",
            lines["upstream"], unit="%",
        ),
        _tile(
            "95 of 100 within", _ms(hour.p95_ms), f"half within {_ms(hour.p50_ms)}" if hour.calls else "no call",
            _CALLS, lines["p95_ms"], unit="ms",
        ),
        _tile(
            "Active instances", _count(figures.active_instances), f"of {_count(figures.instances)}",
            "/admin/instances", lines["instances"], from_zero=False,
        ),
        _tile("Users", _count(figures.users), _admins(figures.admins), "/admin/users", lines["users"], from_zero=False),
        _tile(
            "Jobs in the queue", "?" if figures.waiting is None else _count(figures.waiting),
            "Redis does not answer" if figures.waiting is None else "wait for a worker",
            "/admin/maintenance", lines["waiting"],
        ),
        _tile(
            "From the cache", NOTHING if figures.cache_share is None else _percent(figures.cache_share),
            "of accesses in an hour", f"{_CALLS}&q=%22access+cache%22", lines["cache"], unit="%",
        ),
    ]  # fmt: skip


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
