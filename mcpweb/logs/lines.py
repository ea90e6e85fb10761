"""One log line: a JSON object in ASCII, with long values cut and secrets blacked out."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any

import orjson

HOST = socket.gethostname()

_MAX_VALUE = 2000
_MAX_NAME = 200
_MAX_NUMBER = 10**18
_NUMBERS = (int, float)
_MAX_ITEMS = 50
_MAX_DEPTH = 6
_BLACK = "[redacted]"

_SECRET_NAME = re.compile(r"passw|secret|tokens?$|authorization|credentials?$|cookie|api_?key", re.IGNORECASE)
_SECRET_VALUE = re.compile(
    r"mcpw_[0-9A-Za-z]{20,}|github_pat_\w{20,}|gh[opsur]_[\w.-]{20,}|fig[du]_[\w-]{20,}"
    r"|\d+(-[0-9a-f]{4,12}){5}"  # Figma's of before 2022
    r"|(?<=[Bb]earer )[\w.~+/=-]{8,}|(?<=/sign-in/)[\w.~-]{20,}"
)

_OLD_FIGMA_MARK = re.compile(r"-[0-9a-f]{8}-[0-9a-f]{4}-")
"""The dash in front makes it ten times as fast as the pattern above."""

# ASCII output escapes everything that could pretend to be more than one line, or another one: CR and LF, ANSI
# sequences, bidi overrides, U+2028, NUL and lone surrogates.
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), default=str).encode


def entry(category: str, at: datetime, level: str, message: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a line in the order in which people read them."""
    return {
        "time": at.isoformat(timespec="milliseconds"),
        "level": level,
        "category": category,
        "message": message,
        "host": HOST,
        **fields,
    }


def line(fields: Mapping[str, Any]) -> bytes:
    """The fields as one line, newline included. Takes any value; what JSON does not know becomes its text."""
    text = _json(_safe(fields))
    if _may_hold_a_secret(text):
        text = _SECRET_VALUE.sub(_BLACK, text)
    return text.encode("ascii") + b"\n"


def _may_hold_a_secret(text: str) -> bool:
    """Whether what stands in every secret value stands there; asking first is ten times as fast."""
    return (
        "mcpw_" in text or "github_pat_" in text or "earer " in text or "/sign-in/" in text
        or "gho_" in text or "ghp_" in text or "ghs_" in text or "ghu_" in text or "ghr_" in text
        or "figd_" in text or "figu_" in text or _OLD_FIGMA_MARK.search(text) is not None
    )  # fmt: skip


def _json(safe: Any) -> str:
    try:
        quick = orjson.dumps(safe)
    except TypeError:  # half of a surrogate pair
        return _encode(safe)
    return quick.decode("ascii") if quick.isascii() else _encode(safe)


def _safe(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _MAX_VALUE else f"{value[:_MAX_VALUE]}… ({len(value)} characters)"
    if value is None or (isinstance(value, _NUMBERS) and -_MAX_NUMBER < value < _MAX_NUMBER):
        return value
    if depth >= _MAX_DEPTH:
        return "…"
    if isinstance(value, dict | Mapping):  # dict first: asking for Mapping is slow
        safe = {}
        for name, item in islice(value.items(), _MAX_ITEMS):
            text, is_secret = _name(name)
            is_plain = type(item) is str and len(item) <= _MAX_VALUE  # most are
            safe[text] = _black(item) if is_secret else item if is_plain else _safe(item, depth + 1)
        return safe
    if isinstance(value, list | tuple | set | frozenset):
        return [_safe(item, depth + 1) for item in islice(value, _MAX_ITEMS)]
    return _safe(_text(value), depth)


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # foreign code, and numbers of thousands of digits
        return f"<{type(value).__name__}>"


def _black(value: Any) -> Any:
    return value if value in (None, "") or isinstance(value, _NUMBERS) else _BLACK


@lru_cache(maxsize=1024, typed=True)  # most lines have the same few names
def _name(name: Any) -> tuple[str, bool]:
    """A name as it is written, and whether what it names is a secret."""
    text = _text(name)[:_MAX_NAME]
    return text, _SECRET_NAME.search(text) is not None
