"""One log line: a JSON object in ASCII, with long values cut and secrets blacked out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

_MAX_VALUE = 2000
_MAX_ITEMS = 50
_MAX_DEPTH = 6
_BLACK = "[redacted]"

_SECRET_NAME = re.compile(r"passw|secret|token$|authorization|credential$|cookie|api_?key", re.IGNORECASE)
_SECRET_VALUE = re.compile(
    r"mcpw_[0-9A-Za-z]{20,}|github_pat_\w{20,}|gh[opsur]_[0-9A-Za-z]{20,}|figd_[\w-]{20,}|(?<=[Bb]earer )[\w.~+/=-]{8,}"
)

_SECRET_MARK = re.compile(r"mcpw_|github_pat_|gh[opsur]_|figd_|earer ")
"""One of these stands in every secret value; looking for them first is three times as fast."""

# ASCII output escapes everything that could pretend to be more than one line, or another one: CR and LF, ANSI
# sequences, bidi overrides, U+2028, NUL and lone surrogates.
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), default=str).encode


def line(fields: Mapping[str, Any]) -> bytes:
    """The fields as one line, newline included. Takes any value; what JSON does not know becomes its text."""
    text = _encode(_safe(fields))
    if _SECRET_MARK.search(text):
        text = _SECRET_VALUE.sub(_BLACK, text)
    return text.encode("ascii") + b"\n"


def _safe(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _MAX_VALUE else f"{value[:_MAX_VALUE]}… ({len(value)} characters)"
    if value is None or isinstance(value, int | float):
        return value
    if depth >= _MAX_DEPTH:
        return "…"
    if isinstance(value, dict | Mapping):  # dict first: asking for Mapping is slow
        return {
            (text := str(name)): _BLACK
            if _names_secret(text) and isinstance(item, str) and item
            else _safe(item, depth + 1)
            for name, item in islice(value.items(), _MAX_ITEMS)
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_safe(item, depth + 1) for item in islice(value, _MAX_ITEMS)]
    return _safe(str(value), depth)


@lru_cache(maxsize=1024)  # most lines have the same few names
def _names_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None
