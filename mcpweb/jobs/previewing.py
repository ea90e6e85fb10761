"""What may be asked for at any time: what the jobs that delete would do, the state of the logs, a new index."""

from __future__ import annotations

from typing import Any

from mcpweb.hosts import host_id
from mcpweb.jobs import cleaning, log_maintenance, runs
from mcpweb.logs import events, integrity
from mcpweb.logs.opening import open_index
from mcpweb.logs.rebuilding import rebuild
from mcpweb.logs.retention import list_key
from mcpweb.queue import job
from mcpweb.web.current import settings

_MAX_TOLD = 100


@job("preview_clean_up")
def preview_clean_up() -> dict[str, int]:
    """How many of everything would be thrown away now."""
    due = cleaning.due()
    return {"items": sum(due.values()), **due}


@job("preview_erase_logs")
def preview_erase_logs() -> dict[str, Any]:
    """The folders on this host that would be erased now."""
    folders = [folder.relative_to(events.files().root).as_posix() for folder in cleaning.erasable()]
    return {"items": len(folders), "folders": folders[:_MAX_TOLD]}


@job("preview_log_maintenance")
def preview_log_maintenance() -> dict[str, Any]:
    """The report of the maintenance of this host's logs, as it would be now.

    Raises:
        Conflict: a real run is at work on this host.
    """
    return log_maintenance.told(log_maintenance.run(settings(), dry_run=True))


@job("verify_logs")
def verify_logs() -> dict[str, Any]:
    """Whether the closed days on this host fit their list."""
    found = integrity.verify(events.files().root, list_key(settings()))
    return {
        "items": len(found.findings),
        "is_sound": found.is_whole,
        "verified": found.counts,
        "problems": found.sentences[:_MAX_TOLD],
        "problems_count": len(found.sentences),
    }


@job("rebuild_index")
def rebuild_index() -> dict[str, Any]:
    """Read all log files of this host into the index again, day by day, newest first.

    Raises:
        Unavailable: the index does not answer.
    """
    home = settings().home
    days = lines = skipped = 0
    broken: list[str] = []
    for done in rebuild(home / "logs", host_id(home / "run"), open_index(settings())):
        days, lines, skipped = days + 1, lines + done.lines, skipped + done.skipped
        broken += done.broken
        runs.tell(days, {"days": days, "lines": lines, "newest_first_down_to": done.day.isoformat()})
    return {"items": days, "days": days, "lines": lines, "skipped": skipped, "problems": broken[:_MAX_TOLD]}
