"""Log lines as the program writes them, for the index: made, and added to it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from mcpweb.logs.index import LogIndex
from mcpweb.logs.index_line import IndexLine, parse
from mcpweb.logs.lines import line

DAY = date(2026, 11, 25)
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def encoded(at: datetime, message: str = "call", category: str = "performance", **fields: Any) -> bytes:
    """A line with its newline."""
    head = {"time": at.isoformat(timespec="milliseconds"), "level": "info", "category": category}
    return line({**head, "message": message, "host": "web1", **fields})


def parsed(raws: list[bytes], day: date = DAY, category: str = "performance", start: int = 0) -> list[IndexLine]:
    """Lines that follow each other in a file."""
    found, offset = [], start
    for raw in raws:
        one = parse(raw.rstrip(b"\n"), offset, category, day)
        assert one is not None
        found.append(one)
        offset += len(raw)
    return found


def fill(index: LogIndex, count: int, *, file_id: int = 1, at: datetime = NOON, **fields: Any) -> int:
    """Add lines a second apart, numbered from 0 by the field `number`."""
    raws = [encoded(at + timedelta(seconds=number), number=number, **fields) for number in range(count)]
    return index.append(file_id, at.date(), parsed(raws, at.date()))


def numbers(found: Any) -> list[int]:
    """The numbers of what was found."""
    return [one.fields["number"] for one in found]
