"""Reading an instance's own log back: the last lines, newest first."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from mcpweb.logs.days import Unreadable, blocks, open_plainly

_BLOCK = 32_768
_MAX_DAYS = 31
_TAIL = 4 * 1024 * 1024
"""So much of the end of a compressed day is looked at; it can only be read from its beginning."""


def last(folder: Path, category: str, count: int) -> list[dict[str, Any]]:
    """The last `count` lines of a category, newest first; lines that are no JSON object are skipped.

    Of a compressed day, to which late lines may have been added in a plain file, the last 4 MiB are looked at.
    """
    found: list[dict[str, Any]] = []
    days = {path.name[: len(category) + 17] for path in folder.glob(f"{category}-????-??-??.jsonl*")}
    for name in sorted(days, reverse=True)[:_MAX_DAYS]:
        for raw in chain(_backwards(folder / name), _unpacked_backwards(folder / f"{name}.gz")):
            try:
                entry = json.loads(raw)
            except (ValueError, RecursionError):
                continue
            if isinstance(entry, dict):
                found.append(entry)
            if len(found) >= count:
                return found
    return found


def _backwards(path: Path) -> Iterator[bytes]:
    """The lines of a file from its end, without reading more than is asked for."""
    try:
        file = os.fdopen(open_plainly(path), "rb")
    except Unreadable:
        return
    with file:
        position = file.seek(0, 2)
        rest = b""
        while position > 0:
            step = min(_BLOCK, position)
            position -= step
            file.seek(position)
            lines = (file.read(step) + rest).split(b"\n")
            rest = lines.pop(0)
            yield from (line for line in reversed(lines) if line)
        if rest:
            yield rest


def _unpacked_backwards(path: Path) -> Iterator[bytes]:
    """The last lines of a compressed file from its end, as far as it can be read."""
    tail = bytearray()
    with contextlib.suppress(Unreadable):
        for _, block in blocks(path):
            tail += block
            if len(tail) > 2 * _TAIL:
                del tail[:-_TAIL]
    yield from (line for line in reversed(bytes(tail).split(b"\n")) if line)
