"""Throws away what nobody can use any more: old sign-in links, ended sessions, logs of what was deleted long ago."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, or_, select

from mcpweb.accounts.models import UserSession, UserToken
from mcpweb.database import db, now, transaction
from mcpweb.instances.models import Instance
from mcpweb.logs import events
from mcpweb.queue import job

_KEEP_LINKS = timedelta(days=2)
"""The daily limit of an address counts its rows, so they outlive the link."""
_KEEP_SESSIONS = timedelta(days=30)
_KEEP_LOGS = timedelta(days=30)
"""What an owner is told on the page that deletes an instance."""


@job("clean_up")
def clean_up() -> None:
    """Every hour; may run late or twice."""
    with transaction():
        moment = now()
        links = db.session.execute(delete(UserToken).where(UserToken.created_at < moment - _KEEP_LINKS))
        sessions = db.session.execute(
            delete(UserSession).where(
                or_(UserSession.expires_at < moment - _KEEP_SESSIONS, UserSession.revoked_at < moment - _KEEP_SESSIONS)
            )
        )
    folders = _forget_deleted(moment - _KEEP_LOGS)
    events.app("cleaned up", log_folders=folders, links=links.rowcount, sessions=sessions.rowcount)  # type: ignore[attr-defined]


def _forget_deleted(before: datetime) -> int:
    """Remove the log folders of instances that are gone and have written nothing since; returns how many."""
    alive = set(db.session.scalars(select(Instance.id)))
    removed = 0
    for folder in events.files().root.glob("users/user_*/mcp_*"):
        newest = max((path.stat().st_mtime for path in folder.iterdir()), default=0.0)
        if UUID(folder.name.removeprefix("mcp_")) not in alive and newest < before.timestamp():
            shutil.rmtree(folder)
            removed += 1
    return removed
