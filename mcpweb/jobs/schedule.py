"""The periodic jobs: what each does and when it runs. Data only; the rows in the database begin as a copy of it.

A new job is one entry below and its function, which is listed as a job and imported by `jobs/worker.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class When:
    """Once in every slot of `every_s` seconds, or once a day at `at_time` (`03:10`) in a time zone."""

    every_s: int | None = None
    at_time: str | None = None
    timezone: str = "UTC"

    def slot(self, moment: datetime) -> int:
        """The number of the newest slot that has begun: counted in spans since 1970, or in days by the calendar.

        Raises:
            ValueError: neither a span nor a time of day, or one that can not be read.
            KeyError: no such time zone.
        """
        if self.every_s:
            return int(moment.timestamp() // self.every_s)
        today = moment.astimezone(_zone(self.timezone)).date().toordinal()
        return next(day for day in range(today, 0, -1) if self._due_on(day) <= moment)

    def next_at(self, moment: datetime) -> datetime:
        """When the slot after the present one begins.

        Raises:
            ValueError, KeyError: as `slot`.
        """
        if self.every_s:
            return datetime.fromtimestamp((self.slot(moment) + 1) * self.every_s, UTC)
        return self._due_on(self.slot(moment) + 1)

    def _due_on(self, day: int) -> datetime:
        """When it is due on a day. A time that the clocks skip is an hour later; of one that comes twice, the first."""
        hour = time.fromisoformat(self.at_time or "")
        return datetime.combine(datetime.fromordinal(day), hour, _zone(self.timezone)).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Plan:
    """A periodic job as it is shipped. `per_host`: on every host by itself, since it works on the host's files."""

    job: str
    does: str
    when: When
    per_host: bool = False
    timeout_s: int = 120


def every(seconds: int) -> When:
    """Once in every slot of so many seconds."""
    return When(every_s=seconds)


def daily(at_time: str, timezone: str = "UTC") -> When:
    """Once a day; a day that was missed is caught up once."""
    return When(at_time=at_time, timezone=timezone)


_PLANS = (
    Plan("expire_instances", "Marks the instances whose end has come.", every(30)),
    Plan("send_notices", "Mails owners what they have to know of their instances.", every(30)),
    Plan("sign_in_mails_left", "Sends the sign-in mails that a failure left behind.", every(30)),
    Plan("export_mails_left", "Sends the mails about exports that a failure left behind.", every(60)),
    Plan("recheck_credentials", "Tries the keys of instances whose check is due.", every(300)),
    Plan("watch_health", "Notes since when each part of the installation is as it is.", every(60)),
    Plan("remind_owners", "Finds the instances that end in a week or a day.", every(3600)),
    Plan("clean_up", "Throws away what nobody can use any more.", every(3600)),
    Plan("erase_logs", "Erases the logs of instances that were deleted long ago.", every(3600), per_host=True),
    Plan("erase_exports", "Deletes exports of the log that are over.", every(3600), per_host=True),
    Plan(
        "maintain_logs",
        "Compresses finished days of the log, verifies the closed ones, deletes old ones.",
        daily("03:10"),
        per_host=True,
        timeout_s=3600,
    ),
    Plan("recount", "Compares the counters of the services with what there is.", daily("03:40")),
    Plan("watch_alerts", "Looks whether anything needs an administrator, and tells them.", every(60)),
    Plan("verify_audit", "Verifies that the audit trail is whole.", daily("03:50"), timeout_s=3600),
)

PLANS: Mapping[str, Plan] = {plan.job: plan for plan in _PLANS}

_ON_DEMAND = (
    Plan("preview_clean_up", "Says what cleaning up would throw away, and throws nothing away.", When()),
    Plan("preview_erase_logs", "Says which logs would be erased, and erases none.", When(), per_host=True),
    Plan("preview_erase_exports", "Says how many exports would be deleted, and deletes none.", When(), per_host=True),
    Plan(
        "preview_log_maintenance",
        "Says which days of the log would be closed and deleted, and touches none.",
        When(),
        per_host=True,
        timeout_s=3600,
    ),
    Plan("verify_logs", "Compares the closed days of the log with their list.", When(), per_host=True, timeout_s=3600),
    Plan("reseal", "Seals every stored credential with the newest encryption key.", When(), timeout_s=3600),
    Plan("rebuild_index", "Builds the log index anew from the files.", When(), per_host=True, timeout_s=3600),
)

ON_DEMAND: Mapping[str, Plan] = {plan.job: plan for plan in _ON_DEMAND}
"""What never runs by itself, but may be asked for."""

ON_EVENT: Mapping[str, Plan] = {
    "export_logs": Plan("export_logs", "Writes an export of the log.", When(), per_host=True, timeout_s=1800)
}
"""What somebody's act on another page starts, and what takes longer than usual."""

PREVIEWS: Mapping[str, str] = {
    "clean_up": "preview_clean_up",
    "erase_logs": "preview_erase_logs",
    "erase_exports": "preview_erase_exports",
    "maintain_logs": "preview_log_maintenance",
}
"""The jobs that delete, each with the one that only says what it would delete."""

SPAN_OF_A_DAY_S = 24 * 3600


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)  # UTC needs no list of time zones, which small systems lack
