"""Once a day on each host: finished days of the log are closed and verified, old ones deleted."""

from __future__ import annotations

from typing import Any

from mcpweb import clock
from mcpweb.config import Settings
from mcpweb.logs import events, maintenance
from mcpweb.logs.maintenance import Report
from mcpweb.logs.retention import Policy
from mcpweb.queue import job
from mcpweb.web.current import settings


@job("maintain_logs")
def maintain_logs() -> dict[str, Any]:
    """Every day, on each host; may run late or twice. Returns its report.

    Raises:
        Conflict: another run is at work on this host.
    """
    return run(settings()).to_dict()


def run(settings: Settings, *, dry_run: bool = False) -> Report:
    """Work on this host's log folder now, and say in the log what was done.

    Raises:
        Conflict: another run is at work on this host.
    """
    report = maintenance.maintain(events.files(), clock.utcnow(), Policy.of(settings), dry_run=dry_run)
    if not dry_run:
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
