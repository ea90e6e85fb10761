"""How the hosts are: their processes, clocks, versions, disks and log indexes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property

from sqlalchemy import select

from mcpweb.database import db, now
from mcpweb.hosts import host_id
from mcpweb.logs.following import behind
from mcpweb.logs.lines import HOST
from mcpweb.monitoring import processes as present
from mcpweb.monitoring.check import GB, MB, Check, grade, size
from mcpweb.monitoring.models import HostRole, ResourceSample
from mcpweb.monitoring.processes import Group
from mcpweb.settings import Settings
from mcpweb.web.filters import ago

_LITTLE_DISK = (5 * GB, 1 * GB)
"""Free bytes of the home's disk: below the first it is told, below the second something must be done."""
_FAR_BEHIND = (2 * MB, 100 * MB)
"""Bytes of log lines that are not in the index yet."""
_SKEW_MS = 30_000
_FRESH = timedelta(minutes=5)

_TITLES = {"web": "Web", "worker": "Worker", "ticker": "Ticker"}
_ADVICE = {
    "web": "Start `mcpweb web`.",
    "worker": "Start `mcpweb worker`: no mail goes out and no job runs.",
    "ticker": "Start `mcpweb ticker`: no job becomes due, and the log is not indexed.",
}
_GONE = "A host that is gone for good is forgotten after a day."
_LINK = "/admin/hosts"


class Asked:
    """What several checks ask for, read when the first one needs it."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.here = settings, host_id(settings.home / "run")

    @cached_property
    def now(self) -> datetime:
        """The database's time."""
        return now()

    @cached_property
    def processes(self) -> Sequence[HostRole]:
        """All that were heard within a day."""
        return present.read()

    @property
    def alive(self) -> Sequence[HostRole]:
        """Those that are there."""
        return present.alive(self.processes, self.now)

    @cached_property
    def names(self) -> Mapping[str, str]:
        """What the hosts are called on pages; this one is among them."""
        return {self.here: HOST, **present.names(self.processes)}

    @cached_property
    def samples(self) -> Mapping[str, ResourceSample]:
        """The newest sample of each host, if it is not old."""
        rows = select(ResourceSample).where(ResourceSample.at > self.now - _FRESH).order_by(ResourceSample.at)
        return {row.host: row for row in db.session.scalars(rows)}


def processes(asked: Asked) -> Sequence[Check]:
    """Each role on each host that had it within a day; a role that nobody has at all, too."""
    found = present.groups(asked.processes, asked.now)
    has = {group.role for group in found if group.alive}
    none = [
        Check(_TITLES[role], "bad", "None says that it is there", _ADVICE[role], _LINK)
        for role in present.ROLES
        if role not in {group.role for group in found}
    ]
    return [*none, *(_group(group, group.role in has) for group in found)]


def _group(group: Group, elsewhere: bool) -> Check:
    title, count, missing = _TITLES.get(group.role, group.role), len(group.alive), len(group.missing)
    if not group.alive:
        value = f"Last heard {ago(group.heard_at)}"
        advice = f"Start `mcpweb {group.role}` there. {_GONE}" if elsewhere else _ADVICE.get(group.role, "")
        return Check(title, "bad", value, advice, _LINK, group.heard_at, group.host)
    if missing:
        since = max(one.seen_at for one in group.missing)
        value = f"{missing} of {count + missing} not heard since {ago(since)}"
        return Check(title, "warn", value, f"Start it again there. {_GONE}", _LINK, since, group.host)
    value = f"{count} {'process' if count == 1 else 'processes'}, heard {ago(group.heard_at)}"
    return Check(title, "good", value, link=_LINK, host=group.host)


def clocks(asked: Asked) -> Sequence[Check]:
    """Hosts whose clock is far from the database's are named."""
    here = [one for one in asked.alive if one.clock_offset_ms is not None]
    worst: dict[str, int] = {}
    for one in here:
        worst[one.host] = max(one.clock_offset_ms or 0, worst.get(one.host, 0), key=abs)
    wrong = {host: offset for host, offset in worst.items() if abs(offset) >= _SKEW_MS}
    if not wrong:
        nearest = max(map(abs, worst.values()), default=0)
        value = f"All within {nearest + 1:,} ms of the database's" if worst else "The database has none of its own"
        return [Check("Clock", "good", value)]
    return [
        Check(
            "Clock",
            "warn",
            f"{abs(offset) / 1000:,.0f} seconds {'ahead of' if offset > 0 else 'behind'} the database's",
            "Have it set by NTP: links, ends and log times are off by as much.",
            _LINK,
            host=host,
        )
        for host, offset in sorted(wrong.items())
    ]


def versions(asked: Asked) -> Sequence[Check]:
    """Of all processes that are there."""
    by_version: dict[str, set[str]] = {}
    for one in asked.alive:
        by_version.setdefault(one.version, set()).add(f"{one.role} on {asked.names[one.host]}")
    if len(by_version) <= 1:
        return [Check("Versions", "good", next(iter(by_version), "None is known"))]
    value = "; ".join(f"{version}: {', '.join(sorted(where))}" for version, where in sorted(by_version.items()))
    return [Check("Versions", "warn", value, "Bring all of them to the same version, then start them again.", _LINK)]


def index(asked: Asked) -> Sequence[Check]:
    """How far the log index is behind: of this host now, of the others as last sampled."""
    waiting = {host: row.index_behind for host, row in asked.samples.items()}
    waiting[asked.here] = behind(asked.settings.home / "logs", asked.here)
    is_off = asked.settings.log_index == "off"
    return [_index(host, count, is_off) for host, count in sorted(waiting.items())]


def _index(host: str, waiting: int, is_off: bool) -> Check:
    state = grade(-waiting, -_FAR_BEHIND[0], -_FAR_BEHIND[1])
    what = "counts the calls" if is_off else "feeds the index"
    advice = "" if state == "good" else f"See that `mcpweb ticker` runs on this host: it {what}."
    value = f"{size(waiting)} behind" if waiting else "Up to date"
    if is_off:
        value = "Switched off; calls are counted" + (f", {size(waiting)} behind" if waiting else "")
    return Check("Log index", state, value, advice, _LINK, host=host)


def disk(asked: Asked) -> Sequence[Check]:
    """What is free: of this host now, of the others as last sampled."""
    free = {host: (row.disk_total - row.disk_used, row.disk_total) for host, row in asked.samples.items()}
    usage = shutil.disk_usage(asked.settings.home)
    free[asked.here] = (usage.free, usage.total)
    return [_disk(host, *found) for host, found in sorted(free.items())]


def _disk(host: str, free: int, total: int) -> Check:
    state = grade(free, *_LITTLE_DISK)
    advice = "" if state == "good" else "Make room, or lower the disk budget of the logs."
    return Check("Disk", state, f"{size(free)} of {size(total)} free", advice, _LINK, host=host)
