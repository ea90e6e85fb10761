"""Exports of the log that take a while: written by a job on the host that was asked, told by mail, deleted later."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from mcpweb import clock, mailer
from mcpweb.accounts.models import User
from mcpweb.database import db, now, transaction
from mcpweb.errors import AppError
from mcpweb.instances.house import house
from mcpweb.logs import export_files, prepared
from mcpweb.logs.export_files import MAX_LINES, MAX_MB, Written
from mcpweb.logs.export_models import KEPT, LogExport
from mcpweb.queue import job
from mcpweb.settings import Settings
from mcpweb.web.current import log_index, settings

log = logging.getLogger(__name__)

_PAGE_S = 30.0
"""What one page of lines may take; nobody waits for it with an empty screen."""
_TELL_S = 1.0
_CUT = f"A file holds at most {MAX_LINES:,} lines and {MAX_MB:,} MB. The older lines are left out."


@job("export_logs")
def export_logs(export_id: str) -> int:
    """Write an export that was asked for on this host and mail where it is; returns its lines. May run twice."""
    export = prepared.claim(UUID(export_id))
    if export is None:
        return 0
    person = db.session.get(User, export.user_id)
    if person is None or not person.is_admin or not person.is_enabled:
        prepared.finish(export.id, "failed", note="Whoever asked for it does not administer any more.")
        return 0
    written = _write(export)
    if written is None:
        return 0
    note = _CUT if written.is_cut else ""
    if prepared.finish(export.id, "done", lines=written.lines, size=written.size, note=note):
        db.session.refresh(export)
        _mail(export, person)
    return written.lines


@job("export_mails_left")
def export_mails_left() -> int:
    """Every minute: try again, three times, to mail where a finished export is; returns how many mails were taken."""
    rows = [(export, db.session.get(User, export.user_id)) for export in prepared.claim_unmailed()]
    return sum(_mail(export, to) for export, to in rows if to is not None and to.is_admin and to.is_enabled)


@job("erase_exports")
def erase_exports() -> int:
    """Every hour on every host: delete the files of exports that are over, deleted, or failed."""
    return export_files.erase(folder(settings()), prepared.wanted(house().propagation.host, now()))


@job("preview_erase_exports")
def preview_erase_exports() -> dict[str, int]:
    """How many files that job would delete on this host now, and how many bytes."""
    gone = export_files.unwanted(folder(settings()), prepared.wanted(house().propagation.host, now()))
    return {"items": len(gone), "freed_bytes": sum(path.stat().st_size for path in gone if path.is_file())}


def folder(settings: Settings) -> Path:
    """Where a host keeps the files."""
    return settings.home / "exports"


def _write(export: LogExport) -> Written | None:
    """None when it was deleted meanwhile.

    Raises:
        Exception: whatever went wrong, once the page says that something did.
    """
    lines = (line.fields for line in log_index().within(_PAGE_S).stream(prepared.query_of(export)))
    try:
        return export_files.write(folder(settings()) / export.file_name, export.kind, lines, _teller(export.id))
    except prepared.Cancelled:
        return None
    except Exception as error:
        db.session.rollback()
        prepared.finish(export.id, "failed", note=_sentence(error))
        raise


def _teller(export_id: UUID) -> Callable[[int], None]:
    """Says how far it is, once a second at most."""
    last = clock.monotonic()

    def tell(lines: int) -> None:
        nonlocal last
        if clock.monotonic() - last >= _TELL_S:
            last = clock.monotonic()
            prepared.tell(export_id, lines)

    return tell


def _sentence(error: Exception) -> str:
    if isinstance(error, AppError):
        return error.sentence
    return "The file could not be written. Is the disk full?" if isinstance(error, OSError) else "It met a fault."


def _mail(export: LogExport, person: User) -> bool:
    """Whether the mail was taken; else the file stays where it is, and the page says so."""
    link = f"{settings().url}/admin/logs/exports/{export.id}"
    told = {"link": link, "lines": f"{export.lines:,}", "note": export.note, "days": KEPT.days}
    try:
        mailer.send(
            person.email,
            "Your export of the mcpweb log is ready",
            "export_ready",
            product_url=settings().url,
            **told,
        )
    except mailer.MailRefused as refused:
        log.warning("the mail about an export could not be sent", extra={"reason": str(refused)})
        return False
    with transaction():
        db.session.merge(export).mailed_at = now()
    return True
