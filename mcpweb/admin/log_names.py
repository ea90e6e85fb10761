"""Who and what the numbers in the logs stand for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from mcpweb.accounts.models import User
from mcpweb.database import db
from mcpweb.instances.models import Instance

_MAX_ID = 2**31


@dataclass(frozen=True, slots=True)
class Names:
    """What users and instances are called; what has been deleted meanwhile has no name any more."""

    users: dict[str, str]
    instances: dict[str, str]

    def of(self, column: str, value: str) -> str:
        """How a value of a column is shown."""
        found = {"user_id": self.users, "instance": self.instances}.get(column, {}).get(value)
        return found or (f"user {value}" if column == "user_id" else value)


def names(users: Iterable[str], instances: Iterable[str]) -> Names:
    """The names of these; whatever is no id is left out."""
    user_ids = {int(one) for one in users if one.isascii() and one.isdigit() and len(one) < 11}
    found = select(User.id, User.email).where(User.id.in_(one for one in user_ids if one < _MAX_ID))
    uuids = {one for text in instances if (one := _uuid(text))}
    labels = select(Instance.id, Instance.label).where(Instance.id.in_(uuids))
    return Names(
        {str(number): email for number, email in db.session.execute(found)} if user_ids else {},
        {str(one): label for one, label in db.session.execute(labels)} if uuids else {},
    )


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
