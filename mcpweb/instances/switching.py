"""Switching a whole service off and on: for everybody, at once, and until an administrator says otherwise."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from mcpweb.database import after_commit, db, transaction
from mcpweb.errors import Conflict, NotFound
from mcpweb.instances.house import house
from mcpweb.instances.models import ServiceRow
from mcpweb.logs import audit


def services() -> Sequence[ServiceRow]:
    """Every service that was ever registered, by title."""
    return list(db.session.scalars(select(ServiceRow).order_by(ServiceRow.title, ServiceRow.name)))


def get(name: str) -> ServiceRow:
    """The service of this name.

    Raises:
        NotFound: none was registered.
    """
    row = db.session.get(ServiceRow, name)
    if row is None:
        raise NotFound("There is no such service.")
    return row


def switch_off(row: ServiceRow, actor: str) -> None:
    """Refuse every call of every instance of the service from now on, and new connections."""
    _set(row, True, actor)


def switch_on(row: ServiceRow, actor: str) -> None:
    """Let the service's instances answer again.

    Raises:
        Conflict: its plugin is broken or missing.
    """
    if row.name not in house().registry.services:
        raise Conflict(f"The plugin of {row.title} is broken or missing, so there is nothing to switch on.")
    _set(row, False, actor)


def _set(row: ServiceRow, is_stopped: bool, actor: str) -> None:
    with transaction():
        newest = select(ServiceRow).where(ServiceRow.name == row.name).with_for_update(key_share=True)
        db.session.scalar(newest.execution_options(populate_existing=True))
        if row.is_stopped == is_stopped and row.is_enabled != is_stopped:
            return
        row.is_stopped, row.is_enabled = is_stopped, not is_stopped
        db.session.flush()
        action = "service.disable" if is_stopped else "service.enable"
        audit.record(action, actor=actor, subject=f"service/{row.name}")
        # Every process may remember accesses to the service, and only the database knows which.
        after_commit(house().propagation.all_changed)
