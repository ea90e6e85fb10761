"""Once a day on each host: finished days of the log are closed and verified, old ones deleted, also in the index."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from mcpweb import clock
from mcpweb.database import db
from mcpweb.hosts import host_id
from mcpweb.jobs import runs
from mcpweb.logs import events, maintenance
from mcpweb.logs.maintenance import Report
from mcpweb.logs.opening import open_index
from mcpweb.logs.rebuilding import forget
from mcpweb.logs.retention import Policy
from mcpweb.queue import job
from mcpweb.settings import Settings
from mcpweb.web.current import settings


@job("maintain_logs")
def maintain_logs() -> dict[str, Any]:
    """Every day, on each host; may run late or twice. Returns its report.

    Raises:
        Conflict: another run is at work on this host.
    """
    return told(run(settings()))


def told(report: Report) -> dict[str, Any]:
    """The report as the run of a job keeps it."""
    return {"items": len(report.closed) + len(report.deleted), **report.to_dict()}


def run(settings: Settings, *, dry_run: bool = False) -> Report:
    """Work on this host's log folder now, and say in the log what was done.

    Raises:
        Conflict: another run is at work on this host.
        Unavailable: the index does not answer; the next run takes out what is left.
    """
    policy = Policy.of(settings)
    db.session.commit()  # ends the read: the work on the files may take minutes
    report = maintenance.maintain(events.files(), clock.utcnow(), policy, dry_run=dry_run, tell=_tell)
    if not dry_run:
        gone = {name.removeprefix("system/") for name in report.deleted if name.startswith("system/")}
        oldest = clock.utcnow().date() - timedelta(days=policy.days)
        forget(settings.home / "logs", host_id(settings.home / "run"), open_index(settings), gone, oldest)
        # The head of the list stands in the log, and with it in tomorrow's list: its end can not be cut off unseen.
        events.app(
            "logs maintained",
            closed=len(report.closed),
            deleted=len(report.deleted),
            freed_bytes=report.freed_bytes,
            verified=report.verified,
            problems=report.problems[:20],
            manifest_lines=report.manifest_lines,
            manifest_head=report.manifest_head,
        )
        if not report.is_sound:
            events.security("closed logs do not fit their list", level="error", problems=report.problems[:20])
    return report


def _tell(report: Report, verified: int) -> None:
    closed, deleted = len(report.closed), len(report.deleted)
    runs.tell(closed + deleted, {"closed": closed, "files_verified": verified, "deleted": deleted})
