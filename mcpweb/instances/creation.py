"""Connecting a service: one instance with its credential and first token, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import func, select, update

from mcpweb import clock
from mcpweb.accounts.models import User
from mcpweb.catalog.checking import Checked
from mcpweb.catalog.registry import Service
from mcpweb.crypto import Keyring
from mcpweb.database import after_commit, db, take_turns, transaction
from mcpweb.errors import Conflict, Unavailable
from mcpweb.instances import credentials, key_checks
from mcpweb.instances.lifecycle import reminded_days
from mcpweb.instances.models import CredentialState, Instance, InstanceToken, ServiceRow, Status
from mcpweb.instances.rekeying import until_next_check
from mcpweb.instances.tokens import new_token
from mcpweb.logs import audit, events

_REPEATS = timedelta(minutes=10)
"""A form that is sent twice is sent twice soon. Later its token is in use, and must not be replaced."""


class _SentBefore(Exception):
    """This form has made its instance already."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a user fills in to connect a service. `creation_key` is the form's: one form makes one instance."""

    label: str
    credential: dict[str, str] = field(repr=False)
    expires_at: datetime
    creation_key: UUID


def create(
    owner: User, service: Service, wish: Wish, checked: Checked | None, keyring: Keyring, most: int
) -> tuple[Instance, str]:
    """Open an MCP endpoint for a checked credential (None: it could not be checked); returns it with its token.

    A form that is submitted twice gives the same instance, with a new token in place of the one that nobody has seen.

    Raises:
        Conflict: the owner has `most` instances already.
        Unavailable: the service is not registered or is switched off.
        KeyUnusable: the encryption key is not the one that was used before.
    """
    try:
        return _create(owner, service, wish, checked, keyring, most)
    except _SentBefore:
        return _again(owner, wish.creation_key)


def made_before(owner: User, creation_key: UUID) -> bool:
    """Whether this form has made its instance already."""
    return _made(owner, creation_key) is not None


def repeat(owner: User, creation_key: UUID) -> tuple[Instance, str]:
    """What a form that was sent again gets: see `create`.

    Raises:
        Conflict: its instance is in use already, so its token stays as it is.
    """
    return _again(owner, creation_key)


def _create(
    owner: User, service: Service, wish: Wish, checked: Checked | None, keyring: Keyring, most: int
) -> tuple[Instance, str]:
    instance = _draft(owner, service, wish, checked)
    credentials.seal(instance, wish.credential, keyring)
    row, token = new_token("First token", instance.created_at)
    instance.tokens = [row]
    with transaction():
        take_turns(f"instances of user/{owner.id}")
        if _made(owner, wish.creation_key) is not None:
            raise _SentBefore
        key_checks.ensure(keyring)
        counted = db.session.execute(
            update(ServiceRow)
            .where(ServiceRow.name == service.name, ServiceRow.is_enabled)
            .values(total_instances=ServiceRow.total_instances + 1, active_instances=ServiceRow.active_instances + 1)
        )
        if counted.rowcount != 1:  # type: ignore[attr-defined]
            raise Unavailable(f"{service.title} can not be connected at the moment.")
        if (db.session.scalar(select(func.count()).where(Instance.owner_id == owner.id)) or 0) >= most:
            raise Conflict(f"You have {most} instances, which is the most one person may have. Delete one first.")
        db.session.add(instance)
        db.session.flush()
        audit.record(
            "instance.create",
            actor=owner.email,
            subject=f"instance/{instance.id}",
            service=service.name,
            label=instance.label,
            account=instance.account_label,
            expires_at=instance.expires_at.isoformat(),
            credential_state=str(instance.credential_state),
        )
        after_commit(lambda: events.instance(owner.id, instance.id, "instance created", service=service.name))
    return instance, token


def _draft(owner: User, service: Service, wish: Wish, checked: Checked | None) -> Instance:
    moment = clock.utcnow()
    return Instance(
        id=uuid4(),
        owner_id=owner.id,
        service_name=service.name,
        label=wish.label,
        status=Status.ACTIVE,
        created_at=moment,
        expires_at=wish.expires_at,
        reminded_days=reminded_days(wish.expires_at - moment),
        creation_key=wish.creation_key,
        credential_state=CredentialState.OK if checked else CredentialState.UNVERIFIED,
        credential_checked_at=moment if checked else None,
        credential_due_at=moment + until_next_check() if checked else None,
        credential_expires_at=checked.expires_at if checked else None,
        account_label=checked.account if checked else "",
        scopes=list(checked.scopes) if checked and checked.scopes is not None else None,
    )


def _again(owner: User, creation_key: UUID) -> tuple[Instance, str]:
    instance = _made(owner, creation_key)
    if instance is None:
        raise Conflict("This could not be saved. Please try once more.")
    in_use = Conflict("This form was sent before, and its instance is in use already.")
    # With a second token the owner has been at work on it, and has seen the first one.
    if clock.utcnow() - instance.created_at > _REPEATS or len(instance.tokens) != 1:
        raise in_use
    row, token = new_token("First token", clock.utcnow())
    with transaction():
        replaced = db.session.execute(
            update(InstanceToken)
            .where(
                InstanceToken.id == instance.tokens[0].id,
                InstanceToken.last_used_at.is_(None),
                InstanceToken.revoked_at.is_(None),
            )
            .values(token_hash=row.token_hash, last_four=row.last_four)
        )
        if replaced.rowcount != 1:  # type: ignore[attr-defined]
            raise in_use
    return instance, token


def _made(owner: User, creation_key: UUID) -> Instance | None:
    return db.session.scalar(
        select(Instance).where(Instance.owner_id == owner.id, Instance.creation_key == creation_key)
    )
