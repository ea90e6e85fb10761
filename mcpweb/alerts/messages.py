"""Telling administrators: noted in the transaction that makes it true, sent by a job, one mail for all that is due."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import joinedload

from mcpweb import clock, mailer
from mcpweb.accounts.models import Role, User
from mcpweb.alerts import letter, webhook
from mcpweb.alerts.models import AlertMessage, MessageKind
from mcpweb.database import db, now, transaction
from mcpweb.queue import job
from mcpweb.web.current import settings

log = logging.getLogger(__name__)

WAITS = tuple(timedelta(minutes=minutes) for minutes in (2, 5, 15, 60, 180, 360, 720))
"""Until the next try, by how many there were. The first is longer than a mail takes: nobody else sends meanwhile."""
WEBHOOK = ""
"""What stands in the place of an address."""
_BUDGET_S = 20.0
_RECEIVERS = 50
_IN_A_MAIL = 200
_POSTS = 10
"""In one run, each of which may take as long as the webhook's deadline."""


def receivers() -> Sequence[str]:
    """The addresses that are mailed: those of the setting, or else those of all administrators."""
    if settings().alert_mail:
        return settings().alert_mail
    admins = select(User.email).where(User.role == Role.ADMIN, User.is_enabled).order_by(User.id).limit(_RECEIVERS)
    return db.session.scalars(admins).all()


def add(kind: MessageKind, alert_id: int | None, moment: datetime) -> int:
    """Note, in the open transaction, that everybody who is to know is told; returns how many that are."""
    to = [*receivers(), *([WEBHOOK] if settings().alert_webhook_url else [])]
    for address in to:
        db.session.add(AlertMessage(alert_id=alert_id, kind=kind, address=address, created_at=moment, tries=0))
    return len(to)


@job("send_alerts")
def send_alerts() -> dict[str, int]:
    """Send what is due; may run late or twice. A receiver that can not be reached costs no other one their message."""
    started, sent, refused, in_a_row = clock.monotonic(), 0, 0, 0
    due = select(AlertMessage.address).where(*_due(now())).distinct().order_by(AlertMessage.address.desc())
    for address in db.session.scalars(due.limit(_RECEIVERS)).all():
        # Two in a row are not two bad addresses but a mail server that is ill: it costs nobody else a try.
        if address != WEBHOOK and (clock.monotonic() - started > _BUDGET_S or in_a_row == 2):
            continue
        try:
            sent += _post() if address == WEBHOOK else _mail(address)
            in_a_row = 0
        except (mailer.MailRefused, webhook.WebhookFailed) as error:
            receiver = "webhook" if address == WEBHOOK else address
            log.warning("an alert could not be sent", extra={"receiver": receiver, "reason": str(error)})
            refused, in_a_row = refused + 1, in_a_row + 1
    return {"items": sent, "refused": refused}


def _mail(address: str) -> int:
    rows = _claim(address, _IN_A_MAIL)
    if not rows:
        return 0
    subject, context = letter.compose(rows, settings())
    db.session.commit()  # ends the read: no transaction stays open while the mail server is talked to
    try:
        mailer.send(address, subject, "alerts", **context)
    except mailer.MailRefused as error:
        _note(rows, problem=str(error))
        raise
    _note(rows, sent_at=now(), problem="")
    return 1


def _post() -> int:
    """One request for each message, in their order; the first that fails leaves the rest to their next try."""
    rows = _claim(WEBHOOK, _POSTS)
    for number, row in enumerate(rows):
        body = letter.payload(row, settings())
        db.session.commit()
        try:
            webhook.post(body, settings())
        except webhook.WebhookFailed as error:
            _note(rows[number:], problem=str(error))
            raise
        _note([row], sent_at=now(), problem="")
    return len(rows)


def _due(moment: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        AlertMessage.sent_at.is_(None),
        AlertMessage.tries < len(WAITS),
        or_(AlertMessage.next_try_at.is_(None), AlertMessage.next_try_at <= moment),
    )


def _claim(address: str, most: int) -> Sequence[AlertMessage]:
    """Count a try and keep others away until the next one: they find nothing that is due."""
    with transaction():
        moment = now()
        claimed: list[int] = []
        for tries, wait in enumerate(WAITS):
            which = (AlertMessage.address == address, *_due(moment), AlertMessage.tries == tries)
            first = select(AlertMessage.id).where(*which).order_by(AlertMessage.id).limit(most)
            claimed += db.session.scalars(
                update(AlertMessage)
                .where(AlertMessage.id.in_(first), *which)
                .values(tries=tries + 1, next_try_at=moment + wait)
                .returning(AlertMessage.id)
                .execution_options(synchronize_session=False)
            ).all()
    return db.session.scalars(
        select(AlertMessage)
        .where(AlertMessage.id.in_(claimed))
        .options(joinedload(AlertMessage.alert))
        .order_by(AlertMessage.id)
        .execution_options(populate_existing=True)
    ).all()


def _note(rows: Sequence[AlertMessage], **values: object) -> None:
    with transaction():
        ids = [row.id for row in rows]
        db.session.execute(update(AlertMessage).where(AlertMessage.id.in_(ids)).values(**values))
