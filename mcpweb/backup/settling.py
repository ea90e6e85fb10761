"""What a restored database must not bring back: sessions, links, tokens that were revoked, jobs that nobody does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update

from mcpweb import clock
from mcpweb.accounts.models import Role, User, UserSession, UserToken
from mcpweb.backup.making import SUBJECT
from mcpweb.backup.manifest import Manifest
from mcpweb.backup.since import Change, Mailed, Since
from mcpweb.database import db, now, transaction
from mcpweb.instances.models import Instance, InstanceToken, Notice, Status
from mcpweb.jobs.models import JobRun, Schedule
from mcpweb.jobs.schedule import PLANS, When
from mcpweb.logs import audit, verifying
from mcpweb.logs.models import LogFile, LogRollup
from mcpweb.monitoring.models import HostRole

ACTOR = "restore"


@dataclass(frozen=True, slots=True)
class Again:
    """Something that was taken away since the backup, and is taken away again."""

    action: str
    subject: str
    details: Mapping[str, Any]
    by: str
    at: str

    @property
    def sentence(self) -> str:
        """For whoever restores."""
        token = f", token {self.details['token']}" if "token" in self.details else ""
        return f"{self.action} {self.subject}{token}, by {self.by} at {self.at}"


@dataclass(frozen=True, slots=True)
class Settled:
    """What was ended, what was taken away again, how many other changes are lost, by kind, and what is yet to mail."""

    sessions: int
    links: int
    runs: int
    again: tuple[Again, ...]
    lost: Mapping[str, int]
    unsent: int
    """Notices that the job mails next. Nobody may know whether they were mailed since: better twice than never."""


def settle(manifest: Manifest, since: Since, *, host: str, has_its_logs: bool) -> Settled:
    """Bring a restored database to the present, within an application context, and say so in its audit trail.

    `host` is the one that restores; `has_its_logs`: the logs of the backup became this host's.

    Raises:
        Unavailable: the audit log can not be written.
    """
    moment, restored_at = now(), clock.utcnow()
    with transaction():
        sessions = _count(update(UserSession).where(UserSession.revoked_at.is_(None)).values(revoked_at=moment))
        is_pending = (UserToken.used_at.is_(None), UserToken.superseded_at.is_(None))
        links = _count(update(UserToken).where(*is_pending).values(superseded_at=moment))
        is_open = JobRun.state.in_(("waiting", "running"))
        runs = _count(update(JobRun).where(is_open).values(state="lost", finished_at=moment))
        db.session.execute(delete(HostRole))
        _set_schedule_back()
        unsent = _still_to_mail(since.mailed, moment)
        if has_its_logs and manifest.host != host:
            _adopt_files(manifest.host, host)
        again = tuple(_take_away_again(since.changes))
        audit.record(
            verifying.RESTORED,
            actor="command line",
            subject=SUBJECT,
            made_at=manifest.made_at,
            restored_at=restored_at.isoformat(timespec="milliseconds"),
            sessions=sessions,
            links=links,
            known_since=bool(since.source),
        )
        for one in again:
            audit.record(one.action, actor=ACTOR, subject=one.subject, **one.details, first_by=one.by)
    done = {(one.action, one.subject) for one in again}
    lost = Counter(change.action for change in since.changes if (change.action, change.subject) not in done)
    return Settled(sessions, links, runs, again, lost, unsent)


def _still_to_mail(mailed: Collection[Mailed], moment: datetime) -> int:
    """Of the notices that were waiting, mark those that are known to be mailed; returns how many are left."""
    waiting = db.session.scalars(select(Notice).where(Notice.sent_at.is_(None))).all()
    for notice in waiting:
        if (notice.id, notice.instance_id, notice.kind, notice.created_at) in mailed:
            notice.sent_at = moment
    return sum(notice.sent_at is None for notice in waiting)


def _set_schedule_back() -> None:
    """A daily job that was missed is caught up once; of one that the clock has not reached yet, the present slot."""
    for row in db.session.scalars(
        select(Schedule).where(Schedule.at_time.is_not(None), Schedule.last_slot.is_not(None))
    ):
        if row.job in PLANS and row.last_slot is not None:
            row.last_slot = min(row.last_slot, When(None, row.at_time, row.timezone).slot(clock.utcnow()))


def _adopt_files(before: str, host: str) -> None:
    """The files of the backup's host are ours now: what was counted of them must not be counted again."""
    for model in (LogFile, LogRollup):
        db.session.execute(delete(model).where(model.host == host))
        db.session.execute(update(model).where(model.host == before).values(host=host))


def _take_away_again(changes: Iterable[Change]) -> Iterator[Again]:
    """In their order, so that what was given back later is not taken."""
    last: dict[tuple[str, str], Change] = {}
    for change in changes:
        if change.action in ("token.revoke", "token.rotate"):
            last[change.subject, f"token {change.details.get('token')}"] = change
        elif change.action in _KINDS:
            last[change.subject, _KINDS[change.action]] = change
    for (subject, _), change in last.items():
        if (found := _take_away(change)) is not None:
            action, details = found
            yield Again(action, subject, details, change.actor, f"{change.at:%Y-%m-%d %H:%M:%S} UTC")


_KINDS = {
    **dict.fromkeys(("instance.stop", "instance.deactivate", "instance.delete", "instance.activate"), "status"),
    **dict.fromkeys(("user.disable", "user.enable"), "enabled"),
    "user.role": "role",
    "credential.replace": "credential",
}


def _take_away(change: Change) -> tuple[str, Mapping[str, Any]] | None:
    """Do it, in the open transaction; None when there is nothing to take away (any more)."""
    kind, _, subject = change.subject.partition("/")
    if kind == "instance":
        return _of_instance(change, _uuid(subject))
    if kind == "user" and subject.isdigit():
        return _of_user(change, int(subject))
    return None


def _of_instance(change: Change, instance: UUID | None) -> tuple[str, Mapping[str, Any]] | None:
    token = change.details.get("token")
    if change.action.startswith("token."):
        if not isinstance(token, int):
            return None
        is_valid = (
            InstanceToken.id == token,
            InstanceToken.instance_id == instance,
            InstanceToken.revoked_at.is_(None),
        )
        ended = _count(update(InstanceToken).where(*is_valid).values(revoked_at=now()))
        return ("token.revoke", {"token": token}) if ended else None
    if change.action == "credential.replace":  # the one from before is back, and may be worth nothing
        db.session.execute(update(Instance).where(Instance.id == instance).values(credential_due_at=None))
        return None
    if change.action == "instance.activate":
        return None
    values: dict[str, Any] = {"status": Status.INACTIVE}
    if change.action == "instance.stop":
        values["stopped_reason"] = str(change.details.get("reason", ""))[:300]
    is_active = (Instance.id == instance, Instance.status == Status.ACTIVE)
    return ("instance.deactivate", {}) if _count(update(Instance).where(*is_active).values(**values)) else None


def _of_user(change: Change, user: int) -> tuple[str, Mapping[str, Any]] | None:
    if change.action == "user.disable":
        is_enabled = (User.id == user, User.is_enabled)
        return ("user.disable", {}) if _count(update(User).where(*is_enabled).values(is_enabled=False)) else None
    if change.action == "user.role" and change.details.get("after") == Role.USER:
        is_admin = (User.id == user, User.role == Role.ADMIN)
        told = {"before": str(Role.ADMIN), "after": str(Role.USER)}
        return ("user.role", told) if _count(update(User).where(*is_admin).values(role=Role.USER)) else None
    return None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _count(statement: Any) -> int:
    changed = db.session.execute(statement.execution_options(synchronize_session=False))
    count: int = changed.rowcount  # type: ignore[attr-defined]
    return count
