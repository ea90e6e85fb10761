"""Exports that a job prepares: asking for one, one at a time for each administrator, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import redis
from sqlalchemy import select, update

from mcpweb import queue
from mcpweb.database import db, now, take_turns, transaction
from mcpweb.errors import Conflict, NotFound, Unavailable
from mcpweb.logs import audit
from mcpweb.logs.export import KINDS
from mcpweb.logs.export_models import KEPT, LogExport
from mcpweb.logs.query import Query

TIMEOUT_S = 1800
_OPEN = ("waiting", "running")
_PATIENCE = {"waiting": timedelta(hours=1), "running": timedelta(minutes=3)}
"""How long without a sign of life until it is given up: no worker came, or the worker was killed."""

_MAIL_WAIT, _MAIL_UNTIL = timedelta(minutes=2), timedelta(minutes=10)
"""Until the mail is tried again for the first time, and from when on no try is followed by another."""


class Cancelled(Exception):
    """Whoever asked for it has deleted it meanwhile."""


def ask(user_id: int, email: str, kind: str, query: Query, told: Mapping[str, Any], host: str) -> LogExport:
    """Have a file written on this host, where it can be fetched later. `told` is the query as it is audited.

    Raises:
        NotFound: there is no such kind.
        Conflict: another one of theirs is under way.
        Unavailable: the queue or the audit log can not be reached.
    """
    if kind not in KINDS:
        raise NotFound("Logs are exported as jsonl, csv or txt.")
    with transaction():
        take_turns(f"exports of {user_id}")
        _give_up(user_id)
        if db.session.scalar(select(LogExport.id).where(LogExport.user_id == user_id, LogExport.state.in_(_OPEN))):
            raise Conflict("An export of yours is being prepared already. Wait for it, or delete it first.")
        moment = now()
        export = LogExport(user_id=user_id, host=host, kind=kind, asked=_packed(query), asked_at=moment, seen_at=moment)
        db.session.add(export)
        db.session.flush()
        audit.record("logs.export", actor=email, subject="logs", kind=kind, export=str(export.id), **told)
    try:
        queue.enqueue_on(host, "export_logs", str(export.id), timeout_s=TIMEOUT_S)
    except redis.RedisError:
        finish(export.id, "failed", note="The queue could not be reached.")
        raise Unavailable("The queue can not be reached at the moment. Try again later.") from None
    return export


def of(user_id: int, most: int = 20) -> Sequence[LogExport]:
    """The newest exports of an administrator, newest first."""
    with transaction():
        _give_up(user_id)
    newest = select(LogExport).where(LogExport.user_id == user_id).order_by(LogExport.asked_at.desc())
    return db.session.scalars(newest.limit(most)).all()


def get(export_id: UUID, user_id: int) -> LogExport:
    """One of an administrator's own.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    export = db.session.get(LogExport, export_id)
    if export is None or export.user_id != user_id:
        raise NotFound("There is no such export.")
    return export


def delete(export: LogExport, email: str) -> None:
    """Forget an export; one that is being written stops. The file goes with the next `erase_exports` of its host."""
    with transaction():
        db.session.delete(db.session.merge(export))
        audit.record("logs.export-delete", actor=email, subject="logs", export=str(export.id))


def downloaded(export: LogExport, email: str) -> None:
    """Note in the audit trail that the file was fetched.

    Raises:
        Unavailable: the audit log can not be written; nothing is to be sent then.
    """
    with transaction():
        audit.record("logs.export-download", actor=email, subject="logs", export=str(export.id), lines=export.lines)


def claim(export_id: UUID) -> LogExport | None:
    """Take over the writing of an export; None when it was deleted, given up, or taken by another run."""
    with transaction():
        claimed = db.session.execute(
            update(LogExport)
            .where(LogExport.id == export_id, LogExport.state == "waiting")
            .values(state="running", seen_at=now())
        )
    return db.session.get(LogExport, export_id) if claimed.rowcount else None  # type: ignore[attr-defined]


def tell(export_id: UUID, lines: int) -> None:
    """Say how far it is.

    Raises:
        Cancelled: it is not wanted any more.
    """
    with transaction():
        told = db.session.execute(
            update(LogExport)
            .where(LogExport.id == export_id, LogExport.state == "running")
            .values(lines=lines, seen_at=now())
        )
    if not told.rowcount:  # type: ignore[attr-defined]
        raise Cancelled


def finish(export_id: UUID, state: str, **values: Any) -> bool:
    """Say what became of it: done, with lines, size and a note, or failed, with a note. False when it is gone."""
    with transaction():
        finished = db.session.execute(
            update(LogExport)
            .where(LogExport.id == export_id, LogExport.state.in_(_OPEN))
            .values(state=state, finished_at=now(), **values)
        )
    return bool(finished.rowcount)  # type: ignore[attr-defined]


def claim_unmailed() -> list[LogExport]:
    """The finished ones whose mail is to be tried again; nobody else tries meanwhile.

    `seen_at` is the last try. Each wait is twice as long as all before it: tries come 2, 6 and 14 minutes after the
    file was finished, or later when nobody works.
    """
    moment = now()
    unmailed = (LogExport.state == "done", LogExport.mailed_at.is_(None), LogExport.finished_at > moment - KEPT)
    rows = db.session.scalars(select(LogExport).where(*unmailed)).all()
    return [row for row in rows if _is_due(row, moment) and _claim_try(row)]


def _is_due(export: LogExport, moment: datetime) -> bool:
    finished_at = export.finished_at or moment
    tried = max(export.seen_at - finished_at, timedelta())
    return tried < _MAIL_UNTIL and moment - finished_at >= 2 * tried + _MAIL_WAIT


def _claim_try(export: LogExport) -> bool:
    with transaction():
        claimed = db.session.execute(
            update(LogExport)
            .where(LogExport.id == export.id, LogExport.seen_at == export.seen_at, LogExport.mailed_at.is_(None))
            .values(seen_at=now())
        )
    return bool(claimed.rowcount)  # type: ignore[attr-defined]


def wanted(host: str, moment: datetime) -> list[str]:
    """The names of the files on a host that are still of use."""
    rows = db.session.scalars(select(LogExport).where(LogExport.host == host))
    return [row.file_name for row in rows if row.is_open or ((end := row.ends_at()) and end > moment)]


def query_of(export: LogExport) -> Query:
    """What was asked for."""
    asked = export.asked
    since, until = (datetime.fromisoformat(asked[name]) if asked[name] else None for name in ("since", "until"))
    equal, unequal = ({name: tuple(values) for name, values in asked[which].items()} for which in ("equal", "unequal"))
    return Query(asked["text"], since, until, equal, unequal)


def _packed(query: Query) -> dict[str, Any]:
    since, until = (at.isoformat() if at else "" for at in (query.since, query.until))
    equal, unequal = ({name: list(some) for name, some in values.items()} for values in (query.equal, query.unequal))
    return {"text": query.text, "since": since, "until": until, "equal": equal, "unequal": unequal}


def _give_up(user_id: int) -> None:
    """Mark what nobody works on any more, inside an open transaction."""
    for state, patience in _PATIENCE.items():
        db.session.execute(
            update(LogExport)
            .where(LogExport.user_id == user_id, LogExport.state == state, LogExport.seen_at < now() - patience)
            .values(state="failed", finished_at=now(), note="Its worker ended without a word, or none was free.")
        )
