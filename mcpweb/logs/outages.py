"""When the log can not be written: said once on the error output, and counted until it can be written again."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mcpweb import clock


@dataclass(slots=True)
class _Outage:
    since: datetime
    lines: int = 0
    keys: set[tuple[str, str]] = field(default_factory=set)


class Outages:
    """The outages of one process, one for each cause: a single file that is blocked must not hide a full disk."""

    def __init__(self) -> None:
        self.open: dict[int, _Outage] = {}
        """By the number of the error."""

    def note(self, key: tuple[str, str], error: OSError, lines: int) -> None:
        """Count lines that a file did not take; the first failure of its kind is an alarm on the error output."""
        number = error.errno or 0
        if number not in self.open:
            self.open[number] = _Outage(clock.utcnow())
            with contextlib.suppress(OSError, ValueError):  # that output may be a file on the same disk, or closed
                print(f"mcpweb: the log can not be written: {error.strerror or error}", file=sys.stderr, flush=True)
        self.open[number].lines += lines
        self.open[number].keys.add(key)

    def ended(self, key: tuple[str, str]) -> Iterator[tuple[int, dict[str, Any]]]:
        """The outages that a success on this file ends, each with what there is to tell."""
        for number, outage in list(self.open.items()):
            if key in outage.keys:
                told = {"lost_lines": outage.lines, "since": outage.since.isoformat(timespec="seconds")}
                yield number, told | {"reason": os.strerror(number), "process": os.getpid()}
