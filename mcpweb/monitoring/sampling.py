"""Once a minute the ticker of a host notes what the host uses, and one of all tickers how the installation is."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import redis
from sqlalchemy import Connection, Engine, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from mcpweb.accounts.models import Role, User
from mcpweb.hosts import host_id
from mcpweb.instances.models import Instance, ServiceRow
from mcpweb.logs.following import unread
from mcpweb.logs.models import LogFile
from mcpweb.monitoring import limits, states
from mcpweb.monitoring.models import HostRole, InstallationSample, ResourceSample
from mcpweb.queue import open_queue

ALIVE = timedelta(seconds=35)
"""A process that was not heard for so long, three beats and a little, is missing."""
COUNTS = ("users", "admins", "instances", "active_instances")
_REMEMBERED = timedelta(minutes=10)
"""So long the cache of a process that falls silent still counts as one that will go on."""
_SETTLED_S = 5.0
"""The first sample waits until there is a span of which it can be said how busy the processors were."""


class Sampler:
    """What one ticker remembers between two samples. `sample` comes after each of its beats, and mostly does nothing.

    Everything is read before anything is written, so that nobody else who writes waits for it.
    """

    def __init__(self, home: Path, client: redis.Redis) -> None:
        self._home, self._host = home, host_id(home / "run")
        self._client = client
        self._cpu = limits.cpu()
        self._minute: datetime | None = None

    def sample(self, engine: Engine, moment: datetime) -> None:
        """Note everything, if a new minute has begun.

        Raises:
            SQLAlchemyError: the database does not answer.
            OSError: the home folder can not be read.
        """
        minute = moment.replace(second=0, microsecond=0)
        cpu = limits.cpu()
        if minute == self._minute or cpu.at - self._cpu.at < _SETTLED_S:
            return
        busy, self._cpu, self._minute = limits.percent(self._cpu, cpu), cpu, minute
        with engine.connect() as connection:
            hosts = _alive(connection, moment)
            used = self._resources(connection, hosts.get(self._host, ()))
            before = _before(connection, minute)
            found = None if before is None else _installation(connection, before, moment)
        waiting = self._waiting(list(hosts)) if found else None
        with engine.begin() as connection:
            connection.execute(insert(ResourceSample).values(host=self._host, at=moment, cpu_percent=busy, **used))
            if found:
                _keep(connection, minute, {**found, "waiting": waiting})
            if found and waiting is None:  # while Redis is away no job runs that could notice it
                states.note(connection, {"Redis": "bad"}, moment)

    def _resources(self, connection: Connection, processes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        used, total = limits.memory()
        disk = shutil.disk_usage(self._home)
        known = connection.execute(select(LogFile.name, LogFile.offset).where(LogFile.host == self._host))
        return {
            "memory_used": used,
            "memory_total": total,
            "disk_used": disk.total - disk.free,
            "disk_total": disk.total,
            "open_files": sum(int(figures.get("open_files", 0)) for figures in processes),
            "connections": sum(int(figures.get("connections", 0)) for figures in processes),
            "index_behind": unread(self._home / "logs", {row.name: row.offset for row in known}),
        }

    def _waiting(self, hosts: Sequence[str]) -> int | None:
        """How many jobs wait in the queue of the installation and in those of the hosts."""
        try:
            return sum(len(open_queue(self._client, host)) for host in ("", *hosts))
        except redis.RedisError:
            return None


def counts(connection: Connection) -> dict[str, int]:
    """The numbers of COUNTS as they are now."""
    users = connection.execute(
        select(func.count(), func.count().filter(User.role == Role.ADMIN)).select_from(User)
    ).one()
    instances = connection.execute(
        select(func.sum(ServiceRow.total_instances), func.sum(ServiceRow.active_instances))
    ).one()
    return dict(zip(COUNTS, (int(one or 0) for one in (*users, *instances)), strict=True))


def _alive(connection: Connection, moment: datetime) -> dict[str, list[dict[str, Any]]]:
    """The figures of the processes of each host that are there."""
    found: dict[str, list[dict[str, Any]]] = {}
    rows = connection.execute(select(HostRole.host, HostRole.figures).where(HostRole.seen_at > moment - ALIVE))
    for host, figures in rows:
        found.setdefault(host, []).append(figures)
    return found


def _before(connection: Connection, minute: datetime) -> Mapping[str, Sequence[int]] | None:
    """What the caches had done when the sample before was taken; None when this minute has its sample."""
    newest = select(InstallationSample.minute, InstallationSample.details)
    row = connection.execute(newest.order_by(InstallationSample.minute.desc()).limit(1)).first()
    if row is None:
        return {}
    return None if row.minute >= minute else row.details.get("caches", {})


def _installation(connection: Connection, before: Mapping[str, Sequence[int]], moment: datetime) -> dict[str, Any]:
    """Users, instances, what the caches did since the sample before, and sealed credentials by key."""
    keys = connection.execute(
        select(Instance.credential_key_id, func.count().label("sealed")).group_by(Instance.credential_key_id)
    )
    now = _caches(connection, moment)
    hits, misses = (sum(now[one][n] - before.get(one, (0, 0))[n] for one in now) for n in (0, 1))
    return {
        **counts(connection),
        "cache_hits": hits,
        "cache_misses": misses,
        "details": {"caches": now, "keys": {row.credential_key_id: row.sealed for row in keys}},
    }


def _caches(connection: Connection, moment: datetime) -> dict[str, list[int]]:
    """Hits and misses of each web process up to now; one is told from a later one of its number by its start."""
    rows = connection.execute(
        select(HostRole.host, HostRole.process, HostRole.started_at, HostRole.figures).where(
            HostRole.role == "web", HostRole.seen_at > moment - _REMEMBERED
        )
    )
    return {
        f"{row.host}/{row.process}/{row.started_at.timestamp():.0f}": [
            int(row.figures.get(name, 0)) for name in ("hits", "misses")
        ]
        for row in rows
    }


def _keep(connection: Connection, minute: datetime, found: Mapping[str, Any]) -> None:
    """Of several tickers at the same moment the database takes one."""
    make = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(InstallationSample)
    connection.execute(make.values(minute=minute, **found).on_conflict_do_nothing())
