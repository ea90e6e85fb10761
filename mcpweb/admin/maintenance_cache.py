"""Forgetting who may call, for when somebody doubts what is remembered."""

from __future__ import annotations

from mcpweb.database import after_commit, transaction
from mcpweb.instances.house import house
from mcpweb.logs import audit


def drop(by_whom: str) -> None:
    """Make every remembered access stale in all processes of this host; on other hosts they age out within a minute."""
    with transaction():
        audit.record("cache.drop", actor=by_whom, subject=f"host/{house().propagation.host}")
        after_commit(house().propagation.generations.bump_all)
    house().access.sweep()
