"""Throws away what nobody can use any more: old sign-in links and ended sessions."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, or_

from mcpweb.accounts.models import UserSession, UserToken
from mcpweb.database import db, now, transaction
from mcpweb.logs import events
from mcpweb.queue import job

_KEEP_LINKS = timedelta(days=2)
"""The daily limit of an address counts its rows, so they outlive the link."""
_KEEP_SESSIONS = timedelta(days=30)


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
    events.app("cleaned up", links=links.rowcount, sessions=sessions.rowcount)  # type: ignore[attr-defined]
