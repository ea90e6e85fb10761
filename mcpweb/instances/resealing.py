"""Key rotation: every stored credential is sealed anew with the newest key, a few rows at a time.

A row is claimed by what it holds, so one that its owner has replaced meanwhile is left alone, and it does not matter
how often, how late or by how many this is done, or where it was stopped. Who calls notices nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select, update

from mcpweb.crypto import Keyring, KeyUnusable
from mcpweb.database import db, transaction
from mcpweb.errors import Conflict
from mcpweb.instances import key_checks
from mcpweb.instances.models import Instance, KeyCheck

_BATCH = 50
"""So many rows take a transaction a few milliseconds, for which everybody else who writes has to wait."""
_MAX_TOLD = 100


@dataclass(slots=True)
class Resealed:
    """What a rotation did so far."""

    key_id: str
    done: int = 0
    left: int = 0
    """How many were sealed with another key when it began, and have not been looked at yet."""
    unreadable: list[str] = field(default_factory=list)
    """The ids of instances whose credential no key here opens; they stay as they are."""

    def to_dict(self) -> dict[str, Any]:
        """As the run of a job keeps it."""
        told: dict[str, Any] = {"items": self.done, "key": self.key_id, "left": self.left}
        return told | {"unreadable": self.unreadable[:_MAX_TOLD], "unreadable_count": len(self.unreadable)}


Tell = Callable[[Resealed], object]
_Found = Row[UUID, str, bytes]


def reseal(keyring: Keyring, tell: Tell = lambda report: None) -> Resealed:
    """Seal every credential with the newest key; `tell` is called after each few.

    Raises:
        KeyUnusable: the database knows another key by one of the ids.
        Conflict: a younger key than all of ours is in use.
    """
    keyring.read_again()
    with transaction():
        key_checks.check_all(keyring)
        _refuse_old_ring(keyring)
    report = Resealed(keyring.newest)
    report.left = db.session.scalar(select(func.count()).where(_sealed_otherwise(report))) or 0
    last: UUID | None = None
    while found := _next(report, last):
        last = found[-1].id
        _reseal(found, keyring, report)
        tell(report)
    report.left = 0
    return report


def rows_by_key() -> Mapping[str, int]:
    """How many credentials each key has sealed."""
    counted = select(Instance.credential_key_id, func.count()).group_by(Instance.credential_key_id)
    return {row[0]: row[1] for row in db.session.execute(counted)}


def _refuse_old_ring(keyring: Keyring) -> None:
    ours = select(func.max(KeyCheck.created_at)).where(KeyCheck.key_id.in_(keyring.keys)).scalar_subquery()
    younger = select(KeyCheck.key_id).where(KeyCheck.created_at > ours, KeyCheck.key_id.not_in(keyring.keys))
    if missing := db.session.scalars(younger.order_by(KeyCheck.key_id)).all():
        raise Conflict(
            f"The encryption key {', '.join(missing)} is in use, and this host does not have it. "
            "Nothing was changed: give every host the same keys first."
        )


def _sealed_otherwise(report: Resealed) -> Any:
    return Instance.credential_key_id != report.key_id


def _next(report: Resealed, last: UUID | None) -> Sequence[_Found]:
    """The rows after the last one; without a place to go on from, what can not be read would come again and again."""
    wanted = select(Instance.id, Instance.credential_key_id, Instance.credential_sealed)
    wanted = wanted.where(_sealed_otherwise(report)).order_by(Instance.id).limit(_BATCH)
    return db.session.execute(wanted if last is None else wanted.where(Instance.id > last)).all()


def _reseal(found: Sequence[_Found], keyring: Keyring, report: Resealed) -> None:
    fresh = []
    for row in found:
        report.left = max(0, report.left - 1)
        context = Instance.context_of(row.id)
        try:
            plain = keyring.open(row.credential_key_id, row.credential_sealed, context)
        except KeyUnusable:
            report.unreadable.append(str(row.id))
            continue
        fresh.append((row, keyring.seal(plain, context)))
    with transaction():
        for row, (key_id, sealed) in fresh:
            claimed = db.session.execute(
                update(Instance)
                .where(Instance.id == row.id, Instance.credential_sealed == row.credential_sealed)
                .values(credential_key_id=key_id, credential_sealed=sealed)
                .execution_options(synchronize_session=False)
            )
            report.done += claimed.rowcount  # type: ignore[attr-defined]
