"""Checking credentials by itself: daily, and soon when calls were refused. An outage of the service alarms nobody."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import or_, select, update

from mcpweb import clock
from mcpweb.catalog.checking import Checked, CheckRefused
from mcpweb.crypto import KeyUnusable
from mcpweb.database import db, now, transaction
from mcpweb.errors import NotFound
from mcpweb.instances import notices, rekeying
from mcpweb.instances.house import house
from mcpweb.instances.lifecycle import changing, record
from mcpweb.instances.models import CredentialState, Instance, Notice, NoticeKind, Status
from mcpweb.queue import job

log = logging.getLogger(__name__)

_MOST = 50
_BUDGET_S = 20.0
"""A run leaves the rest to the next one after this, so that expiry does not wait for slow services."""
_AFTER_NO_ANSWER = timedelta(hours=1)
_AFTER_ONE_REFUSAL = timedelta(minutes=10)
_REFUSALS = 2
"""So many checks in a row must be refused before a key counts as dead: services err for a moment too."""

_ACTOR = "system"


@job("recheck_credentials")
def recheck_credentials() -> dict[str, int]:
    """Every 5 minutes: check what is due, a bounded number for a bounded time; may run late or twice."""
    started = clock.monotonic()
    found = {"items": 0, "ok": 0, "refused": 0, "no_answer": 0}
    while found["items"] < _MOST and clock.monotonic() - started < _BUDGET_S:
        instance = _claim()
        if instance is None:
            break
        found["items"] += 1
        found[_recheck(instance)] += 1
    return found


def _claim() -> Instance | None:
    """The instance that waits longest, out of everybody else's hands for an hour; None when nothing is due."""
    with transaction():
        moment = now()
        due = (
            select(Instance.id)
            .where(
                Instance.status == Status.ACTIVE,
                Instance.expires_at > moment,
                or_(Instance.credential_due_at.is_(None), Instance.credential_due_at <= moment),
            )
            .order_by(Instance.credential_due_at.nulls_first())
            .limit(1)
            .with_for_update(skip_locked=True)
            .cte("due")
        )
        claimed = db.session.scalar(
            update(Instance)
            .where(Instance.id == due.c.id)
            .values(credential_due_at=moment + _AFTER_NO_ANSWER)
            .returning(Instance.id)
            .execution_options(synchronize_session=False)
        )
        return db.session.get(Instance, claimed, populate_existing=True) if claimed else None


def _recheck(instance: Instance) -> str:
    """Check one and keep what comes of it: `ok`, `refused` or `no_answer`, which changes nothing."""
    service = house().registry.services.get(instance.service_name)
    if service is None:
        return "no_answer"
    sealed = instance.credential_sealed
    try:
        checked = rekeying.ask(instance, service)
    except CheckRefused as refusal:
        if refusal.kind not in rekeying.ABOUT_THE_KEY:
            return "no_answer"
        _keep(instance, sealed, None)
        return "refused"
    except KeyUnusable:
        log.error("a credential can not be decrypted", extra={"instance": str(instance.id)})
        return "no_answer"
    _keep(instance, sealed, checked)
    return "ok"


def _keep(instance: Instance, sealed: bytes, checked: Checked | None) -> None:
    with suppress(NotFound), changing(instance):  # it may have been deleted meanwhile
        if instance.credential_sealed != sealed:
            return  # replaced meanwhile, and checked then
        if checked is None:
            _refused(instance)
        else:
            _works(instance, checked)


def _works(instance: Instance, checked: Checked) -> None:
    had_died = instance.credential_state == CredentialState.REJECTED
    rekeying.store(instance, checked)
    ends = checked.expires_at
    if ends is not None and ends <= now() + notices.KEY_ENDS_SOON and not _was_told_of_the_end(instance):
        notices.add(NoticeKind.KEY_ENDS, [(instance.id, instance.owner_id)])
    if had_died:
        record("credential.check", instance, _ACTOR, outcome="ok")


def _refused(instance: Instance) -> None:
    if instance.credential_failures + 1 < _REFUSALS and instance.credential_state != CredentialState.REJECTED:
        instance.credential_failures += 1
        instance.credential_refusals = 0
        instance.credential_due_at = now() + _AFTER_ONE_REFUSAL
        return
    was_alive = instance.credential_state != CredentialState.REJECTED
    rekeying.mark_rejected(instance)
    if was_alive:
        notices.add(NoticeKind.KEY_DIED, [(instance.id, instance.owner_id)])
        record("credential.check", instance, _ACTOR, outcome="rejected")


def _was_told_of_the_end(instance: Instance) -> bool:
    told = select(Notice.id).where(Notice.instance_id == instance.id, Notice.kind == NoticeKind.KEY_ENDS)
    return db.session.scalar(told.limit(1)) is not None
