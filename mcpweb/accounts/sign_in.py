"""Signing in by an e-mailed link: asking for one, and using it once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update

from mcpweb.accounts import addresses, links, sessions
from mcpweb.accounts.links import LINK_LIFE, LinkRefused
from mcpweb.accounts.models import Purpose, Role, User, UserToken
from mcpweb.crypto import hash_secret
from mcpweb.database import after_commit, db, now, take_turns, transaction
from mcpweb.logs import audit, context, events
from mcpweb.queue import enqueue
from mcpweb.settings import Settings

_LIMITS = ((timedelta(minutes=15), 5), (timedelta(days=1), 20))
_SOURCE_LIMITS = ((timedelta(minutes=15), 30), (timedelta(days=1), 300))


def ask(email: str, *, browser: str, next_path: str, ip: str, agent: str) -> None:
    """Note that somebody asks to sign in, and let a job decide and send the mail.

    Known and unknown addresses take the same path here, so neither the answer nor its timing tells them apart.
    Beyond the limits of an address nothing happens, silently. `browser` is a random value of the asking browser.
    """
    key = addresses.counting_key(email)
    with transaction():
        take_turns(links.turn_of(email))
        moment = now()
        if _beyond(UserToken.address_key == key, _LIMITS, moment) or _beyond(
            UserToken.requested_ip == ip, _SOURCE_LIMITS, moment
        ):
            after_commit(lambda: events.security("sign-in link refused", level="warning", email=email, reason="limit"))
            return
        links.supersede(email, moment)
        token = UserToken(
            purpose=Purpose.SIGN_IN,
            email=email,
            address_key=key,
            browser_hash=hash_secret(browser),
            next_path=next_path,
            requested_ip=ip,
            requested_agent=agent[:300],
            created_at=moment,
            expires_at=moment + LINK_LIFE,
        )
        db.session.add(token)
        db.session.flush()
        after_commit(lambda: events.security("sign-in link asked", email=email))
        after_commit(lambda: enqueue("sign_in_mail", token.id))


def may_sign_in(email: str, settings: Settings) -> bool:
    """Whether a link is mailed to this address: enabled users, and newcomers as far as signing up is open."""
    user = db.session.scalar(select(User).where(User.email == email))
    if user is not None:
        return bool(user.is_enabled)
    match settings.sign_up:
        case "open":
            return True
        case "domains":
            return email.rpartition("@")[2] in settings.sign_up_domains
        case _:
            return False


def use(token: UserToken, *, email: str = "", ip: str, agent: str, settings: Settings) -> User:
    """Use a link up and start a session; of several who try at once exactly one succeeds.

    `email` is the address of the first administrator, for the set-up link. Gives back the user with a fresh
    `session_key`.

    Raises:
        LinkRefused: somebody was quicker, the link has ended, or the user is disabled.
    """
    address = token.email or email
    with transaction():
        if token.purpose == Purpose.SET_UP:
            take_turns("set-up")  # there may be several such links, and one administrator comes of them
        take_turns(links.turn_of(address))
        moment = now()
        claimed = db.session.execute(
            update(UserToken).where(UserToken.id == token.id, *links.still_open(moment)).values(used_at=moment)
        )
        if claimed.rowcount != 1:  # type: ignore[attr-defined]
            db.session.expire(token)
            raise LinkRefused(links.closed(token, moment) or "used", token.email)
        if token.purpose == Purpose.SET_UP and links.has_admin():
            raise LinkRefused("used")
        role = Role.ADMIN if token.purpose == Purpose.SET_UP else Role(token.role)
        user = _user(address, role, moment)
        if not user.is_enabled:
            raise LinkRefused("disabled")
        user.last_login_at = moment
        links.supersede(address, moment)
        user.session_key = sessions.start(user, moment, ip=ip, agent=agent, settings=settings)
        context.add_fields(user=user.id)
        after_commit(lambda: events.security("signed in", email=address, purpose=token.purpose))
    return user


def _user(email: str, role: Role, moment: datetime) -> User:
    user = db.session.scalar(select(User).where(User.email == email))
    if user is None:
        user = User(email=email, role=role, created_at=moment)
        db.session.add(user)
        db.session.flush()
        audit.record("user.create", actor=email, subject=f"user/{user.id}", role=str(role))
    elif role == Role.ADMIN and not user.is_admin:
        user.role = Role.ADMIN
        audit.record("user.make-admin", actor=email, subject=f"user/{user.id}")
    return user


def _beyond(whose: Any, limits: tuple[tuple[timedelta, int], ...], moment: datetime) -> bool:
    for span, most in limits:
        count = db.session.scalar(
            select(func.count()).select_from(UserToken).where(whose, UserToken.created_at > moment - span)
        )
        if (count or 0) >= most:
            return True
    return False
