"""Whether this process can do its work: asked often, by everybody, so it costs little and tells little."""

from __future__ import annotations

from typing import NamedTuple

import redis
from sqlalchemy import inspect, text
from sqlalchemy.exc import SQLAlchemyError

from mcpweb import queue
from mcpweb.database import REVISION, db

_KEEP_S = 1.0
_KEEP_UNTIL_MIGRATED_S = 0.1
"""A program that starts is asked again and again by whoever waits for it."""


class Readiness(NamedTuple):
    """`status` is ok, database (it does not answer) or migrations (it is not this program's); `warnings` name parts
    that are away and without which most goes on."""

    status: str
    warnings: tuple[str, ...] = ()


def look() -> tuple[Readiness, float]:
    """How it is, and for how many seconds that may be told. Takes 3.5 s at most, when nothing answers."""
    try:
        revision = _revision()
    except SQLAlchemyError:
        return Readiness("database"), _KEEP_S
    if revision != REVISION:
        return Readiness("migrations"), _KEEP_UNTIL_MIGRATED_S
    return Readiness("ok", () if _has_redis() else ("redis",)), _KEEP_S


def _revision() -> str | None:
    # A database that is still empty is no error, which the database log would show at every first start.
    if not inspect(db.session.connection()).has_table("alembic_version"):
        return None
    revision: str | None = db.session.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def _has_redis() -> bool:
    try:
        queue.ping()
    except redis.RedisError:
        return False
    return True
