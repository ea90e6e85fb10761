"""Many instances at once, as rows: made one by one they would take minutes."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import insert, select, update

from mcpweb import clock
from mcpweb.accounts.models import Role, User
from mcpweb.database import db, transaction
from mcpweb.instances.models import CredentialState, Instance, ServiceRow, Status

LIFE = timedelta(days=30)


def owner(email: str = "alice@example.com") -> int:
    """The id of the user of this address, who is made if need be."""
    with transaction():
        found = db.session.scalar(select(User.id).where(User.email == email))
        if found is None:
            user = User(email=email, role=Role.USER, created_at=clock.utcnow())
            db.session.add(user)
            db.session.flush()
            found = user.id
    return found


def seed(count: int, ends_at: datetime, *, owners: int = 1, status: Status = Status.ACTIVE) -> list[UUID]:
    """So many instances of two services that end then, dealt out to so many owners, counted by their services."""
    people = [owner(f"owner{number}@example.com") for number in range(owners)]
    rows = [
        {
            "id": uuid4(),
            "owner_id": people[number % owners],
            "service_name": ("github", "figma")[number % 2],
            "label": f"Number {number}",
            "status": status,
            "created_at": ends_at - LIFE,
            "expires_at": ends_at,
            "creation_key": uuid4(),
            "credential_sealed": b"",
            "credential_key_id": "",
            "credential_state": CredentialState.OK,
        }
        for number in range(count)
    ]
    active = int(status == Status.ACTIVE)
    with transaction():
        db.session.execute(insert(Instance), rows)
        for name in ("figma", "github"):
            mine = sum(row["service_name"] == name for row in rows)
            db.session.execute(
                update(ServiceRow)
                .where(ServiceRow.name == name)
                .values(
                    total_instances=ServiceRow.total_instances + mine,
                    active_instances=ServiceRow.active_instances + mine * active,
                )
            )
    return [row["id"] for row in rows]  # type: ignore[misc]
