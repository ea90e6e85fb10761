"""Finding instances: always through their owner, so that somebody else's looks like none at all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select

from mcpweb.accounts.models import User
from mcpweb.database import db
from mcpweb.errors import Gone, NotFound
from mcpweb.instances.models import Instance, ServiceRow, Status
from mcpweb.logs.models import AuditEvent


def get_owned(instance_id: UUID, owner: User) -> Instance:
    """The owner's instance.

    Raises:
        NotFound: there is none of this id, or it is somebody else's.
        Gone: it was the owner's, and is deleted.
    """
    instance = db.session.scalar(select(Instance).where(Instance.id == instance_id, Instance.owner_id == owner.id))
    if instance is None:
        _refuse_deleted(instance_id, owner)
        raise NotFound("There is no such instance, or it is not yours.")
    return instance


def _refuse_deleted(instance_id: UUID, owner: User) -> None:
    """The audit trail knows whose it was; everybody else asks in vain, as for one that never was."""
    events = select(AuditEvent).where(AuditEvent.subject == f"instance/{instance_id}").order_by(AuditEvent.seq)
    found = {event.action: event for event in db.session.scalars(events)}
    made, deleted = found.get("instance.create"), found.get("instance.delete")
    if made is not None and deleted is not None and made.actor == owner.email:
        raise Gone(f"This instance was deleted on {deleted.at:%d %B %Y}. Its key and its tokens are gone with it.")


def list_owned(owner: User, now: datetime, *, text: str = "", service: str = "", status: str = "") -> list[Instance]:
    """The owner's instances, newest first, as far as they fit the filters."""
    query = select(Instance).where(Instance.owner_id == owner.id).order_by(Instance.created_at.desc(), Instance.id)
    if text:
        columns = (Instance.label, Instance.account_label)
        query = query.where(or_(*(column.icontains(text, autoescape=True) for column in columns)))
    if service:
        query = query.where(Instance.service_name == service)
    return [found for found in db.session.scalars(query) if not status or found.status_at(now) == Status(status)]


def count_by_service(owner: User) -> Mapping[str, int]:
    """How many instances of each service the owner has."""
    rows = db.session.execute(
        select(Instance.service_name, func.count()).where(Instance.owner_id == owner.id).group_by(Instance.service_name)
    )
    return {name: count for name, count in rows}  # noqa: C416 - rows are no pairs to the type checker


def enabled_services() -> set[str]:
    """The names of the registered services that can be connected."""
    return set(db.session.scalars(select(ServiceRow.name).where(ServiceRow.is_enabled)))
