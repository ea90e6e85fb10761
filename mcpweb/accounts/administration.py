"""What administrators change about users: role, access, sessions, links, invitations.

Whoever changes roles or disables takes turns, so that of two administrators who remove each other one stays. Turns are
taken in one order: administrators, the links of an address, audit chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import select

from mcpweb.accounts import links, sessions
from mcpweb.accounts.models import Role, User, UserToken
from mcpweb.database import after_commit, db, now, take_turns, transaction
from mcpweb.errors import Conflict, NotFound
from mcpweb.logs import audit, events
from mcpweb.queue import enqueue


def set_role(user: User, role: Role, actor: User) -> None:
    """Make a user an administrator, or no longer one; it holds from their next request on.

    Raises:
        Conflict: it is the actor's own role, or nobody would administer any more.
    """
    _refuse_oneself(user, actor, "You can not change your own role. Another administrator can.")
    with _changing(user):
        if user.role == role:
            return
        if role != Role.ADMIN:
            _keep_an_administrator(user)
        before, user.role = user.role, role
        audit.record("user.role", actor=actor.email, subject=_subject(user), before=before, after=str(role))


def disable(user: User, actor: User) -> None:
    """Shut a user out: no session, no link under way, no sign-in. Doing it twice is doing it once.

    Their endpoints refuse as soon as nobody remembers them; see `mcpweb.instances.owners`.

    Raises:
        Conflict: it is the actor, or nobody would administer any more.
    """
    _refuse_oneself(user, actor, "You can not disable yourself. Another administrator can.")
    with _changing(user):
        if not user.is_enabled:
            return
        _keep_an_administrator(user)
        user.is_enabled = False
        ended = sessions.end_all_now(user)
        audit.record("user.disable", actor=actor.email, subject=_subject(user), sessions_ended=ended)


def enable(user: User, actor: User) -> None:
    """Let a user in again; their endpoints answer again too. Doing it twice is doing it once."""
    with _changing(user):
        if user.is_enabled:
            return
        user.is_enabled = True
        audit.record("user.enable", actor=actor.email, subject=_subject(user))


def sign_out(user: User, actor: User) -> int:
    """End all sessions of a user and the links that are under way; returns how many sessions ended."""
    with _changing(user):
        ended = sessions.end_all_now(user)
        audit.record("user.sign-out", actor=actor.email, subject=_subject(user), sessions_ended=ended)
    return ended


def send_link(user: User, actor: User) -> None:
    """Mail a user a link that signs in; it takes the place of any that is under way.

    Raises:
        Conflict: the user is disabled.
    """
    with _changing(user):
        if not user.is_enabled:
            raise Conflict(f"{user.email} is disabled, so no link would sign in. Enable them first.")
        _mail(links.invite(user.email, now()))
        audit.record("user.send-link", actor=actor.email, subject=_subject(user))


def invite(email: str, actor: User) -> User:
    """Make an account for an address, and mail a link to it.

    Raises:
        Conflict: there is one already.
    """
    with transaction():
        take_turns(links.turn_of(email))
        if db.session.scalar(select(User.id).where(User.email == email)) is not None:
            raise Conflict(f"{email} has an account already. Their page can send them a sign-in link.")
        moment = now()
        user = User(email=email, role=Role.USER, created_at=moment)
        db.session.add(user)
        _mail(links.invite(email, moment))
        audit.record("user.invite", actor=actor.email, subject=_subject(user), email=email)
    return user


@contextmanager
def _changing(user: User) -> Iterator[None]:
    """A transaction that has the user as it is now, and lets nobody else change who administers meanwhile."""
    with transaction():
        take_turns("administrators")
        take_turns(links.turn_of(user.email))
        newest = select(User).where(User.id == user.id).with_for_update(key_share=True)
        if db.session.scalar(newest.execution_options(populate_existing=True)) is None:
            raise NotFound("There is no such user.")
        yield


def _refuse_oneself(user: User, actor: User, sentence: str) -> None:
    if user.id == actor.id:
        raise Conflict(sentence)


def _keep_an_administrator(user: User) -> None:
    others = select(User.id).where(User.role == Role.ADMIN, User.is_enabled, User.id != user.id).limit(1)
    if user.is_admin and user.is_enabled and db.session.scalar(others) is None:
        raise Conflict(f"{user.email} is the last administrator. Make somebody else one first.")


def _mail(token: UserToken) -> None:
    after_commit(lambda: events.security("sign-in link sent by an administrator", email=token.email))
    after_commit(lambda: enqueue("sign_in_mail", token.id))


def _subject(user: User) -> str:
    return f"user/{user.id}"
