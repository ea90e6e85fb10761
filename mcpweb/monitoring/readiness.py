"""Whether this process can do its work: asked often, by everybody, so it costs little and tells little."""

from __future__ import annotations

from typing import NamedTuple

import redis
from sqlalchemy.exc import SQLAlchemyError

from mcpweb import queue, revision
from mcpweb.database import db

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
        is_right = revision.is_right(db.session.connection())
    except SQLAlchemyError:
        return Readiness("database"), _KEEP_S
    if not is_right:
        return Readiness("migrations"), _KEEP_UNTIL_MIGRATED_S
    return Readiness("ok", () if _has_redis() else ("redis",)), _KEEP_S


def _has_redis() -> bool:
    try:
        queue.ping()
    except redis.RedisError:
        return False
    return True
