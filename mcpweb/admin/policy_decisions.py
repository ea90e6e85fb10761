"""Deciding on a policy, and taking the decision back: it holds at once, on every host."""

from __future__ import annotations

from collections.abc import Mapping

from mcpweb import policies
from mcpweb.database import db, now, take_turns, transaction
from mcpweb.errors import InvalidInput, NotFound
from mcpweb.logs import audit
from mcpweb.policies import POLICIES, Policy, PolicyRow
from mcpweb.settings import Settings


def get(name: str) -> Policy:
    """The policy of this name.

    Raises:
        NotFound: there is none.
    """
    if name not in POLICIES:
        raise NotFound("There is no such policy.")
    return POLICIES[name]


def decide(wished: Mapping[str, int], by_whom: str, settings: Settings) -> int:
    """Have these values hold from now on; returns how many of them are new.

    Raises:
        NotFound: there is no policy of one of the names.
        InvalidInput: a number is out of the bounds of its policy.
    """
    for name, wish in wished.items():
        policy = get(name)
        if not policy.low <= wish <= policy.high:
            raise InvalidInput(f"{policy.title}: from {policy.low:,} to {policy.high:,} {policy.unit}.")
    changes = []
    with transaction():
        take_turns("policies")
        for name, wish in wished.items():
            before = policies.value(name, settings)
            if before != wish:
                row = PolicyRow(name=name, value=str(wish), changed_at=now(), changed_by=by_whom)
                db.session.merge(row)
                changes.append((f"policy/{name}", {"before": before, "after": wish}))
        audit.record_many("policy.change", actor=by_whom, changes=changes)
    return len(changes)


def restore(name: str, by_whom: str, settings: Settings) -> bool:
    """Have the operator's setting hold again; returns whether somebody had decided otherwise.

    Raises:
        NotFound: there is no such policy.
    """
    policy = get(name)
    with transaction():
        take_turns("policies")
        row = db.session.get(PolicyRow, name, populate_existing=True)
        if row is None:
            return False
        before = policies.value(name, settings)
        db.session.delete(row)
        after = policy.default_of(settings)
        audit.record("policy.restore", actor=by_whom, subject=f"policy/{name}", before=before, after=after)
    return True
