"""All instances, whoever owns them, as administrators look at them: what there is, and never a key or a token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import joinedload

from mcpweb.accounts.directory import page_number
from mcpweb.accounts.models import User
from mcpweb.database import db, now
from mcpweb.errors import NotFound
from mcpweb.instances.models import CredentialState, Instance, Status

STATES = {
    "active": "Active",
    "inactive": "Switched off",
    "expired": "Expired",
    "stopped": "By an administrator",
    "refused": "Active, key refused",
}
PAGE = 50


@dataclass(frozen=True, slots=True)
class InstanceFilter:
    """Which instances were asked for; what makes no sense is as if it had not been asked."""

    text: str = ""
    service: str = ""
    state: str = ""
    page: int = 1

    @classmethod
    def of(cls, args: Mapping[str, str]) -> Self:
        """The filter that an address names: q, service, state, page."""
        text, service = (args.get(name, "").replace("\0", "").strip()[:200] for name in ("q", "service"))
        state = args.get("state", "")
        return cls(text, service, state if state in STATES else "", page_number(args.get("page", "")))

    def args(self, page: int = 1) -> dict[str, str]:
        """What the address of another page of the same filter holds."""
        number = str(page) if page > 1 else ""
        parts = {"q": self.text, "service": self.service, "state": self.state, "page": number}
        return {name: value for name, value in parts.items() if value}


def find(asked: InstanceFilter) -> Sequence[Instance]:
    """The instances of this page with their owners, newest first, and one more if there is another page."""
    query = select(Instance).join(Instance.owner).options(joinedload(Instance.owner)).where(*_fits(asked))
    query = query.order_by(Instance.created_at.desc(), Instance.id)
    return list(db.session.scalars(query.limit(PAGE + 1).offset((asked.page - 1) * PAGE)))


def count(asked: InstanceFilter) -> int:
    """How many instances fit, on all pages together."""
    query = select(func.count()).select_from(Instance).where(*_fits(asked))
    return db.session.scalar(query.join(Instance.owner) if asked.text else query) or 0


def get(instance_id: UUID) -> Instance:
    """The instance of this id, whoever owns it.

    Raises:
        NotFound: there is none.
    """
    instance = db.session.get(Instance, instance_id)
    if instance is None:
        raise NotFound("There is no such instance.")
    return instance


def counts(user_ids: Sequence[int]) -> Mapping[int, int]:
    """How many instances each of these users has."""
    rows = select(Instance.owner_id, func.count()).where(Instance.owner_id.in_(user_ids)).group_by(Instance.owner_id)
    return {owner_id: count for owner_id, count in db.session.execute(rows)}  # noqa: C416 - rows are no pairs


def _fits(asked: InstanceFilter) -> Sequence[Any]:
    wanted: list[Any] = []
    if asked.text:
        columns = (Instance.label, Instance.account_label, User.email)
        wanted.append(or_(*(column.icontains(asked.text, autoescape=True) for column in columns)))
    if asked.service:
        wanted.append(Instance.service_name == asked.service)
    if asked.state:
        wanted.append(_is(asked.state))
    return wanted


def _is(state: str) -> Any:
    moment = now()
    if state == "stopped":
        return Instance.stopped_reason != ""
    if state == Status.EXPIRED:  # the job that marks them may be late
        return or_(Instance.status == Status.EXPIRED, Instance.expires_at <= moment)
    if state == "refused":
        return and_(_is(Status.ACTIVE), Instance.credential_state == CredentialState.REJECTED)
    return and_(Instance.status == state, Instance.expires_at > moment)
