"""How the parts of the installation are, in a few cheap questions; a part that is away makes a line, not an error."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import redis
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from mcpweb import clock, queue
from mcpweb.config import Settings
from mcpweb.database import db
from mcpweb.hosts import host_id
from mcpweb.instances.house import house
from mcpweb.instances.models import KeyCheck, TrafficMinute
from mcpweb.logs.following import behind
from mcpweb.logs.models import AuditEvent
from mcpweb.web.filters import ago, day

MB = 1_000_000
GB = 1000 * MB
_SLOW_MS = 200
_LITTLE_DISK = (5 * GB, 1 * GB)
"""Free bytes of the home's disk: below the first it is told, below the second something must be done."""
_FAR_BEHIND = (2 * MB, 100 * MB)
"""Bytes of log lines that are not in the index yet."""
_RECENTLY = timedelta(minutes=10)
_MANY = 5
"""Failed calls of a service below this are nothing to tell; nor is less than a fifth of its calls."""


@dataclass(frozen=True, slots=True)
class Check:
    """One part: good, warn or bad; what was found; what to do about it; and where more is said."""

    name: str
    state: str
    value: str
    advice: str = ""
    link: str = ""


def checks(settings: Settings) -> list[Check]:
    """All parts of this host and of what the hosts share."""
    return [_ask(name, check, settings) for name, check in _PARTS]


def _ask(name: str, check: Callable[[Settings], Check], settings: Settings) -> Check:
    try:
        return check(settings)
    except redis.RedisError:
        return Check(name, "bad", "Redis does not answer", "Start it, and look at MCPWEB_REDIS_URL.")
    except SQLAlchemyError:
        db.session.rollback()
        return Check(name, "bad", "The database does not answer", "Look at its log, and at MCPWEB_DATABASE_URL.")
    except OSError as error:
        return Check(name, "bad", f"Can not be read: {error.strerror}", "Look at the home folder and its rights.")


def _database(settings: Settings) -> Check:
    began = clock.monotonic()
    db.session.execute(select(1))
    took = (clock.monotonic() - began) * 1000
    kind = "PostgreSQL" if db.engine.dialect.name == "postgresql" else "SQLite"
    if took > _SLOW_MS:
        return Check("Database", "warn", f"{kind} took {took:.0f} ms to answer", "See what keeps it busy.")
    return Check("Database", "good", f"{kind}, answers within {took + 1:.0f} ms")


def _redis(settings: Settings) -> Check:
    began = clock.monotonic()
    queue.ping()
    took = (clock.monotonic() - began) * 1000
    advice = "Give it a password, and put it into MCPWEB_REDIS_URL." if settings.redis_is_open else ""
    return Check("Redis", "warn" if advice else "good", f"Answers within {took + 1:.0f} ms", advice)


def _workers(settings: Settings) -> Check:
    if count := queue.workers():
        return Check("Workers", "good", f"{count} alive")
    return Check("Workers", "bad", "None", "Start `mcpweb worker`: no mail goes out and no job runs.")


def _mail(settings: Settings) -> Check:
    if settings.mail_server:
        return Check("Mail", "good", f"{settings.mail_server}, port {settings.mail_port}")
    if settings.has_local_mailbox:
        return Check("Mail", "warn", "Local mailbox: nothing leaves this machine", "Set MCPWEB_MAIL_SERVER to send.")
    return Check("Mail", "bad", "No server", "Set MCPWEB_MAIL_SERVER: nobody can sign in without mail.")


def _index(settings: Settings) -> Check:
    waiting = behind(settings.home / "logs", host_id(settings.home / "run"))
    state = _grade(-waiting, -_FAR_BEHIND[0], -_FAR_BEHIND[1])
    advice = "" if state == "good" else "See that `mcpweb ticker` runs on this host: it feeds the index."
    return Check("Log index", state, f"{_size(waiting)} behind" if waiting else "Up to date", advice)


def _disk(settings: Settings) -> Check:
    usage = shutil.disk_usage(settings.home)
    state = _grade(usage.free, *_LITTLE_DISK)
    advice = "" if state == "good" else "Make room, or lower the disk budget of the logs."
    return Check("Disk", state, f"{_size(usage.free)} of {_size(usage.total)} free", advice)


def _audit(settings: Settings) -> Check:
    # The numbers have no gaps, so the highest one is their count; counting would read the whole table.
    newest = db.session.execute(select(AuditEvent.seq, AuditEvent.at).order_by(AuditEvent.seq.desc()).limit(1)).first()
    if newest is None:
        return Check("Audit trail", "good", "No entry yet")
    return Check("Audit trail", "good", f"{newest.seq:,} entries, the newest {ago(newest.at)}")


def _keys(settings: Settings) -> Check:
    ring = house().keyring
    since = db.session.scalar(select(func.min(KeyCheck.created_at)).where(KeyCheck.key_id == ring.newest))
    value = f"{ring.newest} seals what is new" + (f", since {day(since)}" if since else "")
    if len(ring.keys) > 1:
        value += f"; {len(ring.keys) - 1} older only open"
    return Check("Encryption keys", "good", value)


def _providers(settings: Settings) -> Check:
    """From what this process finds out itself, and what all of them counted in the last minutes."""
    resting = sorted({row["host"] for row in house().client.breakers() if row["of"] == "all"})
    if resting:
        advice = "Their outage, not ours: calls fail at once, and one at a time tries again. See their status page."
        return Check("Providers", "warn", f"No answer from {', '.join(resting)}", advice)
    counted = db.session.execute(
        select(TrafficMinute.service, func.sum(TrafficMinute.calls), func.sum(TrafficMinute.upstream_errors))
        .where(TrafficMinute.minute >= clock.utcnow() - _RECENTLY)
        .group_by(TrafficMinute.service)
    ).all()
    if failing := [f"{name} ({bad} of {calls})" for name, calls, bad in counted if bad >= _MANY and bad * 5 >= calls]:
        return Check("Providers", "warn", f"Many calls failed there: {', '.join(failing)}", "See their status page.")
    return Check("Providers", "good", "All answer" if counted else "Nothing was asked of them lately")


_PARTS: Sequence[tuple[str, Callable[[Settings], Check]]] = (
    ("Database", _database),
    ("Redis", _redis),
    ("Workers", _workers),
    ("Mail", _mail),
    ("Log index", _index),
    ("Disk", _disk),
    ("Audit trail", _audit),
    ("Encryption keys", _keys),
    ("Providers", _providers),
)


def _grade(value: int, warn_below: int, bad_below: int) -> str:
    return "bad" if value < bad_below else "warn" if value < warn_below else "good"


def _size(count: int) -> str:
    if count >= GB:
        return f"{count / GB:,.1f} GB"
    return f"{count / MB:,.1f} MB" if count >= MB / 10 else f"{count:,} bytes"
