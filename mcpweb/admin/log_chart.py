"""The lines over time, as bars that lead to their own time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from mcpweb.admin.log_filter import LogFilter
from mcpweb.logs.index import Bar

WIDTH, HEIGHT = 720, 100
KINDS = {"error": "bad", "critical": "bad", "warning": "warn"}
"""Which levels stand out, and how; all others are plain."""


def chart(bars: Sequence[Bar], width: timedelta, asked: LogFilter, now: datetime) -> dict[str, Any]:
    """Where each bar stands and how high it is; bars without a line are left out."""
    since, until = asked.span(now)
    totals: dict[datetime, Counter[str]] = {}
    for start, level, lines in bars:
        totals.setdefault(start, Counter())[KINDS.get(level, "plain")] += lines
    most = max((counts.total() for counts in totals.values()), default=0)
    wide = WIDTH * (width / (until - since))
    shown = []
    for start, counts in sorted(totals.items()):
        left = WIDTH * ((start - since) / (until - since))
        bar = _bar(counts, most, max(left, 0), max(min(left + wide, WIDTH) - max(left, 0), 1.0))
        shown.append({"start": start, "args": asked.between(start, start + width).args(follow=""), **bar})
    return {"bars": shown, "most": most, "since": since, "until": until, "width": _words(width)}


def _bar(counts: Counter[str], most: int, left: float, wide: float) -> dict[str, Any]:
    """What has to be seen first stands at the bottom."""
    parts, top = [], float(HEIGHT)
    for kind in ("bad", "warn", "plain"):
        if counts[kind]:
            high = max(HEIGHT * counts[kind] / most, 1.5)
            top = max(top - high, 0)
            parts.append({"kind": kind, "y": round(top, 2), "height": round(high, 2)})
    gap = 1 if wide > 3 else 0
    place = {"x": round(left + gap / 2, 2), "wide": round(wide - gap, 2), "parts": parts}
    return {**place, "total": counts.total(), "errors": counts["bad"], "warnings": counts["warn"]}


def _words(width: timedelta) -> str:
    """`15 minutes`, for the caption."""
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if width.total_seconds() >= size:
            count = round(width.total_seconds() / size)
            return unit if count == 1 else f"{count} {unit}s"
    return f"{width // timedelta(milliseconds=1)} milliseconds"
