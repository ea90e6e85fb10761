"""Switching maintenance mode on and off: it holds for the very next page and call on every host."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mcpweb import closure
from mcpweb.closure import Closure
from mcpweb.database import after_commit, db, now, take_turns, transaction
from mcpweb.errors import InvalidInput
from mcpweb.instances.house import house
from mcpweb.logs import audit

_SUBJECT = "maintenance mode"


def switch_on(message: str, ends_at: datetime, by_whom: str) -> Sequence[str]:
    """Close pages and endpoints until `ends_at`; when they are closed, say something else, or until when.

    Returns the hosts that did not confirm, and that ask the database until they are heard again.

    Raises:
        InvalidInput: the end is not in the future, or further away than `closure.LONGEST`; or nothing is said.
    """
    message = " ".join(message.split())[: closure.MESSAGE_LENGTH]
    if not message:
        raise InvalidInput("Say what is going on: everybody reads it.")
    unheard: list[str] = []
    with transaction():
        moment = _turn()
        if not moment < ends_at <= moment + closure.LONGEST:
            raise InvalidInput("The end is in the future, and at most 7 days away.")
        before = closure.present(moment)
        begins_at = before.begins_at if before else moment
        row = Closure(id=1, message=message, begins_at=begins_at, ends_at=ends_at, is_on=True, by_whom=by_whom)
        db.session.merge(row)
        audit.record("maintenance.on", actor=by_whom, subject=_SUBJECT, said=message, ends_at=ends_at.isoformat())
        after_commit(lambda: unheard.extend(house().propagation.all_changed()))
    return unheard


def switch_off(by_whom: str) -> bool:
    """Open everything again; returns whether it was closed."""
    with transaction():
        row = closure.present(moment := _turn())
        if row is None:
            return False
        row.is_on, row.ends_at = False, moment
        audit.record("maintenance.off", actor=by_whom, subject=_SUBJECT)
        after_commit(house().propagation.all_changed)
    return True


def _turn() -> datetime:
    take_turns(_SUBJECT)
    return now()
