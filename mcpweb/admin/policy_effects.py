"""What a decision would do, before it is made. Sections that stand in no table here have no effect to be counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from mcpweb.admin import maintenance_words as words
from mcpweb.database import db
from mcpweb.instances.models import Instance
from mcpweb.logs import forecast
from mcpweb.logs.forecast import Going
from mcpweb.logs.retention import Policy
from mcpweb.settings import Settings

Effect = Mapping[str, Any]
"""`sentences`; for logs also `going`, a row for each category."""


def has_effect(section: str) -> bool:
    """Whether the effect of a section can be said beforehand."""
    return section in _EFFECTS


def effect_of(section: str, wished: Mapping[str, int], settings: Settings, now: datetime) -> Effect:
    """What would change if these values held; nothing is changed."""
    return _EFFECTS[section](wished, settings, now)


def _of_logs(wished: Mapping[str, int], settings: Settings, now: datetime) -> Effect:
    present, asked = Policy.of(settings), Policy.of(settings, wished)
    files = forecast.find(settings.home / "logs")
    would, due = forecast.forecast(files, asked, now), forecast.forecast(files, present, now)
    sentences = [
        f"The next maintenance of this host would delete {_amount(would)}."
        if would
        else "The next maintenance of this host would delete nothing.",
        f"As it is now, it would delete {_amount(due)}." if due else "As it is now, it would delete nothing.",
        f"The logs of this host take {words.size(sum(file.size for file in files))}.",
    ]
    return {"sentences": sentences, "going": [_row(one) for one in would]}


def _amount(going: Sequence[Going]) -> str:
    files = sum(one.files for one in going)
    return f"{files:,} {'file' if files == 1 else 'files'}, {words.size(sum(one.bytes for one in going))}"


def _row(one: Going) -> Mapping[str, Any]:
    days = (str(day) for day in sorted({one.first, one.last}))
    return {"category": one.category, "days": tuple(days), "files": one.files, "size": words.size(one.bytes)}


def _of_instances(wished: Mapping[str, int], settings: Settings, now: datetime) -> Effect:
    days = wished["instance_days_max"]
    later = Instance.expires_at > now + timedelta(days=days)
    count = db.session.scalar(select(func.count()).select_from(Instance).where(later)) or 0
    kept = (
        "1 instance ends later and keeps its end."
        if count == 1
        else f"{count:,} instances end later and keep their ends."
    )
    sentences = [
        f"Whoever connects, renews or extends may choose {days:,} {'day' if days == 1 else 'days'} at most.",
        kept if count else "No instance ends later than that.",
    ]
    return {"sentences": sentences}


_EFFECTS: Mapping[str, Callable[[Mapping[str, int], Settings, datetime], Effect]] = {
    "logs": _of_logs,
    "instances": _of_instances,
}
