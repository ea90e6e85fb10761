"""Long texts (files, diffs, logs): which lines of them a result holds, and how it says so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mcpweb.plugin_api import Result, ToolError

from .pruning import cut

MAX_CHARACTERS = 50_000
"""About 12,000 tokens: what a model can take at once without losing the rest of its work."""

MAX_BYTES = 5_000_000
"""Of a file, a diff or a log that is fetched to show a part of it."""


@dataclass(frozen=True, slots=True)
class Window:
    """Lines `first` to `last` (counted from 1) of a text of `total` lines."""

    text: str
    first: int
    last: int
    total: int

    def note(self) -> dict[str, Any]:
        """What the result says about the lines; `next_start_line` only where there are more."""
        more = {"next_start_line": self.last + 1} if self.last < self.total else {}
        return {"lines": f"{self.first}-{self.last} of {self.total}"} | more


def window(text: str, start_line: int, max_lines: int) -> Window:
    """At most `max_lines` lines from `start_line` on, and at most MAX_CHARACTERS; at least one line.

    Raises:
        ToolError: the text has fewer lines.
    """
    lines = text.splitlines(keepends=True) or [""]
    if start_line > len(lines):
        raise ToolError(f"There are only {len(lines)} lines; start_line {start_line} is behind the end.")
    taken: list[str] = []
    left = MAX_CHARACTERS
    for line in lines[start_line - 1 : start_line - 1 + max_lines]:
        if taken and len(line) > left:
            break
        taken.append(cut(line, MAX_CHARACTERS))
        left -= len(line)
    return Window("".join(taken), start_line, start_line - 1 + len(taken), len(lines))


def tail(text: str, max_lines: int) -> Window:
    """The last `max_lines` lines, fewer where they exceed MAX_CHARACTERS."""
    lines = text.splitlines()
    taken: list[str] = []
    left = MAX_CHARACTERS
    for line in reversed(lines[-max_lines:]):
        left -= len(line) + 1
        if taken and left < 0:
            break
        taken.append(cut(line, MAX_CHARACTERS))
    return Window("\n".join(reversed(taken)), len(lines) - len(taken) + 1, len(lines), len(lines))


def with_text(about: dict[str, Any], text: str) -> Result:
    """A result of two blocks: what it is, as JSON, and the text itself, free of JSON's escapes."""
    head = json.dumps(about, ensure_ascii=False, separators=(",", ":"))
    return Result(content=[{"type": "text", "text": head}, {"type": "text", "text": text}])
