"""Finding users, as administrators do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from sqlalchemy import ColumnElement, Select, func, select

from mcpweb.accounts.models import Role, User
from mcpweb.database import db
from mcpweb.errors import NotFound

STATES = {"enabled": "Enabled", "disabled": "Disabled", "admin": "Administrators"}
PAGE = 50
_MAX_PAGE = 100_000


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Who was asked for; what makes no sense is as if it had not been asked."""

    text: str = ""
    state: str = ""
    page: int = 1

    @classmethod
    def of(cls, args: Mapping[str, str]) -> Self:
        """The filter that an address names: q, state, page."""
        state = args.get("state", "")
        # Without NUL, which PostgreSQL takes in no text, not even to look for it.
        text = args.get("q", "").replace("\0", "").strip()[:200]
        return cls(text=text, state=state if state in STATES else "", page=page_number(args.get("page", "")))

    def args(self, page: int = 1) -> dict[str, str]:
        """What the address of another page of the same filter holds."""
        parts = {"q": self.text, "state": self.state, "page": str(page) if page > 1 else ""}
        return {name: value for name, value in parts.items() if value}


def page_number(text: str) -> int:
    """The page that an address names; the first when it names none."""
    return min(int(text), _MAX_PAGE) if text.isascii() and text.isdigit() and 0 < len(text) < 7 and int(text) else 1


def find(asked: UserFilter) -> Sequence[User]:
    """The users of this page by address, and one more if there is another page."""
    query: Select[tuple[User]] = select(User).where(*_fits(asked)).order_by(User.email)
    return list(db.session.scalars(query.limit(PAGE + 1).offset((asked.page - 1) * PAGE)))


def get(user_id: int) -> User:
    """The user of this id.

    Raises:
        NotFound: there is none.
    """
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    return user


def of_email(email: str) -> User:
    """The user of this normalised address.

    Raises:
        NotFound: there is none.
    """
    user: User | None = db.session.scalar(select(User).where(User.email == email))
    if user is None:
        raise NotFound("There is no such user.")
    return user


def count(asked: UserFilter) -> int:
    """How many users fit, on all pages together."""
    return db.session.scalar(select(func.count()).select_from(User).where(*_fits(asked))) or 0


def _fits(asked: UserFilter) -> Sequence[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if asked.text:
        wanted.append(User.email.icontains(asked.text, autoescape=True))
    if asked.state == "admin":
        wanted.append(User.role == Role.ADMIN)
    elif asked.state:
        wanted.append(User.is_enabled.is_(asked.state == "enabled"))
    return wanted
