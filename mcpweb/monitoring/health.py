"""How the parts of the installation are, in a few cheap questions; a part that is away makes a line, not an error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import redis
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from mcpweb import clock, queue
from mcpweb.database import db
from mcpweb.instances import key_checks, traffic
from mcpweb.instances.house import house
from mcpweb.instances.models import Instance, KeyCheck, ServiceRow
from mcpweb.logs.models import AuditEvent
from mcpweb.monitoring import host_health
from mcpweb.monitoring.check import Check
from mcpweb.monitoring.host_health import Asked
from mcpweb.monitoring.models import InstallationSample
from mcpweb.settings import is_loopback
from mcpweb.web.filters import ago, day

_SLOW_MS = 200
_BACKUPS = "/admin/maintenance/backups"
_OLD_BACKUP = timedelta(days=7)
_OUTAGE = timedelta(minutes=15)
_OUTAGE_CALLS = 5
"""Fewer calls of a service say nothing about it."""
_OUTAGE_SHARE = 50.0
"""In percent."""
_UP = "None that was called within 15 minutes fails"


def checks(asked: Asked) -> list[Check]:
    """All parts that the hosts share, and those that each host has."""
    return [one for name, check in _PARTS for one in _ask(name, check, asked)]


def _ask(name: str, check: Callable[[Asked], Sequence[Check]], asked: Asked) -> Sequence[Check]:
    try:
        return check(asked)
    except redis.RedisError:
        return [Check(name, "bad", "Redis does not answer", "Start it, and look at MCPWEB_REDIS_URL.")]
    except SQLAlchemyError:
        db.session.rollback()
        return [Check(name, "bad", "The database does not answer", "Look at its log, and at MCPWEB_DATABASE_URL.")]
    except OSError as error:
        return [Check(name, "bad", f"Can not be read: {error.strerror}", "Look at the home folder and its rights.")]


def _database(asked: Asked) -> Sequence[Check]:
    began = clock.monotonic()
    db.session.execute(select(1))
    took = (clock.monotonic() - began) * 1000
    kind = "PostgreSQL" if db.engine.dialect.name == "postgresql" else "SQLite"
    if took > _SLOW_MS:
        return [Check("Database", "warn", f"{kind} took {took:.0f} ms to answer", "See what keeps it busy.")]
    return [Check("Database", "good", f"{kind}, answers within {took + 1:.0f} ms")]


def _redis(asked: Asked) -> Sequence[Check]:
    began = clock.monotonic()
    queue.ping()
    took = (clock.monotonic() - began) * 1000
    advice = "Give it a password, and put it into MCPWEB_REDIS_URL." if asked.settings.redis_is_open else ""
    return [Check("Redis", "warn" if advice else "good", f"Answers within {took + 1:.0f} ms", advice)]


def _audit(asked: Asked) -> Sequence[Check]:
    # The numbers have no gaps, so the highest one is their count; counting would read the whole table.
    newest = db.session.execute(select(AuditEvent.seq, AuditEvent.at).order_by(AuditEvent.seq.desc()).limit(1)).first()
    link = "/admin/logs?category=audit&range=7d"
    if newest is None:
        return [Check("Audit trail", "good", "No entry yet", link=link)]
    return [Check("Audit trail", "good", f"{newest.seq:,} entries, the newest {ago(newest.at)}", link=link)]


def _backup(asked: Asked) -> Sequence[Check]:
    """The newest one that the audit trail knows; the one that was restored counts, too, as it can be again."""
    newest = db.session.scalar(
        select(AuditEvent)
        .where(AuditEvent.subject == "backup", AuditEvent.action.in_(("backup.create", "backup.restore")))
        .order_by(AuditEvent.seq.desc())
        .limit(1)
    )
    if newest is None:
        state = "good" if is_loopback(asked.settings.bind[0]) else "warn"
        return [
            Check("Backup", state, "None was made yet", "Run `mcpweb backup`, and keep the file elsewhere.", _BACKUPS)
        ]
    made_at = datetime.fromisoformat(newest.details["made_at"])
    file = newest.details.get("file")
    value = f"The last one was made {ago(made_at)}" + (f", as {file}" if file else "; it was restored")
    if clock.utcnow() - made_at > _OLD_BACKUP:
        return [
            Check("Backup", "warn", value, "Run `mcpweb backup` every day, and keep the files elsewhere.", _BACKUPS)
        ]
    return [Check("Backup", "good", value, link=_BACKUPS)]


def _keys(asked: Asked) -> Sequence[Check]:
    """Age and check value of the key that seals, and whether anything still needs an older one, or one that is lost."""
    ring, name = house().keyring, "Encryption keys"
    if wrong := key_checks.wrong(ring):
        value = f"{', '.join(wrong)} is not the key that was used before under this name"
        return [Check(name, "bad", value, "Start all hosts with the right MCPWEB_ENCRYPTION_KEYS.")]
    sealed = _sealed()
    since = db.session.scalar(select(func.min(KeyCheck.created_at)).where(KeyCheck.key_id == ring.newest))
    value = f"{ring.newest} seals what is new" + (f", since {day(since)}" if since else "")
    if lost := {key: count for key, count in sealed.items() if key not in ring.keys}:
        value = f"{_counts(lost)} can not be opened: their key is missing"
        return [Check(name, "bad", value, "Put the key back into MCPWEB_ENCRYPTION_KEYS.")]
    if older := {key: count for key, count in sealed.items() if key != ring.newest}:
        return [Check(name, "warn", f"{value}; {_counts(older)}", "Keep the older key for as long as that is so.")]
    if count := sealed.get(ring.newest, 0):
        value += f"; it sealed {'all ' if count > 1 else ''}{count:,} credential{'s' if count > 1 else ''}"
    value += f"; {len(ring.keys) - 1} older only open" if len(ring.keys) > 1 else ""
    return [Check(name, "good", value)]


def _sealed() -> dict[str, int]:
    """How many credentials each key sealed, as last sampled."""
    newest = select(InstallationSample.details).order_by(InstallationSample.minute.desc()).limit(1)
    if (sampled := db.session.scalar(newest)) is not None:
        return dict(sampled.get("keys", {}))
    key = Instance.credential_key_id
    return {row[0]: row[1] for row in db.session.execute(select(key, func.count()).group_by(key))}


def _counts(sealed: dict[str, int]) -> str:
    return ", ".join(f"{count:,} sealed with {key}" for key, count in sorted(sealed.items()))


def _providers(asked: Asked) -> Sequence[Check]:
    """A service that fails is named, so that its outage is not taken for ours."""
    if resting := sorted({row["host"] for row in house().client.breakers() if row["of"] == "all"}):
        advice = "Their outage, not ours: calls fail at once, and one at a time tries again. See their status page."
        return [Check("Services", "warn", f"No answer from {', '.join(resting)}", advice)]
    found = traffic.by_service(clock.utcnow() - _OUTAGE)
    out = {
        name: calls
        for name, calls in sorted(found.items())
        if calls.calls >= _OUTAGE_CALLS and calls.share(calls.upstream_errors) >= _OUTAGE_SHARE
    }
    if not out:
        return [Check("Services", "good", _UP if found else "None was called within 15 minutes")]
    titles = {row.name: row.title for row in db.session.scalars(select(ServiceRow).where(ServiceRow.name.in_(out)))}
    value = "; ".join(
        f"{titles.get(name, name)}: {calls.upstream_errors:,} of {calls.calls:,} calls failed there"
        for name, calls in out.items()
    )
    link = "/admin/logs?category=performance&q=tools/call+blame_service&range=15m" + "".join(
        f"&service={name}" for name in out
    )
    return [Check("Services", "warn", value, "Nothing here: look at the status page of the service.", link)]


_PARTS: Sequence[tuple[str, Callable[[Asked], Sequence[Check]]]] = (
    ("Database", _database),
    ("Redis", _redis),
    ("Processes", host_health.processes),
    ("Clocks", host_health.clocks),
    ("Versions", host_health.versions),
    ("Log index", host_health.index),
    ("Disk", host_health.disk),
    ("Audit trail", _audit),
    ("Backup", _backup),
    ("Encryption keys", _keys),
    ("Services", _providers),
)
