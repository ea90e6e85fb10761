"""Which fields of a line stand in its row. A choice is in the address alone: whoever is given it sees the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

ALWAYS = frozenset(("time", "level", "category", "message"))
"""What every row shows."""
MOST = 12
_OFFERED = 40
_MAX_NAME = 60


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """The fields that an address names, in its order; without any, a row shows what tells it from the next."""
    return tuple(dict.fromkeys(name for name in names if 0 < len(name) <= _MAX_NAME))[:MOST]


def offered(lines: Iterable[Mapping[str, Any]], shown: Sequence[str]) -> list[str]:
    """The fields to choose from: those that are shown, and what the lines hold, the most frequent first."""
    found = Counter(name for fields in lines for name in fields if len(name) <= _MAX_NAME)
    more = (name for name, _ in found.most_common() if name not in ALWAYS and name != "traceback")
    return list(dict.fromkeys((*shown, *more)))[:_OFFERED]
