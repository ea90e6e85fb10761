"""What was found as a file, of any length: lines are read and sent in pages, and none is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from mcpweb.admin.log_views import told
from mcpweb.database import transaction
from mcpweb.errors import NotFound
from mcpweb.logs import audit, export
from mcpweb.logs.index import LogIndex
from mcpweb.logs.query import Query

CSV_COLUMNS = (
    "time", "level", "category", "message", "host", "user", "user_id", "instance_id", "service", "tool", "method",
    "path", "status", "outcome", "error", "duration_ms", "ip", "agent", "actor", "subject", "request_id", "line",
)  # fmt: skip
"""The last one holds the whole line as JSON: lines have fields of all kinds."""
_PAGE_S = 30.0
"""What one page of an export may take; nobody waits for it with an empty screen."""

Fields = Mapping[str, Any]


class Kind(NamedTuple):
    """A form in which lines leave."""

    words: str
    mimetype: str
    write: Callable[[Iterable[Fields]], Iterator[bytes]]


def _csv(lines: Iterable[Fields]) -> Iterator[bytes]:
    return export.csv_rows(({**fields, "line": fields} for fields in lines), CSV_COLUMNS)


KINDS: Mapping[str, Kind] = {
    "jsonl": Kind("JSON lines", "application/x-ndjson", export.json_lines),
    "csv": Kind("CSV", "text/csv", _csv),
    "txt": Kind("Text", "text/plain", export.text_lines),
}


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
