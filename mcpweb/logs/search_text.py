"""The words of a line, as the index keeps them and as a search looks for them: the same on every database.

Databases split text each in their own way; PostgreSQL keeps an address or a path as one word. So what they get is
made here: letters and digits only, without marks and case.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

MAX_CHARS = 32_000
"""Of a line; PostgreSQL refuses to index a text of more than a megabyte."""
_UNSEARCHED = frozenset(("time", "duration_ms", "upstream_ms"))
"""Fields that nobody looks for by their digits, and that would bring new words with every line."""
_MAX_DEPTH = 6

_NEITHER = re.compile(r"[\W_]+")
_ASCII = bytes(ord(chr(code).lower()) if code < 128 and chr(code).isalnum() else 32 for code in range(256))


def normalise(text: str) -> str:
    """Lower-case words of letters and digits between spaces; an accent or a capital makes no difference."""
    if text.isascii():
        return text.encode().translate(_ASCII).decode()
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    bare = "".join([char for char in folded if char < "\x80" or unicodedata.category(char)[0] != "M"])
    return _NEITHER.sub(" ", bare)


def of_line(fields: Mapping[str, Any]) -> str:
    """The words of all values of a line, nested ones too, but not of their names."""
    found: list[str] = []
    nested: list[Any] = []  # comes last: it may be long, and only so much is kept
    for name, value in fields.items():
        if name in _UNSEARCHED:
            continue
        if type(value) is str:
            found.append(value)
        elif type(value) is int:
            found.append(str(value))
        else:
            nested.append(value)
    for value in nested:
        _collect(value, found, _MAX_DEPTH)
    return normalise(" ".join(found)[:MAX_CHARS])


def _collect(value: Any, found: list[str], depth: int) -> None:
    if isinstance(value, str):
        found.append(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found.append(repr(value))
    elif depth and isinstance(value, dict | list):
        inner: Iterable[Any] = value.values() if isinstance(value, dict) else value
        for item in inner:
            _collect(item, found, depth - 1)
