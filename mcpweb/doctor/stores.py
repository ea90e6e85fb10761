"""What is stored, and by what: the tables, the keys that open them, Redis, and the clocks of both."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import text

from mcpweb import clock, queue
from mcpweb.crypto import KeyUnusable
from mcpweb.database import REVISION, db, now
from mcpweb.embedded_redis import OLDEST
from mcpweb.instances import key_checks
from mcpweb.instances.house import house
from mcpweb.monitoring.check import Check
from mcpweb.settings import Settings

_SKEW_S = (5.0, 60.0)
"""Seconds between two clocks: beyond the first it is told, beyond the second ends and links are wrong by as much."""


def tables(settings: Settings) -> Check:
    """The revision is the one that this program needs, and SQLite finds its file whole."""
    has_tables = db.session.connection().dialect.has_table(db.session.connection(), "alembic_version")
    revision = db.session.scalar(text("SELECT version_num FROM alembic_version")) if has_tables else None
    if revision != REVISION:
        value = f"At revision {revision}, this program needs {REVISION}" if revision else "There are none yet"
        return Check("Tables", "bad", value, "Run `mcpweb migrate`; no page is served on another revision.")
    if db.engine.dialect.name != "sqlite":
        return Check("Tables", "good", f"At revision {revision}")
    verdict = db.session.scalar(text("PRAGMA quick_check(1)"))
    if verdict != "ok":
        return Check("Tables", "bad", "SQLite finds its file damaged", "Stop mcpweb, and restore the last backup.")
    return Check("Tables", "good", f"At revision {revision}, the file is whole")


def keys(settings: Settings) -> Check:
    """The keys are those that were used before, and none is missing that something was sealed with."""
    try:
        missing = key_checks.compare(house().keyring)
    except KeyUnusable as error:
        return Check("Stored keys", "bad", error.sentence, "Put the right MCPWEB_ENCRYPTION_KEYS back.")
    if missing:
        return Check("Stored keys", "bad", " ".join(missing), "Add it to MCPWEB_ENCRYPTION_KEYS again.")
    return Check("Stored keys", "good", "The keys at hand open what is stored")


def redis_server(settings: Settings) -> Check:
    """It is new enough, and never throws jobs away to make room."""
    about = queue.info()
    said = str(about.get("valkey_version") or about.get("redis_version", "0.0"))
    name = "Valkey" if "valkey_version" in about else "Redis"
    version = tuple(int(part) for part in str(about.get("redis_version", "0.0")).split(".")[:2])
    if version < OLDEST:
        return Check("Redis server", "bad", f"{name} {said} is too old", "Use 6.2 or newer.")
    policy = about.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        advice = "Set maxmemory-policy to noeviction: jobs and limits must not be thrown away."
        return Check("Redis server", "bad", f"{name} {said} with the memory policy {policy}", advice)
    return Check("Redis server", "good", f"{name} {said}, drops nothing")


def clocks(settings: Settings) -> list[Check]:
    """How far this host's clock is from those of the database and of Redis."""
    found = []
    if db.engine.dialect.name != "sqlite":  # which has none of its own
        found.append(_clock("Clock of the database", now()))
    seconds, micros = queue.time()
    return [*found, _clock("Clock of Redis", datetime.fromtimestamp(seconds + micros / 1e6, UTC))]


def _clock(name: str, there: datetime) -> Check:
    apart_s = (clock.utcnow() - there).total_seconds()
    if abs(apart_s) <= _SKEW_S[0]:
        return Check(name, "good", f"Within {abs(apart_s):.1f} s of this host's")
    state = "bad" if abs(apart_s) > _SKEW_S[1] else "warn"
    order = "behind" if apart_s > 0 else "ahead of"
    return Check(name, state, f"{abs(apart_s):.0f} s {order} this host's", "Let NTP set the clocks of all hosts.")
