"""How the installation is, in a word for the foot of every page: as the last look at its health found it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from mcpweb.database import db
from mcpweb.jobs.models import JobRun

_FRESH = timedelta(minutes=5)
"""The health is looked at every minute; what was found longer ago says nothing of now."""


@dataclass(frozen=True, slots=True)
class Standing:
    """`state`: good, warn, bad, or unknown when nobody has looked lately. `words` are for administrators."""

    state: str
    words: str


def standing(now: datetime) -> Standing:
    """What the newest look found. One row is read."""
    looks = select(JobRun).where(JobRun.job == "watch_health", JobRun.state == "done")
    last = db.session.scalar(looks.order_by(JobRun.id.desc()).limit(1))
    if last is None or now - last.started_at > _FRESH:
        return Standing("unknown", "Nobody looks at the health")
    bad, warn = last.report.get("bad", 0), last.report.get("warn", 0)
    return Standing("bad" if bad else "warn" if warn else "good", in_words(bad, warn))


def in_words(bad: int, warn: int) -> str:
    """`1 part needs you, 2 deserve a look`."""
    parts = []
    if bad:
        parts.append(f"{bad} {'part needs' if bad == 1 else 'parts need'} you")
    if warn:
        noun = "" if bad else "part " if warn == 1 else "parts "  # it is said once
        parts.append(f"{warn} {noun}{'deserves' if warn == 1 else 'deserve'} a look")
    return ", ".join(parts) or "All parts work"
