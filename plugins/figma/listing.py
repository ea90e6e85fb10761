"""Long lists in portions: filtered, cut to what a result may hold, with the way to the rest."""

from collections.abc import Iterable
from typing import Annotated, Any

from .shapes import RESULT_CHARS, size

Contains = Annotated[str | None, "Only entries that contain this text, in any case.", {"maxLength": 200}]
After = Annotated[int | None, "next_after of the previous answer.", {"minimum": 0}]
Limit = Annotated[int, "Most entries to return.", {"minimum": 1, "maximum": 200}]

_FRAME_CHARS = 5_000
"""Kept free for what stands around the list."""


def portion(
    name: str,
    items: Iterable[dict[str, Any]],
    *,
    contains: str | None = None,
    after: int | None = None,
    limit: int = 200,
) -> dict[str, Any]:
    """`items` from the position `after` on, under `name`; with `next_after` when there are more."""
    matching = [item for item in items if _matches(item, contains)]
    start = after or 0
    kept = fitting(matching[start : start + limit])
    end = start + max(len(kept), 1)  # an entry too large for any result must not stop the reader
    return {name: kept, "total": len(matching)} | ({"next_after": end} if end < len(matching) else {})


def filtered(name: str, items: list[dict[str, Any]], *, contains: str | None = None) -> dict[str, Any]:
    """One page of a list that Figma pages itself; says how many entries did not fit."""
    matching = [item for item in items if _matches(item, contains)]
    kept = fitting(matching)
    missing = len(matching) - len(kept)
    return {name: kept} | ({"left_out": missing, "hint": "Ask with a smaller limit."} if missing else {})


def fitting(items: list[Any]) -> list[Any]:
    """The first items that together fit into a result."""
    room = RESULT_CHARS - _FRAME_CHARS
    kept = []
    for item in items:
        room -= size(item) + 1
        if room < 0:
            break
        kept.append(item)
    return kept


def _matches(item: dict[str, Any], contains: str | None) -> bool:
    if not contains:
        return True
    wanted = contains.lower()
    return any(wanted in value.lower() for value in item.values() if isinstance(value, str))
