"""Log lines as files for other programs: JSON lines as they were written, or CSV that a spreadsheet opens safely."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\0", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""A cell that begins so is calculated by spreadsheets (ASVS 1.2.10), the full-width forms by some."""

Fields = Mapping[str, Any]


def json_lines(lines: Iterable[Fields]) -> Iterator[bytes]:
    """One JSON object a line."""
    for fields in lines:
        yield orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


def csv_rows(lines: Iterable[Fields], columns: Sequence[str]) -> Iterator[bytes]:
    """The named fields as UTF-8 CSV with a head (RFC 4180); what is no text or number is JSON in its cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(columns)
    for fields in lines:
        writer.writerow([_cell(fields.get(name)) for name in columns])
        if buffer.tell() > 32_768:
            yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode("utf-8", "backslashreplace")


def _cell(value: Any) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    is_formula = text.lstrip(" \"'").startswith(_FORMULA)
    return ("'" if is_formula else "") + text.replace("\0", "")
