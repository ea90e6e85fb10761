"""Reading an instance's own log back: the last lines, newest first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK = 32_768
_MAX_DAYS = 31


def last(folder: Path, category: str, count: int) -> list[dict[str, Any]]:
    """The last `count` lines of a category, newest first; lines that are no JSON object are skipped."""
    found: list[dict[str, Any]] = []
    for path in sorted(folder.glob(f"{category}-????-??-??.jsonl"), reverse=True)[:_MAX_DAYS]:
        for raw in _backwards(path):
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
        file = path.open("rb")
    except OSError:
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
