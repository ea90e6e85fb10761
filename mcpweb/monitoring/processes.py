"""Which processes of which hosts are there, and which are missed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from mcpweb.database import db
from mcpweb.monitoring.models import HostRole
from mcpweb.monitoring.sampling import ALIVE

ROLES = ("web", "worker", "ticker")
_AT_ONCE = timedelta(seconds=15)
"""A process that starts so soon before another was last heard may be its successor."""


@dataclass(frozen=True, slots=True)
class Group:
    """The processes of one role on one host. `missing` are those that fell silent and have no successor."""

    host: str
    role: str
    alive: Sequence[HostRole]
    missing: Sequence[HostRole]

    @property
    def heard_at(self) -> datetime:
        """When one of them was last heard."""
        return max(one.seen_at for one in (*self.alive, *self.missing))


def read() -> Sequence[HostRole]:
    """All that were heard within a day, by host, role and number."""
    order = (HostRole.host, HostRole.role, HostRole.process)
    return db.session.scalars(select(HostRole).order_by(*order).execution_options(populate_existing=True)).all()


def alive(processes: Iterable[HostRole], now: datetime) -> list[HostRole]:
    """Those that are there; `now` is by the database's clock."""
    return [one for one in processes if now - one.seen_at < ALIVE]


def groups(processes: Sequence[HostRole], now: datetime) -> list[Group]:
    """The processes by host and role."""
    found: dict[tuple[str, str], list[HostRole]] = {}
    for one in processes:
        found.setdefault((one.host, one.role), []).append(one)
    return [_group(host, role, some, now) for (host, role), some in found.items()]


def names(processes: Iterable[HostRole]) -> Mapping[str, str]:
    """What each host is called on pages: by its name, and by a part of its id where several have the same."""
    called = {one.host: one.name for one in processes}
    same = [name for name in called.values() if list(called.values()).count(name) > 1]
    return {host: f"{name} ({host[:4]})" if name in same else name for host, name in called.items()}


def _group(host: str, role: str, some: Sequence[HostRole], now: datetime) -> Group:
    here = alive(some, now)
    heirs = [one.started_at for one in here]
    missing = []
    for one in sorted((one for one in some if one not in here), key=lambda one: one.seen_at):
        heir = next((start for start in heirs if start > one.seen_at - _AT_ONCE), None)
        if heir is None:
            missing.append(one)
        else:
            heirs.remove(heir)
    return Group(host, role, here, missing)
