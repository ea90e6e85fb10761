"""What becomes of a user's instances when an administrator changes something about the user."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import select

from mcpweb.accounts import administration
from mcpweb.accounts.models import User
from mcpweb.database import db
from mcpweb.errors import Conflict, NotFound
from mcpweb.instances import lifecycle
from mcpweb.instances.house import house
from mcpweb.instances.models import Instance


def disable(owner: User, actor: User) -> None:
    """Shut a user out of the pages and of their endpoints: the very next call is refused, on every host.

    Raises:
        Conflict: see `administration.disable`.
    """
    administration.disable(owner, actor)
    # Asked for after the commit: what was connected and called while it was under way is among them.
    house().propagation.changed(*db.session.scalars(select(Instance.id).where(Instance.owner_id == owner.id)))


def of_user(owner: User) -> Sequence[Instance]:
    """All instances of a user, newest first."""
    mine = select(Instance).where(Instance.owner_id == owner.id)
    return list(db.session.scalars(mine.order_by(Instance.created_at.desc(), Instance.id)))


def remove_all(owner: User, actor: User) -> int:
    """Delete everything that a disabled user connected, keys and tokens with it; returns how many instances.

    Each is deleted by itself, so what was begun and not finished is finished by doing it again.

    Raises:
        Conflict: the user is enabled.
    """
    if owner.is_enabled:
        raise Conflict(f"{owner.email} is enabled and may be using what they connected. Disable them first.")
    instances = of_user(owner)
    for instance in instances:
        with suppress(NotFound):  # somebody else did it meanwhile
            lifecycle.remove(instance, actor.email)
    return len(instances)
