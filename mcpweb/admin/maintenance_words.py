"""Jobs, schedules and reports in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mcpweb.jobs.models import JobRun
from mcpweb.jobs.schedule import When

_TITLES = {
    "expire_instances": "Expiry",
    "send_notices": "Notices to owners",
    "sign_in_mails_left": "Sign-in mails left behind",
    "recheck_credentials": "Key checks",
    "watch_health": "Health",
    "remind_owners": "Reminders",
    "clean_up": "Cleaning up",
    "erase_logs": "Erasing logs",
    "erase_exports": "Erasing exports",
    "maintain_logs": "Log maintenance",
    "recount": "Recount",
    "watch_alerts": "Alerts",
    "verify_audit": "Audit trail",
    "preview_clean_up": "Dry run of cleaning up",
    "preview_erase_logs": "Dry run of erasing logs",
    "preview_erase_exports": "Dry run of erasing exports",
    "preview_log_maintenance": "Dry run of log maintenance",
    "verify_logs": "Log integrity",
    "rebuild_index": "Index rebuild",
    "reseal": "Key rotation",
}
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_LABELS = {
    "is_sound": "All closed days unchanged",
    "verified": "Files by state",
    "freed_bytes": "Freed",
    "used_bytes": "Logs take",
    "drift": "Wrong counters (counted before, true)",
    "longest_ms": "Longest transaction, ms",
    "is_dry_run": "Dry run",
    "is_whole": "The trail is whole",
    "last": "Last entry",
    "not_looked_at": "Rules that could not be looked at",
    "messages_items": "Messages sent",
    "messages_refused": "Receivers that could not be reached",
    "manifest_lines": "Lines of the list",
    "manifest_head": "Digest of its last line",
    "newest_first_down_to": "Down to",
    "counts": "Counts by the hour",
    "counts_of_deleted": "Counts of deleted instances",
}
_TRIGGERS = {"schedule": "Schedule", "event": "Event", "hand": "By hand"}


def title(job: str) -> str:
    """What a job is called on pages."""
    return _TITLES.get(job) or job.replace("_", " ").capitalize()


def schedule(when: When) -> str:
    """`Every 5 minutes`, `Daily at 03:10 UTC`."""
    if when.at_time:
        return f"Daily at {when.at_time} {when.timezone}"
    number, unit = in_units(when.every_s or 0)
    return f"Every {unit}" if number == 1 else f"Every {number} {unit}s"


def in_units(seconds: int) -> tuple[int, str]:
    """A span in the largest unit of which it is a whole number."""
    return next((seconds // size, unit) for size, unit in _UNITS if seconds % size == 0)


def run(one: JobRun, now: datetime) -> dict[str, Any]:
    """A run as a row shows it."""
    end = one.finished_at or (now if one.state == "running" else None)
    return {
        "id": one.id,
        "state": one.state,
        "started_at": one.started_at,
        "took_ms": (end - one.started_at).total_seconds() * 1000 if end else None,
        "count": one.items,
        "host": one.host,
        "trigger": _TRIGGERS.get(one.trigger, one.trigger),
        "by_whom": one.by_whom,
        "facts": facts(one.report),
    }


def facts(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A report as pairs of word and value; what says nothing is left out."""
    told = []
    for name, value in report.items():
        if name == "items" or value in ("", None, [], {}):
            continue
        if name.endswith("_count"):
            if value == len(report.get(name.removesuffix("_count"), ())):
                continue  # the whole list is there
            label = f"{label_of(name.removesuffix('_count'))}, in all"
        else:
            label = label_of(name)
        told.append((label, size(value) if name.endswith("_bytes") else text(value)))
    return told


def label_of(name: str) -> str:
    """What a field of a report is called."""
    return _LABELS.get(name) or name.replace("_", " ").capitalize()


def text(value: Any) -> str:
    """A value of a report on one line."""
    match value:
        case bool():
            return "yes" if value else "no"
        case Mapping():
            return ", ".join(f"{name}: {text(one)}" for name, one in value.items())
        case str():
            return value
        case Sequence():
            return ", ".join(text(one) for one in value)
        case _:
            return f"{value:,}" if isinstance(value, int) else str(value)


def size(count: float) -> str:
    """`512 bytes`, `3.4 MB`, `12.0 GB`; below nothing, as when lines were written meanwhile, `0 bytes`."""
    for unit, limit in (("GB", 1e9), ("MB", 1e5)):
        if count >= limit:
            return f"{count / (1e9 if unit == 'GB' else 1e6):,.1f} {unit}"
    return f"{max(count, 0):,.0f} bytes"
