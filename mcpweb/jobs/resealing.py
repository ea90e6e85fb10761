"""Key rotation by a worker, when an administrator asks for it."""

from __future__ import annotations

from typing import Any

from mcpweb.instances import resealing
from mcpweb.instances.house import house
from mcpweb.instances.resealing import Resealed
from mcpweb.jobs import runs
from mcpweb.logs import events
from mcpweb.queue import job


@job("reseal")
def reseal() -> dict[str, Any]:
    """Seal every credential with the newest key; may be stopped anywhere, run late or twice.

    Raises:
        KeyUnusable, Conflict: the keys of this host are not those that are in use.
    """
    done = resealing.reseal(house().keyring, _tell)
    events.security("credentials sealed anew", key=done.key_id, count=done.done, unreadable=len(done.unreadable))
    return done.to_dict()


def _tell(report: Resealed) -> None:
    runs.tell(report.done, report.to_dict())
