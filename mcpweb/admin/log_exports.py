"""What was found as a file, of any length: lines are read and sent in pages, and none is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import chain

from mcpweb.admin.log_views import told
from mcpweb.database import transaction
from mcpweb.errors import Conflict, NotFound
from mcpweb.logs import audit
from mcpweb.logs.export import KINDS, Kind
from mcpweb.logs.index import LogIndex
from mcpweb.logs.query import Query

_PAGE_S = 30.0
"""What one page of an export may take; nobody waits for it with an empty screen."""

_lock = threading.Lock()
_sending: dict[str, object] = {}
"""To whom this process sends an export at the moment."""


def start(index: LogIndex, query: Query, kind: str, actor: str) -> tuple[Kind, Iterator[bytes]]:
    """All lines that fit, newest first. That they were taken is in the audit trail before the first one is sent.

    Raises:
        NotFound: there is no such kind.
        TooBroad: not even the first lines were found in time.
        Unavailable: the audit log, or the index, can not be used; nothing is sent then.
    """
    if kind not in KINDS:
        raise NotFound("Logs are exported as jsonl, csv or txt.")
    found = (line.fields for line in index.within(_PAGE_S).stream(query))
    # Read before the answer begins: what goes wrong at once can still be said on a page.
    first = list(zip(range(1), found, strict=False))
    with transaction():
        audit.record("logs.export", actor=actor, subject="logs", kind=kind, **told(query))
    return KINDS[kind], KINDS[kind].write(chain((fields for _, fields in first), found))


def turn(actor: str) -> Callable[[], None]:
    """Take the turn of an administrator to whom one file at a time is sent; call what comes back when it is sent.

    Raises:
        Conflict: this process is sending one already.
    """
    with _lock:
        if actor in _sending:
            raise Conflict("An export is being sent to you already. Wait for it, or cancel it in your browser.")
        _sending[actor] = mine = object()

    def done() -> None:
        with _lock:
            if _sending.get(actor) is mine:
                del _sending[actor]

    return done
