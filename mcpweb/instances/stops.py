"""Stops: what administrators refuse for a while, and why. Each ends by itself, at the second that it names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import joinedload

from mcpweb import clock, closure
from mcpweb.accounts.models import User
from mcpweb.database import db
from mcpweb.errors import NotFound
from mcpweb.instances.access import Stopped
from mcpweb.instances.models import Instance, ServiceRow, Status, Stop

PAGE = 50

_EVERYTHING = and_(Stop.user_id.is_(None), Stop.service_name.is_(None))


@dataclass(frozen=True, slots=True)
class Target:
    """What a stop is about: a user, a service, or, with neither, everything."""

    user: User | None = None
    service: ServiceRow | None = None

    @property
    def kind(self) -> str:
        """`user`, `service` or `everything`."""
        return "user" if self.user else "service" if self.service else "everything"

    @property
    def subject(self) -> str:
        """What the audit trail calls it."""
        if self.user is not None:
            return f"user/{self.user.id}"
        return f"service/{self.service.name}" if self.service is not None else "everything"

    @property
    def stops(self) -> ColumnElement[bool]:
        """The condition for the stops of exactly this."""
        if self.user is not None:
            return Stop.user_id == self.user.id
        return Stop.service_name == self.service.name if self.service is not None else _EVERYTHING

    @property
    def instances(self) -> tuple[ColumnElement[bool], ...]:
        """The condition for the instances that a stop of this hits."""
        if self.user is not None:
            return (Instance.owner_id == self.user.id,)
        return (Instance.service_name == self.service.name,) if self.service is not None else ()


def of(stop: Stop) -> Target:
    """What this stop is about."""
    return Target(stop.user, stop.service)


def lasting(moment: datetime) -> tuple[ColumnElement[bool], ...]:
    """What is true of a stop that is in force at this moment."""
    return (Stop.lifted_at.is_(None), Stop.ends_at > moment)


def for_call(instance: Instance, moment: datetime) -> Stopped | None:
    """What a call of the instance meets: what lasts longest of all that holds, for when it ends, all others have."""
    hit = or_(_EVERYTHING, Stop.user_id == instance.owner_id, Stop.service_name == instance.service_name)
    stop = db.session.scalar(select(Stop).where(*lasting(moment), hit).order_by(Stop.ends_at.desc()).limit(1))
    closed = closure.present(moment)
    if closed is not None and (stop is None or stop.ends_at < closed.ends_at):
        return Stopped(
            f"This server is closed for maintenance until {closed.ends_at:%H:%M UTC on %d %B}: {closed.message} "
            "Nothing was done. Try the same call again after that time.",
            closed.ends_at,
        )
    return Stopped(_sentence(stop), stop.ends_at) if stop is not None else None


def _sentence(stop: Stop) -> str:
    what = stop.service.title if stop.service else "everything of this user" if stop.user_id else "all calls"
    return (
        f"An administrator stopped {what}, for this reason: “{stop.reason}” "
        f"The stop ends by itself at {stop.ends_at:%H:%M:%S UTC on %d %B %Y}. Try again after that."
    )


def facing(user: User) -> Sequence[Stop]:
    """The stops that a user is told of on every page: of everything, of themselves, of services they connected."""
    connected = select(Instance.service_name).where(Instance.owner_id == user.id)
    hit = or_(_EVERYTHING, Stop.user_id == user.id, Stop.service_name.in_(connected))
    return _all(select(Stop).where(*lasting(clock.utcnow()), hit).order_by(Stop.ends_at.desc()))


def of_target(target: Target, moment: datetime) -> Stop | None:
    """The stop of exactly this that is in force; there is never more than one."""
    return db.session.scalar(select(Stop).where(*lasting(moment), target.stops).order_by(Stop.id.desc()).limit(1))


def in_force(moment: datetime) -> Sequence[Stop]:
    """All stops that are in force, the newest first."""
    return _all(select(Stop).where(*lasting(moment)).order_by(Stop.id.desc()))


def past(moment: datetime, page: int) -> Sequence[Stop]:
    """One page of the stops that are over, the newest first, and one more if there is another page."""
    over = or_(Stop.lifted_at.isnot(None), Stop.ends_at <= moment)
    return _all(select(Stop).where(over).order_by(Stop.id.desc()).limit(PAGE + 1).offset((page - 1) * PAGE))


def get(stop_id: int) -> Stop:
    """The stop of this id.

    Raises:
        NotFound: there is none.
    """
    stop = db.session.get(Stop, stop_id)
    if stop is None:
        raise NotFound("There is no such stop.")
    return stop


def reach(target: Target, moment: datetime) -> tuple[int, int]:
    """How many instances a stop would hit that answer at the moment, and of how many users."""
    answering = (Instance.status == Status.ACTIVE, Instance.expires_at > moment, *target.instances)
    query = select(func.count(), func.count(Instance.owner_id.distinct())).select_from(Instance).where(*answering)
    instances, users = db.session.execute(query).one()
    return instances, users


def _all(query: object) -> Sequence[Stop]:
    both = (joinedload(Stop.user), joinedload(Stop.service))
    return list(db.session.scalars(query.options(*both)))  # type: ignore[attr-defined]
