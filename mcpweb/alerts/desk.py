"""What administrators do about alerts: look at them, say that they know, and try whether they would be told."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select, update

from mcpweb.alerts import messages
from mcpweb.alerts.models import Alert, AlertMessage, AlertWatch, MessageKind
from mcpweb.database import after_commit, db, now, transaction
from mcpweb.errors import Conflict, NotFound, Unavailable
from mcpweb.logs import audit
from mcpweb.queue import enqueue

PAGE = 25
_NEWEST = 10


def open_alerts() -> Sequence[Alert]:
    """What is open: first what nobody has acknowledged, the newest first."""
    which = select(Alert).where(Alert.closed_at.is_(None))
    return db.session.scalars(which.order_by(Alert.acknowledged_at.is_not(None), Alert.id.desc())).all()


def open_count() -> int:
    """How many are open."""
    return db.session.scalar(select(func.count()).select_from(Alert).where(Alert.closed_at.is_(None))) or 0


def past_alerts(before: int | None) -> Sequence[Alert]:
    """A page of those that are over, the newest first, and one more if there are older ones."""
    which = select(Alert).where(Alert.closed_at.is_not(None))
    if before is not None:
        which = which.where(Alert.id < before)
    return db.session.scalars(which.order_by(Alert.id.desc()).limit(PAGE + 1)).all()


def watches() -> Sequence[AlertWatch]:
    """What was last seen, worst first."""
    return db.session.scalars(select(AlertWatch).order_by(AlertWatch.value.desc(), AlertWatch.subject)).all()


def newest_messages() -> Sequence[AlertMessage]:
    """What administrators were told last, newest first."""
    return db.session.scalars(select(AlertMessage).order_by(AlertMessage.id.desc()).limit(_NEWEST)).all()


def get(alert_id: int) -> Alert:
    """An alert.

    Raises:
        NotFound: there is none of this number.
    """
    alert = db.session.get(Alert, alert_id)
    if alert is None:
        raise NotFound("There is no such alert.")
    return alert


def acknowledge(alert: Alert, note: str, actor: str) -> None:
    """Say that somebody knows, so that there are no more reminders. It stays open until it is over.

    Raises:
        Conflict: it is over, or somebody else was first.
    """
    with transaction():
        claimed = db.session.scalar(
            update(Alert)
            .where(Alert.id == alert.id, Alert.closed_at.is_(None), Alert.acknowledged_at.is_(None))
            .values(acknowledged_at=now(), acknowledged_by=actor, note=note)
            .returning(Alert.id)
            .execution_options(synchronize_session=False)
        )
        if claimed:
            told = {"rule": alert.rule, "about": alert.subject, "note": note}
            audit.record("alert.acknowledge", actor=actor, subject=f"alert/{alert.id}", **told)
    db.session.refresh(alert)
    if not claimed:
        by = f"{alert.acknowledged_by} has acknowledged it already." if alert.acknowledged_at else "It is over already."
        raise Conflict(by)


def send_test(actor: str) -> None:
    """Tell everybody who would be told of an alert that nothing is wrong.

    Raises:
        Unavailable: nobody would be told.
    """
    with transaction():
        if not messages.add(MessageKind.TEST, None, now()):
            raise Unavailable("Nobody would be told: there is no administrator, no MCPWEB_ALERT_MAIL and no webhook.")
        audit.record("alert.test", actor=actor, subject="alert")
        after_commit(lambda: enqueue("send_alerts"))
