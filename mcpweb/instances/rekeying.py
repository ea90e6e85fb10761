"""Replacing the credential of an instance, and checking the present one again."""

from __future__ import annotations

from collections.abc import Mapping

from mcpweb.catalog import checking
from mcpweb.catalog.checking import Checked, CheckRefused
from mcpweb.catalog.registry import Service
from mcpweb.database import now
from mcpweb.instances import credentials
from mcpweb.instances.house import house
from mcpweb.instances.lifecycle import changing, record
from mcpweb.instances.models import CredentialState, Instance
from mcpweb.logs import events


def replace(instance: Instance, credential: Mapping[str, str], checked: Checked, actor: str) -> bool:
    """Store a credential that has just been checked in place of the present one; calls use it from now on.

    Returns whether it belongs to another account than before.
    """
    with changing(instance):
        before = instance.account_label
        credentials.seal(instance, credential, house().keyring)
        _store(instance, checked)
        record("credential.replace", instance, actor, account_before=before, account_after=checked.account)
    return bool(before) and before != checked.account


def check_again(instance: Instance, service: Service, actor: str) -> Checked:
    """Try the present credential at its service and keep what it says.

    Raises:
        CheckRefused: with the reason; a refused key is marked, an outage changes nothing.
    """
    credential, sealed = credentials.unseal(instance, house().keyring), instance.credential_sealed
    try:
        checked = checking.check(service, credential, house().client)
    except CheckRefused as refusal:
        events.security("credential checked", service=service.name, outcome=refusal.kind, level="warning")
        if refusal.kind in ("rejected", "scope"):
            with changing(instance):
                if instance.credential_sealed == sealed:  # else it has been replaced meanwhile
                    instance.credential_state, instance.credential_checked_at = CredentialState.REJECTED, now()
                record("credential.check", instance, actor, outcome=refusal.kind)
        raise
    with changing(instance):
        if instance.credential_sealed == sealed:
            _store(instance, checked)
        record("credential.check", instance, actor, outcome="ok")
    return checked


def _store(instance: Instance, checked: Checked) -> None:
    instance.credential_state = CredentialState.OK
    instance.credential_checked_at = now()
    instance.credential_expires_at = checked.expires_at
    instance.account_label = checked.account
    instance.scopes = list(checked.scopes) if checked.scopes is not None else None
