"""What the kernel says that a program and everything below it use."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_GONE = (FileNotFoundError, ProcessLookupError)


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        with suppress(*_GONE):
            waiting += [int(child) for child in Path(f"/proc/{one}/task/{one}/children").read_text().split()]
    return found


def cpu_s(pid: int) -> float:
    """Processor seconds of the family so far, also of its members that have ended."""
    total = 0
    for one in family(pid):
        with suppress(*_GONE):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(field) for field in fields[11:15])
    return total / _TICKS


def memory_mb(pid: int) -> float:
    """Megabytes of the family; a page that n processes share counts one n-th in each."""
    total = 0
    for one in family(pid):
        with suppress(*_GONE):
            rows = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
            total += sum(int(row.split()[1]) for row in rows if row.startswith("Pss:"))
    return total * 1024 / 1e6
