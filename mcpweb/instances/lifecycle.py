"""The life of an instance after its creation: off, on, renewed, extended, renamed, deleted.

Every change has the row to itself and is claimed by an UPDATE that says from which state it starts, so of two
at once one loses and is told. Its counters and its audit entry are in the same transaction; before anybody is answered,
no process believes the old state. Locks are taken in one order: instance, service, audit chain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update

from mcpweb.database import after_commit, db, now, transaction
from mcpweb.errors import Conflict, InvalidInput, NotFound
from mcpweb.instances import notices
from mcpweb.instances.house import house
from mcpweb.instances.models import Instance, NoticeKind, ServiceRow, Status
from mcpweb.logs import audit, events
from mcpweb.queue import enqueue

OFFER_EXTENSION = timedelta(days=14)
"""How long before the end an extension is offered."""

REMINDERS = (1, 7)
"""How many days before the end its owner is reminded of it."""


def reminded_days(left: timedelta) -> int | None:
    """What a new end makes unnecessary: whoever gives an instance a few days knows that they are few."""
    return next((days for days in REMINDERS if left <= timedelta(days=days)), None)


@contextmanager
def changing(instance: Instance) -> Iterator[None]:
    """A transaction that has the instance as it is now, and lets nobody else change it meanwhile.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    with transaction():
        newest = select(Instance).where(Instance.id == instance.id).with_for_update()
        if db.session.scalar(newest.execution_options(populate_existing=True)) is None:
            raise NotFound("There is no such instance, or it is not yours.")
        yield


def deactivate(instance: Instance, actor: str) -> None:
    """Switch off: the next call anywhere is refused. Doing it twice is doing it once.

    Raises:
        Conflict: the instance has ended.
    """
    with changing(instance):
        if _claim(instance, Status.ACTIVE, Instance.expires_at > now(), status=Status.INACTIVE):
            _count(instance, active=-1)
            record("instance.deactivate", instance, actor)
            return
        _refuse_ended(instance)


def activate(instance: Instance, actor: str) -> None:
    """Switch on; nothing is loaded before the first call. Doing it twice is doing it once.

    Raises:
        Conflict: the instance has ended, or an administrator switched it off.
    """
    with changing(instance):
        _refuse_stopped(instance)
        if _claim(instance, Status.INACTIVE, Instance.expires_at > now(), status=Status.ACTIVE):
            _count(instance, active=+1)
            record("instance.activate", instance, actor)
            return
        _refuse_ended(instance)


def stop(instance: Instance, reason: str, actor: str) -> None:
    """Switch off as an administrator: its owner is mailed why, and can not switch it on before the stop is lifted."""
    with changing(instance):
        was_active = instance.status == Status.ACTIVE
        if not instance.stopped_reason:  # another reason is no news; a mail that is under way has the newest
            notices.add(NoticeKind.STOPPED, [(instance.id, instance.owner_id)])
            after_commit(lambda: enqueue("send_notices"))
        instance.stopped_reason = reason
        if was_active:
            instance.status = Status.INACTIVE
            _count(instance, active=-1)
        record("instance.stop", instance, actor, reason=reason)


def lift(instance: Instance, actor: str) -> None:
    """Take an administrator's stop back. It stays off: its owner may have wanted that before, and switches it on."""
    with changing(instance):
        if instance.stopped_reason:
            instance.stopped_reason = ""
            record("instance.lift", instance, actor)


def renew(instance: Instance, expires_at: datetime, longest: timedelta, actor: str) -> None:
    """Bring an ended instance back with a new end; URL and tokens stay.

    Raises:
        Conflict: the instance has not ended, an administrator switched it off, or somebody else was quicker.
        InvalidInput: the new end is not in the future, or beyond the operator's maximum.
    """
    with changing(instance):
        _refuse_stopped(instance)
        before, moment = instance.expires_at, now()
        _check_end(expires_at, moment, longest)
        # The expiry job may not have come by yet: then the row still says what it was, and its counters still count it.
        new = {"expires_at": expires_at, "reminded_days": reminded_days(expires_at - moment)}
        for status, active in ((Status.EXPIRED, +1), (Status.INACTIVE, +1), (Status.ACTIVE, 0)):
            due = Instance.expires_at <= moment
            if _claim(instance, status, due, status=Status.ACTIVE, **new):
                _count(instance, active=active)
                record("instance.renew", instance, actor, before=before, after=expires_at)
                return
        raise Conflict(f"{instance.label} has not ended, so it can not be renewed. It can be extended instead.")


def extend(instance: Instance, expires_at: datetime, longest: timedelta, actor: str) -> None:
    """Move the end of a running instance further away.

    Raises:
        Conflict: the instance has ended meanwhile.
        InvalidInput: the new end is not later than the present one, or beyond the operator's maximum.
    """
    with changing(instance):
        before, moment = instance.expires_at, now()
        _check_end(expires_at, moment, longest)
        if expires_at <= before:
            raise InvalidInput("The new end must be later than the present one.")
        new = {"expires_at": expires_at, "reminded_days": reminded_days(expires_at - moment)}
        for status in (Status.ACTIVE, Status.INACTIVE):
            if _claim(instance, status, Instance.expires_at > moment, **new):
                record("instance.extend", instance, actor, before=before, after=expires_at)
                return
        _refuse_ended(instance)


def rename(instance: Instance, label: str, actor: str) -> None:
    """Give the instance another name."""
    with changing(instance):
        before, instance.label = instance.label, label
        record("instance.rename", instance, actor, before=before, after=label)


def choose_tools(instance: Instance, names: list[str] | None, actor: str) -> None:
    """Say which tools the endpoint lists and calls; None means all of them, those of later versions too."""
    with changing(instance):
        before, instance.enabled_tools = instance.enabled_tools, names
        record("instance.tools", instance, actor, before=before, after=names)


def keep_arguments(instance: Instance, keeps: bool, actor: str) -> None:
    """Say whether the log lines of later calls hold their arguments."""
    with changing(instance):
        before, instance.keeps_arguments = instance.keeps_arguments, keeps
        record("instance.arguments", instance, actor, before=before, after=keeps)


def remove(instance: Instance, actor: str) -> dict[str, Any]:
    """Delete the instance with its credential and tokens; returns what was deleted, for the page that says so.

    Its logs stay for their retention. The deletion is audited before anything goes.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    summary = {"label": instance.label, "service": instance.service_name, "created_at": instance.created_at}
    with changing(instance):
        _count(instance, active=-1 if instance.status == Status.ACTIVE else 0, total=-1)
        record("instance.delete", instance, actor, service=instance.service_name, label=instance.label)
        db.session.execute(
            delete(Instance).where(Instance.id == instance.id).execution_options(synchronize_session=False)
        )
        db.session.expunge(instance)
    return summary


def _claim(instance: Instance, still: Status, condition: ColumnElement[bool], **values: Any) -> bool:
    """Change the row if it is still in this state; the object follows."""
    changed = db.session.execute(
        update(Instance)
        .where(Instance.id == instance.id, Instance.status == still, condition)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    if not changed.rowcount:  # type: ignore[attr-defined]
        return False
    db.session.expire(instance)
    return True


def _count(instance: Instance, *, active: int, total: int = 0) -> None:
    db.session.execute(
        update(ServiceRow)
        .where(ServiceRow.name == instance.service_name)
        .values(
            active_instances=ServiceRow.active_instances + active, total_instances=ServiceRow.total_instances + total
        )
    )


def record(action: str, instance: Instance, actor: str, **details: Any) -> None:
    """Audit the change, and make every process forget the instance once it is committed."""
    told: Mapping[str, Any] = {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in details.items()
    }
    owner_id, instance_id = instance.owner_id, instance.id
    audit.record(action, actor=actor, subject=f"instance/{instance_id}", **told)
    after_commit(lambda: house().propagation.changed(instance_id))
    after_commit(lambda: events.instance(owner_id, instance_id, action, **told))


def _check_end(expires_at: datetime, moment: datetime, longest: timedelta) -> None:
    if not moment < expires_at <= moment + longest + timedelta(minutes=1):
        raise InvalidInput(f"The end must lie in the future, and at most {longest.days} days ahead.")


def _refuse_stopped(instance: Instance) -> None:
    if instance.stopped_reason:
        raise Conflict(f"An administrator switched {instance.label} off: {instance.stopped_reason}")


def _refuse_ended(instance: Instance) -> None:
    db.session.expire(instance)
    if instance.status_at(now()) is Status.EXPIRED:
        raise Conflict(f"{instance.label} has ended. Renew it first.")
