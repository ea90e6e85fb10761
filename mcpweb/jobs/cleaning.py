"""Throws away what nobody can use any more: old links, sessions, notices, counts, runs, logs of what is long gone."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import redis
from sqlalchemy import Delete, delete, func, or_, select

from mcpweb import queue
from mcpweb.accounts.models import UserSession, UserToken
from mcpweb.alerts.models import Alert, AlertMessage
from mcpweb.database import db, now, transaction
from mcpweb.instances.house import house
from mcpweb.instances.models import Instance, Notice, TrafficMinute, UsageRollup
from mcpweb.jobs import runs
from mcpweb.logs import events
from mcpweb.logs.export_models import LogExport
from mcpweb.monitoring.models import HostRole, InstallationSample, ResourceSample
from mcpweb.queue import job

_KEEP_LINKS = timedelta(days=2)
"""The daily limit of an address counts its rows, so they outlive the link."""
_KEEP_SESSIONS = timedelta(days=30)
_KEEP_NOTICES = timedelta(days=30)
_KEEP_COUNTS = timedelta(days=400)
"""A year can be compared with the one before."""
_KEEP_EXPORTS = timedelta(days=30)
"""The list of them; the files are gone long before."""
_KEEP_PROCESSES = timedelta(days=1)
"""One that was killed is missed for so long."""
_KEEP_SAMPLES = timedelta(days=8)
"""A week is shown."""
_KEEP_LOGS = timedelta(days=30)
"""What an owner is told on the page that deletes an instance."""


@job("clean_up")
def clean_up() -> dict[str, int]:
    """Every hour; may run late or twice."""
    removed: dict[str, int] = {}
    for what, statement in _rubbish(now()).items():
        with transaction():  # one for each, so that nobody who writes waits for long
            removed[what] = db.session.execute(statement).rowcount  # type: ignore[attr-defined]
    removed["runs"] = runs.tidy()
    with suppress(redis.RedisError):  # what is away needs no cleaning
        for host in ("", house().propagation.host):
            queue.forget_failed(host)
    events.app("cleaned up", **removed)
    return {"items": sum(removed.values()), **removed}


def _rubbish(moment: datetime) -> Mapping[str, Delete]:
    sessions_end = moment - _KEEP_SESSIONS
    still_counted = select(UsageRollup.instance_id).where(UsageRollup.hour >= moment - _KEEP_LOGS)
    return {
        "links": delete(UserToken).where(UserToken.created_at < moment - _KEEP_LINKS),
        "sessions": delete(UserSession).where(
            or_(UserSession.expires_at < sessions_end, UserSession.revoked_at < sessions_end)
        ),
        # Those that were given up have no time of sending.
        "notices": delete(Notice).where(
            or_(Notice.sent_at < moment - _KEEP_NOTICES, Notice.created_at < moment - 2 * _KEEP_NOTICES)
        ),
        "exports": delete(LogExport).where(LogExport.asked_at < moment - _KEEP_EXPORTS),
        "alert_messages": delete(AlertMessage).where(AlertMessage.created_at < moment - 2 * _KEEP_NOTICES),
        "alerts": delete(Alert).where(Alert.closed_at < moment - _KEEP_COUNTS),
        "counts": delete(UsageRollup).where(UsageRollup.hour < moment - _KEEP_COUNTS),
        "counts_of_deleted": delete(UsageRollup).where(
            UsageRollup.instance_id.not_in(select(Instance.id)), UsageRollup.instance_id.not_in(still_counted)
        ),
        "processes": delete(HostRole).where(HostRole.seen_at < moment - _KEEP_PROCESSES),
        "samples": delete(ResourceSample).where(ResourceSample.at < moment - _KEEP_SAMPLES),
        "installation_samples": delete(InstallationSample).where(InstallationSample.minute < moment - _KEEP_SAMPLES),
        "minutes": delete(TrafficMinute).where(TrafficMinute.minute < moment - _KEEP_SAMPLES),
    }


def due() -> dict[str, int]:
    """How many of everything would be thrown away now; nothing is."""
    counted = {}
    for what, statement in _rubbish(now()).items():
        which = select(func.count()).select_from(statement.table)
        if statement.whereclause is not None:
            which = which.where(statement.whereclause)
        counted[what] = db.session.scalar(which) or 0
    return counted


@job("erase_logs")
def erase_logs() -> int:
    """Every hour on every host: erase the logs there of instances that are gone and have written nothing since."""
    folders = erasable()
    for folder in folders:
        shutil.rmtree(folder)
    return len(folders)


def erasable() -> list[Path]:
    """The folders on this host of instances that are gone and have written nothing since."""
    alive = set(db.session.scalars(select(Instance.id)))
    before = (now() - _KEEP_LOGS).timestamp()
    return [
        folder
        for folder in events.files().root.glob("users/user_*/mcp_*")
        if UUID(folder.name.removeprefix("mcp_")) not in alive
        and max((path.stat().st_mtime for path in folder.iterdir()), default=0.0) < before
    ]
