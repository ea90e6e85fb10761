"""What the pages about exports of the log show."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from mcpweb.admin.log_filter import LogFilter
from mcpweb.admin.log_pages import chips, total_words
from mcpweb.admin.maintenance_words import size
from mcpweb.errors import Conflict, NotFound
from mcpweb.jobs import exporting
from mcpweb.logs import prepared
from mcpweb.logs.export import KINDS
from mcpweb.logs.export_models import KEPT, LogExport
from mcpweb.logs.index import LogIndex, TooBroad
from mcpweb.settings import Settings

SENT_AT_ONCE = 100_000
"""Lines; larger files are prepared by a job."""


def offer(asked: LogFilter, index: LogIndex, user_id: int, now: datetime) -> dict[str, Any]:
    """How many lines an export would have, and in which way it is had."""
    fixed = asked.fixed(now)
    try:
        total: int | None = index.count(fixed.query(now), SENT_AT_ONCE + 1)
    except TooBroad:
        total = None
    since, until = fixed.span(now)
    return {
        "asked": asked,
        "total": total_words(total, SENT_AT_ONCE),
        "is_empty": total == 0,
        "is_big": total is None or total > SENT_AT_ONCE,
        "since": since,
        "until": until,
        "chips": [chip["words"] for chip in chips(asked)],
        "fixed": fixed.args(follow=""),
        "kinds": KINDS,
        "exports": [shown(one, now) for one in prepared.of(user_id)],
        "kept_days": KEPT.days,
    }


def shown(export: LogExport, now: datetime) -> dict[str, Any]:
    """One export in words."""
    query, end = prepared.query_of(export), export.ends_at()
    asked = LogFilter(query.text, since=query.since, until=query.until, equal=query.equal, unequal=query.unequal)
    is_over = end is not None and end <= now
    return {
        "id": export.id,
        "kind": KINDS[export.kind].words,
        "state": "over" if is_over else export.state,
        "is_open": export.is_open,
        "is_mailed": export.mailed_at is not None,
        "note": export.note,
        "lines": f"{export.lines:,}",
        "size": size(export.size),
        "asked_at": export.asked_at,
        "ends_at": end,
        "search": asked.args(),
        "words": [*([f"“{asked.text}”"] if asked.text else []), *(chip["words"] for chip in chips(asked))],
        "since": query.since,
        "until": query.until,
    }


def file_of(export: LogExport, host: str, settings: Settings, now: datetime) -> Path:
    """Where the file is, on this host.

    Raises:
        Conflict: it is not ready, or lies on another host.
        NotFound: it is over.
    """
    if export.state != "done":
        raise Conflict("This export has no file: it is not ready, or it failed.")
    end = export.ends_at()
    if end is None or end <= now:
        raise NotFound(f"The file is deleted: exports are kept for {KEPT.days} days.")
    if export.host != host:
        raise Conflict(f"The file lies on the host {export.host}, and this page was answered by {host}. Ask that host.")
    path = exporting.folder(settings) / export.file_name
    if not path.is_file():
        raise NotFound("The file is not there any more.")
    return path


def forget(export: LogExport, email: str, host: str, settings: Settings) -> None:
    """Delete an export, with its file at once where it lies on this host."""
    prepared.delete(export, email)
    if export.host == host:
        (exporting.folder(settings) / export.file_name).unlink(missing_ok=True)
