"""Sign-in links: signed text around a random token, of which the database keeps only a hash."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import select, update

from mcpweb.accounts import addresses
from mcpweb.accounts.models import Purpose, Role, User, UserToken
from mcpweb.crypto import derive, hash_secret
from mcpweb.database import db, now, take_turns, transaction
from mcpweb.errors import AppError
from mcpweb.settings import Settings

LINK_LIFE = timedelta(minutes=10)
SET_UP_LIFE = timedelta(hours=24)
"""The set-up link is read from the console by whoever started the program, not from a mail."""
INVITE_LIFE = timedelta(hours=24)
"""Whoever is invited did not ask, and reads the mail when they read their mails."""

_CODE_TRIES = 5
_CODE_ALPHABET = "ABCDEFGHJKMNPQRSTVWXYZ23456789"  # nothing that is misread: no 0/O, 1/I/L, U

Reason = Literal["used", "expired", "unknown", "superseded", "disabled", "wrong-code"]


class LinkRefused(AppError):
    """The link or code does not sign in; `reason` says why, `email` is filled when the link was ours."""

    def __init__(self, reason: Reason, email: str = "") -> None:
        super().__init__(f"This link can not be used: {reason}.")
        self.reason = reason
        self.email = email


@dataclass(frozen=True, slots=True)
class Links:
    """Makes and reads the signed text in a link. Each purpose has its own salt, so none stands in for another."""

    key: str

    @classmethod
    def of(cls, settings: Settings) -> Links:
        """The links of this installation."""
        return cls(derive(settings.secret_key, "links"))

    def sign(self, purpose: str, raw: str) -> str:
        """The text that stands in the URL for a random token."""
        return str(URLSafeSerializer(self.key, salt=purpose).dumps(raw))

    def read(self, text: str) -> tuple[Purpose, str]:
        """The purpose and the random token behind the text of a URL.

        Raises:
            LinkRefused: nothing of ours, or changed on the way.
        """
        for purpose in Purpose:
            try:
                return purpose, str(URLSafeSerializer(self.key, salt=purpose).loads(text))
            except BadSignature:
                continue
        raise LinkRefused("unknown")

    def code_hash(self, token_id: int, code: str) -> bytes:
        """What is kept of a typed code: it is short, so the hash needs a key that the database does not hold."""
        return hmac.digest(self.key.encode(), f"{token_id}:{code}".encode(), "sha256")


def mint(token_id: int, links: Links) -> tuple[str, str] | None:
    """Give a pending row its random token and code: (text for the URL, code); None when the row is no longer open.

    They exist in this process and in the mail only, so a retried mail gets new ones.
    """
    raw, code = secrets.token_urlsafe(32), "".join(secrets.choice(_CODE_ALPHABET) for _ in range(8))
    with transaction():
        minted = db.session.execute(
            update(UserToken)
            .where(UserToken.id == token_id, *still_open(now()))
            .values(token_hash=hash_secret(raw), code_hash=links.code_hash(token_id, code))
            .returning(UserToken.purpose)
        ).scalar_one_or_none()
    return (links.sign(minted, raw), f"{code[:4]}-{code[4:]}") if minted else None


def direct_link(email: str, role: Role, links: Links) -> str:
    """A link that is printed instead of mailed; an empty address makes the set-up link of the first administrator."""
    with transaction():
        take_turns(turn_of(email))
        moment = now()
        if email:
            supersede(email, moment)
        token = UserToken(
            purpose=Purpose.SIGN_IN if email else Purpose.SET_UP,
            email=email,
            address_key=email,
            role=role,
            requested_agent="command line",
            created_at=moment,
            expires_at=moment + (LINK_LIFE if email else SET_UP_LIFE),
        )
        db.session.add(token)
        db.session.flush()
    minted = mint(token.id, links)
    if minted is None:
        raise RuntimeError("a new link was already closed")
    return minted[0]


def invite(email: str, moment: datetime) -> UserToken:
    """Add a link that an administrator sends to the open transaction; the job `sign_in_mail` mails it.

    Call it when it is the address's turn (`turn_of`).
    """
    supersede(email, moment)
    token = UserToken(
        purpose=Purpose.INVITE,
        email=email,
        address_key=email,
        requested_agent="an administrator",
        created_at=moment,
        expires_at=moment + INVITE_LIFE,
    )
    db.session.add(token)
    db.session.flush()
    return token


def look_up(text: str, links: Links) -> UserToken:
    """The open row behind a link, without using it up: mail scanners open links too.

    Raises:
        LinkRefused: with the reason.
    """
    purpose, raw = links.read(text)
    token = db.session.scalar(
        select(UserToken).where(UserToken.token_hash == hash_secret(raw), UserToken.purpose == purpose)
    )
    if token is None:
        raise LinkRefused("unknown")
    if reason := closed(token, now()):
        raise LinkRefused(reason, token.email)
    if token.purpose == Purpose.SET_UP and has_admin():
        raise LinkRefused("used")
    return token


def of_browser(browser: str) -> UserToken | None:
    """The newest request that this browser made, in whatever state."""
    return db.session.scalar(
        select(UserToken).where(UserToken.browser_hash == hash_secret(browser)).order_by(UserToken.id.desc()).limit(1)
    )


def state_of(token: UserToken | None) -> str:
    """How far a request is: pending, used or expired."""
    reason = closed(token, now()) if token else None
    return {"used": "used", None: "pending"}.get(reason, "expired")


def latest_end() -> datetime:
    """When a link asked for now would end."""
    return now() + LINK_LIFE


def use_code(browser: str, code: str, links: Links) -> UserToken:
    """The row of this browser whose mailed code was typed; after five wrong ones the request ends.

    Raises:
        LinkRefused: with the reason.
    """
    token = of_browser(browser)
    if token is None:
        raise LinkRefused("unknown")
    typed = "".join(letter for letter in code.upper() if letter.isalnum())
    with transaction():
        moment = now()
        counted = db.session.execute(
            update(UserToken)
            .where(UserToken.id == token.id, UserToken.code_tries < _CODE_TRIES, *still_open(moment))
            .values(code_tries=UserToken.code_tries + 1)
            .returning(UserToken.code_hash)
        ).one_or_none()
    if counted is None:
        raise LinkRefused(closed(token, moment) or "expired", token.email)
    if not counted.code_hash or not hmac.compare_digest(counted.code_hash, links.code_hash(token.id, typed)):
        raise LinkRefused("wrong-code", token.email)
    return token


def has_admin() -> bool:
    """Whether the installation has an administrator already."""
    return db.session.scalar(select(User.id).where(User.role == Role.ADMIN).limit(1)) is not None


def still_open(moment: datetime) -> tuple[Any, ...]:
    """What must be true of a row for it to be used: the condition of every claiming UPDATE."""
    return (UserToken.used_at.is_(None), UserToken.superseded_at.is_(None), UserToken.expires_at > moment)


def closed(token: UserToken, moment: datetime) -> Reason | None:
    """Why a row can not be used any more, if so."""
    if token.used_at is not None:
        return "used"
    if token.superseded_at is not None:
        return "superseded"
    return "expired" if token.expires_at <= moment else None


def turn_of(email: str) -> str:
    """The subject to take turns on by whatever looks at the links of an address and then changes them."""
    return f"sign-in links of {addresses.counting_key(email)}"


def supersede(email: str, moment: datetime) -> None:
    """End the pending links of an address; call it inside a transaction."""
    db.session.execute(
        update(UserToken)
        .where(UserToken.email == email, UserToken.used_at.is_(None), UserToken.superseded_at.is_(None))
        .values(superseded_at=moment)
    )
