"""Log lines as files: JSON lines as they were written, CSV that a spreadsheet opens safely, or text to read."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\0", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""A cell that begins so is calculated by spreadsheets (ASVS 1.2.10), the full-width forms by some."""

_HEAD = ("time", "level", "category", "message")
_ODD = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
"""What would end a line, steer a terminal, or turn around what stands beside it."""
_BLOCK = 32_768
_COLUMNS = (
    "time", "level", "category", "message", "host", "user", "user_id", "instance_id", "service", "tool", "method",
    "path", "status", "outcome", "error", "duration_ms", "ip", "agent", "actor", "subject", "request_id", "line",
)  # fmt: skip
"""Of a CSV with lines of all kinds; the last one holds the whole line as JSON, since each has fields of its own."""

Fields = Mapping[str, Any]


class Kind(NamedTuple):
    """A form in which lines leave."""

    words: str
    about: str
    mimetype: str
    write: Callable[[Iterable[Fields]], Iterator[bytes]]


def json_lines(lines: Iterable[Fields]) -> Iterator[bytes]:
    """One JSON object a line."""
    for fields in lines:
        yield _json(fields) + b"\n"


def text_lines(lines: Iterable[Fields]) -> Iterator[bytes]:
    """Time, level, category and message, then the other fields as name=value; one line each, whatever is in them."""
    block: list[str] = []
    size = 0
    for fields in lines:
        head = " ".join(_plain(str(fields.get(name) or "-")) for name in _HEAD)
        rest = [f"{_plain(name)}={_value(value)}" for name, value in fields.items() if name not in _HEAD]
        block.append(" ".join([head, *rest]) + "\n")
        size += len(block[-1])
        if size > _BLOCK:
            yield "".join(block).encode()
            block, size = [], 0
    yield "".join(block).encode()


def _value(value: Any) -> str:
    if isinstance(value, str) and value and not {" ", '"', "="} & set(value):
        return _plain(value)
    return _plain(_json(value).decode())


def _plain(text: str) -> str:
    return _ODD.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _json(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # half of a surrogate pair, or a number of many digits
        return json.dumps(value, separators=(",", ":")).encode()


def csv_rows(lines: Iterable[Fields], columns: Sequence[str]) -> Iterator[bytes]:
    """The named fields as UTF-8 CSV with a head (RFC 4180); what is no text or number is JSON in its cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(columns)
    for fields in lines:
        writer.writerow([_cell(fields.get(name)) for name in columns])
        if buffer.tell() > _BLOCK:
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
    text = value if isinstance(value, str) else _json(value).decode()
    is_formula = text.lstrip(" \"'").startswith(_FORMULA)
    return ("'" if is_formula else "") + text.replace("\0", "")


def _whole_csv(lines: Iterable[Fields]) -> Iterator[bytes]:
    return csv_rows(({**fields, "line": fields} for fields in lines), _COLUMNS)


KINDS: Mapping[str, Kind] = {
    "jsonl": Kind("JSON lines", "Every field as it was written, for programs.", "application/x-ndjson", json_lines),
    "csv": Kind("CSV", "The usual fields as columns, for a spreadsheet.", "text/csv", _whole_csv),
    "txt": Kind("Text", "A line each, to read.", "text/plain", text_lines),
}
