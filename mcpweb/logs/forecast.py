"""What the next maintenance of a host's logs would delete under some policy, by names and sizes alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from mcpweb.logs import days, retention
from mcpweb.logs.days import DayFile, is_there
from mcpweb.logs.maintenance import is_finished
from mcpweb.logs.retention import Policy


@dataclass(frozen=True, slots=True)
class Going:
    """The files of one category that would go, with their first and last day. Instances are one category."""

    category: str
    first: date
    last: date
    files: int
    bytes: int


def find(root: Path) -> Sequence[DayFile]:
    """All files of days; no file is opened."""
    return days.find(root).days


def forecast(files: Sequence[DayFile], policy: Policy, now: datetime) -> Sequence[Going]:
    """What would go, by category. Closing compresses before deleting, so a budget takes less than is said here."""
    due = [file for file in files if is_finished(file, now) or not is_there(file.plain)]
    old = retention.too_old(due, policy, now.date())
    gone = {id(file) for file in old}
    rest = sum(file.size for file in files if id(file) not in gone)
    over = retention.over_budget([file for file in due if id(file) not in gone], rest, policy)
    by_category: dict[str, list[DayFile]] = {}
    for file in [*old, *over]:
        by_category.setdefault(file.category if file.is_system else "instances", []).append(file)
    return [_summed(category, some) for category, some in sorted(by_category.items())]


def _summed(category: str, files: Sequence[DayFile]) -> Going:
    all_days = [file.day for file in files]
    return Going(category, min(all_days), max(all_days), len(files), sum(file.size for file in files))
