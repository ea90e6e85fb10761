"""Sessions on the server: the cookie is only a random id, so ending the row ends the session at once."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from mcpweb.accounts import links
from mcpweb.accounts.models import User, UserSession
from mcpweb.crypto import hash_secret
from mcpweb.database import after_commit, db, now, transaction
from mcpweb.errors import NotFound
from mcpweb.logs import events
from mcpweb.settings import Settings

_SEEN_EVERY = timedelta(minutes=1)
"""How precise "last seen" is: a write for every page view would buy nothing."""


def start(user: User, moment: datetime, *, ip: str, agent: str, settings: Settings) -> str:
    """Add a session to the open transaction; returns the random id for the cookie (256 bits)."""
    raw = secrets.token_urlsafe(32)
    db.session.add(
        UserSession(
            id_hash=hash_secret(raw),
            user_id=user.id,
            created_at=moment,
            last_seen_at=moment,
            expires_at=moment + timedelta(days=settings.session_days_max),
            ip=ip,
            agent=agent[:300],
        )
    )
    return raw


def load(raw: str, idle: timedelta) -> User | None:
    """The enabled user behind a cookie's id; None when the session was ended, timed out, or never was."""
    moment = now()
    session = db.session.scalar(
        select(UserSession).where(UserSession.id_hash == hash_secret(raw), *_alive(moment, idle))
    )
    if session is None or not session.user.is_enabled:
        return None
    if moment - session.last_seen_at >= _SEEN_EVERY:
        with transaction():
            db.session.execute(
                update(UserSession)
                .where(UserSession.id == session.id, *_alive(moment, idle))
                .values(last_seen_at=moment)
            )
    session.user.session_key = raw
    return session.user


def alive(user: User, idle: timedelta) -> list[UserSession]:
    """The user's sessions that still sign in, most recently seen first."""
    query = select(UserSession).where(UserSession.user_id == user.id, *_alive(now(), idle))
    return list(db.session.scalars(query.order_by(UserSession.last_seen_at.desc())))


def end(user: User, session_id: int) -> None:
    """End one session of the user.

    Raises:
        NotFound: the user has no such session.
    """
    if not _end(UserSession.user_id == user.id, UserSession.id == session_id):
        raise NotFound("There is no such session.")


def end_by_key(raw: str) -> None:
    """Sign out: end the session of this random id, as the cookie holds it."""
    _end(UserSession.id_hash == hash_secret(raw))


def end_all(user: User) -> int:
    """Sign out everywhere, and end the sign-in links that are under way; returns how many sessions ended."""
    with transaction():
        return end_all_now(user)


def end_all_now(user: User) -> int:
    """As `end_all`, in the open transaction."""
    links.supersede(user.email, now())
    return _revoke(UserSession.user_id == user.id)


def _end(*which: Any) -> int:
    with transaction():
        return _revoke(*which)


def _revoke(*which: Any) -> int:
    ended = db.session.execute(
        update(UserSession).where(*which, UserSession.revoked_at.is_(None)).values(revoked_at=now())
    )
    count: int = ended.rowcount  # type: ignore[attr-defined]
    after_commit(lambda: events.security("sessions ended", count=count))
    return count


def _alive(moment: datetime, idle: timedelta) -> tuple[Any, ...]:
    return (
        UserSession.revoked_at.is_(None),
        UserSession.expires_at > moment,
        UserSession.last_seen_at > moment - idle,
    )
