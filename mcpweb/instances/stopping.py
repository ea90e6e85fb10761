"""Stopping a user, a service or everything, and lifting a stop: from the next call on, in every process of every host.

Whoever does it takes turns, so that there is one stop of a kind in force. Turns are taken in one order: stops, audit
chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import select, update

from mcpweb.database import after_commit, db, now, take_turns, transaction
from mcpweb.errors import InvalidInput
from mcpweb.instances import notices, stops
from mcpweb.instances.house import house
from mcpweb.instances.models import Instance, NoticeKind, Status, Stop
from mcpweb.instances.stops import Target
from mcpweb.logs import audit
from mcpweb.queue import enqueue

SPANS: Mapping[str, timedelta] = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
}
LONGEST = timedelta(days=30)


def stop(target: Target, reason: str, span: timedelta, actor: str) -> Stop:
    """Refuse every call of what is meant, for this long; takes the place of a stop of the same that is in force.

    Sessions go on, and nothing is deleted. The owner of what is stopped is mailed when it is a user.

    Raises:
        InvalidInput: the span is none, or longer than LONGEST.
    """
    if not timedelta(0) < span <= LONGEST:
        raise InvalidInput(f"A stop has an end, and lasts at most {LONGEST.days} days.")
    with transaction():
        take_turns("stops")
        moment = now()
        db.session.execute(
            update(Stop)
            .where(*stops.lasting(moment), target.stops)
            .values(lifted_at=moment, lifted_by=actor)
            .execution_options(synchronize_session=False)
        )
        row = Stop(
            user=target.user,
            service=target.service,
            reason=reason,
            started_at=moment,
            started_by=actor,
            ends_at=moment.replace(microsecond=0) + span,
        )
        db.session.add(row)
        db.session.flush()
        _note(target)
        told = {"reason": reason, "ends_at": row.ends_at.isoformat()}
        audit.record(f"{target.kind}.stop", actor=actor, subject=target.subject, **told)
        after_commit(lambda: _tell(target))
    return row


def lift(row: Stop, actor: str) -> None:
    """End a stop before its time; doing it twice is doing it once."""
    target = stops.of(row)
    with transaction():
        take_turns("stops")
        moment = now()
        lifted = db.session.execute(
            update(Stop)
            .where(Stop.id == row.id, *stops.lasting(moment))
            .values(lifted_at=moment, lifted_by=actor)
            .execution_options(synchronize_session=False)
        )
        if not lifted.rowcount:  # type: ignore[attr-defined]
            return
        db.session.expire(row)
        audit.record(f"{target.kind}.lift", actor=actor, subject=target.subject, reason=row.reason)
        after_commit(lambda: _tell(target))


def _note(target: Target) -> None:
    """Have a user mailed whose instances would answer; of a service or everything the pages tell those who look."""
    if target.user is None:
        return
    mine = select(Instance.id, Instance.owner_id).where(
        *target.instances, Instance.status == Status.ACTIVE, Instance.expires_at > now()
    )
    notices.add(NoticeKind.ALL_STOPPED, [(row.id, row.owner_id) for row in db.session.execute(mine)])
    after_commit(lambda: enqueue("send_notices"))


def _tell(target: Target) -> None:
    propagation = house().propagation
    if target.user is None:
        # Every process may remember accesses of it; telling of each would take one message an instance.
        propagation.all_changed()
        return
    # Asked for after the commit: what was connected while it was under way is among them.
    propagation.changed(*db.session.scalars(select(Instance.id).where(*target.instances)))
