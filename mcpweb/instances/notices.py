"""What owners are told by mail of their instances: noted in the transaction that makes it true, mailed by a job.

All that an owner is to be told at a time is one mail. What no longer holds when its turn comes is not mailed at all.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, insert, or_, select, update

from mcpweb import clock, mailer
from mcpweb.accounts.models import User
from mcpweb.database import db, now, transaction
from mcpweb.instances import notice_mail, stops
from mcpweb.instances.models import CredentialState, Instance, Notice, NoticeKind, Status, Stop
from mcpweb.instances.stops import Target
from mcpweb.logs import events
from mcpweb.queue import job
from mcpweb.web.current import settings

log = logging.getLogger(__name__)

KEY_ENDS_SOON = timedelta(days=7)

_WAITS = tuple(timedelta(minutes=minutes) for minutes in (2, 15, 60, 360, 360))
"""Until the next try, by how many there were. The first is longer than a mail takes: nobody else sends meanwhile."""
_BUDGET_S = 20.0
"""A run leaves the rest to the next one after this, so that expiry does not wait for a slow mail server."""
_OWNERS = 500


def add(kind: NoticeKind, instances: Sequence[tuple[UUID, int]]) -> None:
    """Note, in the open transaction, that the owners of instances are to be told: pairs of its id and its owner's."""
    if instances:
        moment = now()
        rows = [
            {"kind": kind, "instance_id": instance_id, "owner_id": owner_id, "created_at": moment, "tries": 0}
            for instance_id, owner_id in instances
        ]
        db.session.execute(insert(Notice.__table__), rows)  # type: ignore[arg-type]


@job("send_notices")
def send_notices() -> dict[str, int]:
    """Every 30 seconds, and soon after something happened: mail what is due, one mail an owner; may run twice."""
    started, sent, refused = clock.monotonic(), 0, 0
    owners = db.session.scalars(select(Notice.owner_id).where(*_due(now())).distinct().limit(_OWNERS)).all()
    in_a_row = 0
    for owner_id in owners:
        # Two in a row are not two bad addresses but a mail server that is ill: it costs nobody else a try.
        if clock.monotonic() - started > _BUDGET_S or in_a_row == 2:
            break
        try:
            sent += _tell(owner_id)
            in_a_row = 0
        except mailer.MailRefused as error:
            log.warning("a notice could not be mailed", extra={"user": owner_id, "reason": str(error)})
            refused, in_a_row = refused + 1, in_a_row + 1
    return {"items": sent, "refused": refused}


def _tell(owner_id: int) -> int:
    """Mail an owner what is due; returns how many mails that were, none or one."""
    claimed = _claim(owner_id)
    owner = db.session.get(User, owner_id, populate_existing=True)
    stop = stops.of_target(Target(owner), now()) if owner else None
    rows = _still_true(claimed, stop)
    _drop(set(claimed) - {notice.id for notice, _ in rows})
    if not rows or owner is None:
        return 0
    subject, context = notice_mail.compose(rows, stop, settings().url, now())
    db.session.commit()  # ends the read: no transaction stays open while the mail server is talked to
    try:
        mailer.send(owner.email, subject, "notices", **context)
    except mailer.MailRefused:
        _give_up(rows)
        raise
    with transaction():
        told = [notice.id for notice, _ in rows]
        db.session.execute(update(Notice).where(Notice.id.in_(told)).values(sent_at=now()))
    events.app("notices mailed", user=owner_id, notices=len(rows))
    return 1


def _due(moment: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        Notice.sent_at.is_(None),
        Notice.tries < len(_WAITS),
        or_(Notice.next_try_at.is_(None), Notice.next_try_at <= moment),
    )


def _claim(owner_id: int) -> Sequence[int]:
    """Count a try and keep others away until the next one: they find nothing that is due."""
    with transaction():
        moment = now()
        claimed: list[int] = []
        for tries, wait in enumerate(_WAITS):
            claimed += db.session.scalars(
                update(Notice)
                .where(Notice.owner_id == owner_id, *_due(moment), Notice.tries == tries)
                .values(tries=tries + 1, next_try_at=moment + wait)
                .returning(Notice.id)
                .execution_options(synchronize_session=False)
            ).all()
    return claimed


def _still_true(claimed: Sequence[int], stop: Stop | None) -> list[tuple[Notice, Instance]]:
    """The claimed notices that hold at this moment, one of a kind for each instance, those that end first at first."""
    rows = db.session.execute(
        select(Notice, Instance)
        .join(Instance, Instance.id == Notice.instance_id)
        .join(User, User.id == Notice.owner_id)
        .where(Notice.id.in_(claimed), User.is_enabled)
        .order_by(Instance.expires_at, Notice.id)
        .execution_options(populate_existing=True)
    ).all()
    moment = now()
    found = {
        (notice.kind, instance.id): (notice, instance)
        for notice, instance in rows
        if _holds(notice, instance, stop, moment)
    }
    return list(found.values())


def _holds(notice: Notice, instance: Instance, stop: Stop | None, moment: datetime) -> bool:
    status = instance.status_at(moment)
    match NoticeKind(notice.kind):
        case NoticeKind.EXPIRED:
            return status is Status.EXPIRED
        case NoticeKind.ENDS_7:
            return status is not Status.EXPIRED and instance.reminded_days == 7
        case NoticeKind.ENDS_1:
            return status is not Status.EXPIRED and instance.reminded_days == 1
        case NoticeKind.KEY_DIED:
            return status is Status.ACTIVE and instance.credential_state == CredentialState.REJECTED
        case NoticeKind.KEY_ENDS:
            ends = instance.credential_expires_at
            return status is Status.ACTIVE and ends is not None and ends <= moment + KEY_ENDS_SOON
        case NoticeKind.STOPPED:
            return instance.stopped_reason != ""
        case NoticeKind.ALL_STOPPED:
            return status is Status.ACTIVE and stop is not None


def _drop(ids: set[int]) -> None:
    if ids:
        with transaction():
            db.session.execute(delete(Notice).where(Notice.id.in_(ids)))


def _give_up(rows: Sequence[tuple[Notice, Instance]]) -> None:
    over = [str(instance.id) for notice, instance in rows if notice.tries >= len(_WAITS)]
    if over:
        log.error("an owner could not be told", extra={"instances": over[:20], "tries": len(_WAITS)})
