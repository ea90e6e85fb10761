"""`python -m bench.seeding [--lines N] [--days N] [--users N] [--instances N]`: fill an installation.

Takes its settings from the environment, as the program does, and expects a database without users. Lines go through the
index's own `append` and the roll-ups, and end a minute before the end of today, so that one day holds all of them.
Prints `{"lines": …, "seconds": …}`.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert, update

from bench.log_lines import Lines, Owned
from mcpweb import clock, migrating
from mcpweb.accounts.models import Role, User
from mcpweb.application import create_app
from mcpweb.database import db, transaction
from mcpweb.instances import counting, registration
from mcpweb.instances.house import House
from mcpweb.instances.models import Instance, InstanceToken, ServiceRow
from mcpweb.logs import rollups
from mcpweb.logs.events import CATEGORIES
from mcpweb.logs.index import LogIndex
from mcpweb.logs.index_line import IndexLine, parse
from mcpweb.logs.lines import line

ADMIN = "carol@example.com"
HOST = "aaaaaaaaaaaa"
_BATCH = 20_000
_COUNTED = timedelta(hours=2)
"""So much of the newest calls is counted for their instances too; the dashboard looks no further back."""
_ACTIVE = 0.8

Rows = Iterator[dict[str, Any]]


def main() -> None:
    """Fill it."""
    parser = argparse.ArgumentParser(prog="python -m bench.seeding", description=__doc__)
    for name, usual in (("lines", 1_000_000), ("days", 1), ("users", 10_000), ("instances", 50_000)):
        parser.add_argument(f"--{name}", type=int, default=usual, help=f"default {usual:,}")
    options = parser.parse_args()
    began, app = time.monotonic(), create_app()
    with app.app_context():
        migrating.upgrade()
        house: House = app.extensions["mcpweb_house"]
        registration.register(house.registry)
        tools = {name: sorted(service.tools) for name, service in house.registry.services.items() if service.tools}
        owned = people(options.users, options.instances, sorted(tools))
        index = app.extensions["mcpweb_log_index"]
        done = logs(index, Lines(owned, tools), options.lines, options.days, end_of(clock.utcnow().date()))
        db.session.remove()
    print(json.dumps({"lines": done, "seconds": round(time.monotonic() - began, 1)}))


def end_of(day: date) -> datetime:
    """A minute before its end: when the last line is written, and somebody looks."""
    return datetime(day.year, day.month, day.day, 23, 59, tzinfo=UTC)


def people(users: int, instances: int, services: Sequence[str]) -> list[Owned]:
    """Users, the first one an administrator, with their instances and tokens, and the services' counters."""
    now = clock.utcnow()
    ended = int(instances * _ACTIVE)
    owned = [
        Owned(uuid4(), 1 + number % users, 1 + number, services[number % len(services)]) for number in range(instances)
    ]
    emails = (ADMIN, *(f"user{number}@example.com" for number in range(1, users)))
    with transaction():
        _insert(User, ({"email": one, "role": _role(one), "created_at": now} for one in emails))
        _insert(Instance, (_instance(one, number < ended, now) for number, one in enumerate(owned)))
        _insert(InstanceToken, (_token(one.id, now) for one in owned))
        for name in services:
            mine = [number < ended for number, one in enumerate(owned) if one.service == name]
            counters = {"total_instances": len(mine), "active_instances": sum(mine)}
            db.session.execute(update(ServiceRow).where(ServiceRow.name == name).values(**counters))
    return owned


def _role(email: str) -> Role:
    return Role.ADMIN if email == ADMIN else Role.USER


def _instance(one: Owned, is_active: bool, now: datetime) -> dict[str, Any]:
    return {
        "id": one.id, "owner_id": one.owner_id, "service_name": one.service, "label": f"Work {one.token_id}",
        "status": "active" if is_active else "inactive", "created_at": now - timedelta(seconds=one.token_id),
        "expires_at": now + timedelta(days=30), "creation_key": uuid4(), "credential_sealed": b"",
        "credential_key_id": "", "credential_state": "ok",
    }  # fmt: skip


def _token(instance_id: UUID, now: datetime) -> dict[str, Any]:
    return {
        "instance_id": instance_id, "name": "", "token_hash": os.urandom(32), "last_four": "abcd", "created_at": now
    }  # fmt: skip


def _insert(model: Any, rows: Rows) -> None:
    while some := list(islice(rows, 5000)):
        db.session.execute(insert(model), some)


def logs(index: LogIndex, lines: Lines, count: int, days: int, end: datetime) -> int:
    """Write so many lines into the index, evenly over the days up to the end; returns how many it took."""
    start = datetime(end.year, end.month, end.day, tzinfo=UTC) - timedelta(days=days - 1)
    moments = (start + (end - start) * number / count for number in range(count))
    offsets: dict[tuple[date, str], int] = defaultdict(int)
    taken = 0
    while some := list(islice(moments, _BATCH)):
        files: dict[tuple[date, str], list[IndexLine]] = defaultdict(list)
        for at in some:
            fields = lines.next(at)
            raw, place = line(fields), (at.date(), fields["category"])
            one = parse(raw.rstrip(b"\n"), offsets[place], place[1], place[0])
            if one is not None:
                files[place].append(one)
            offsets[place] += len(raw)
        for (day, category), found in files.items():
            taken += index.append(_file_id(day, category, start.date()), day, found)
            with transaction():
                rollups.add(HOST, rollups.totals(category, found))
                if category == "performance" and some[-1] > end - _COUNTED:
                    counting.count(HOST, [one.fields for one in found])
    return taken


def _file_id(day: date, category: str, first: date) -> int:
    return 1 + (day - first).days * len(CATEGORIES) + CATEGORIES.index(category)


if __name__ == "__main__":
    main()
