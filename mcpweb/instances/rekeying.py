"""Replacing the credential of an instance, and checking the present one again."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import delete

from mcpweb.catalog import checking
from mcpweb.catalog.checking import Checked, CheckRefused
from mcpweb.catalog.registry import Service
from mcpweb.database import db, now
from mcpweb.instances import credentials, key_checks
from mcpweb.instances.house import house
from mcpweb.instances.lifecycle import changing, record
from mcpweb.instances.models import CredentialState, Instance, Notice, NoticeKind
from mcpweb.logs import events

ABOUT_THE_KEY = ("rejected", "scope")
"""The refusals that say something of the key; the others are outages."""


def replace(instance: Instance, credential: Mapping[str, str], checked: Checked, actor: str) -> bool:
    """Store a credential that has just been checked in place of the present one; calls use it from now on.

    Returns whether it belongs to another account than before.
    """
    with changing(instance):
        before = instance.account_label
        key_checks.ensure(house().keyring)
        credentials.seal(instance, credential, house().keyring)
        store(instance, checked)
        # Its own end is told of by itself.
        db.session.execute(delete(Notice).where(Notice.instance_id == instance.id, Notice.kind == NoticeKind.KEY_ENDS))
        record("credential.replace", instance, actor, account_before=before, account_after=checked.account)
    return bool(before) and before != checked.account


def check_again(instance: Instance, service: Service, actor: str) -> Checked:
    """Try the present credential at its service and keep what it says.

    Raises:
        CheckRefused: with the reason; a refused key is marked, an outage changes nothing.
    """
    sealed = instance.credential_sealed
    try:
        checked = ask(instance, service)
    except CheckRefused as refusal:
        if refusal.kind in ABOUT_THE_KEY:
            with changing(instance):
                if instance.credential_sealed == sealed:  # else it has been replaced meanwhile
                    mark_rejected(instance)
                record("credential.check", instance, actor, outcome=refusal.kind)
        raise
    with changing(instance):
        if instance.credential_sealed == sealed:
            store(instance, checked)
        record("credential.check", instance, actor, outcome="ok")
    return checked


def ask(instance: Instance, service: Service) -> Checked:
    """Try the present credential at its service, for at most 8 seconds, with no transaction open.

    Raises:
        CheckRefused: with the reason.
        KeyUnusable: the credential can not be decrypted.
    """
    credential = credentials.unseal(instance, house().keyring)
    db.session.commit()  # ends the read: no transaction stays open while the service is talked to
    try:
        return checking.check(service, credential, house().client)
    except CheckRefused as refusal:
        events.security("credential checked", service=service.name, outcome=refusal.kind, level="warning")
        raise


def store(instance: Instance, checked: Checked) -> None:
    """Keep what the service said of a key that works; call it inside a transaction."""
    instance.credential_state = CredentialState.OK
    instance.credential_expires_at = checked.expires_at
    instance.account_label = checked.account
    instance.scopes = list(checked.scopes) if checked.scopes is not None else None
    instance.credential_failures = 0
    _checked(instance)


def mark_rejected(instance: Instance) -> None:
    """Keep that the service refuses the key; call it inside a transaction."""
    instance.credential_state = CredentialState.REJECTED
    instance.credential_failures += 1
    _checked(instance)


def _checked(instance: Instance) -> None:
    instance.credential_checked_at = now()
    instance.credential_refusals = 0
    instance.credential_due_at = now() + until_next_check()


def until_next_check() -> timedelta:
    """A day, more or less a fifth, so that what was connected at one time is not checked at one time for ever."""
    return timedelta(hours=24 * random.uniform(0.8, 1.2))  # noqa: S311 - nobody gains by guessing it
