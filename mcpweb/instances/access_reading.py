"""What the database knows about an instance, as a call needs it."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import select

from mcpweb import clock
from mcpweb.catalog.registry import Service
from mcpweb.crypto import Keyring
from mcpweb.database import db
from mcpweb.instances import credentials, stops
from mcpweb.instances.access import Access, TokenAccess
from mcpweb.instances.models import Instance, InstanceToken, ServiceRow


def read(instance_id: UUID, token_hash: bytes, services: Mapping[str, Service], keyring: Keyring) -> Access | None:
    """The access of an instance that this token opens; None when there is none, or its owner or service is off.

    Raises:
        OperationalError, sqlalchemy.exc.TimeoutError: the database does not answer, or no connection is free.
    """
    # Asking for the token first keeps strangers who guess from having credentials decrypted.
    known = db.session.scalar(
        select(InstanceToken.id).where(
            InstanceToken.token_hash == token_hash,
            InstanceToken.instance_id == instance_id,
            InstanceToken.revoked_at.is_(None),
        )
    )
    instance = db.session.get(Instance, instance_id) if known else None
    if instance is None or not instance.owner.is_enabled:
        return None
    service = services.get(instance.service_name)
    row = db.session.get(ServiceRow, instance.service_name)
    if service is None or row is None or not row.is_enabled:
        return None
    return Access(
        instance_id=instance.id,
        owner_id=instance.owner_id,
        label=instance.label,
        service=service,
        credential=credentials.unseal(instance, keyring),
        status=instance.status,
        expires_at=instance.expires_at,
        tool_names=None if instance.enabled_tools is None else frozenset(instance.enabled_tools),
        tokens={
            row.token_hash: TokenAccess(row.id, row.expires_at) for row in instance.tokens if row.revoked_at is None
        },
        keeps_arguments=instance.keeps_arguments,
        # By the clock of this host, which is what calls compare its end with.
        stop=stops.for_call(instance, clock.utcnow()),
    )
