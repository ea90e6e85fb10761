"""What a host has and uses: the machine's, or what the container that the program runs in may have of it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from mcpweb import clock

_ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Cpu:
    """The processor time that was used up to a moment (of `clock.monotonic`), and how many processors there are."""

    used_s: float
    processors: float
    at: float


def memory(root: Path = _ROOT) -> tuple[int, int]:
    """Bytes that are used, and bytes that there are."""
    machine = psutil.virtual_memory()
    limit = _number(root / "memory.max")
    if limit is None or limit >= machine.total:
        return machine.total - machine.available, machine.total
    # Files that are only kept because there is room for them are given up when it gets scarce.
    return max(0, (_number(root / "memory.current") or 0) - _field(root / "memory.stat", "inactive_file")), limit


def cpu(root: Path = _ROOT) -> Cpu:
    """What was used up to now."""
    with suppress(OSError, ValueError):
        quota, period = (root / "cpu.max").read_text(encoding="ascii").split()
        if quota != "max":
            used_s = _field(root / "cpu.stat", "usage_usec") / 1_000_000
            return Cpu(used_s, int(quota) / int(period), clock.monotonic())
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # What guests use is counted in user and nice, too.
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return Cpu(total - idle, psutil.cpu_count() or 1, clock.monotonic())


def percent(before: Cpu, after: Cpu) -> float:
    """How busy all processors together were in between: 0 to 100."""
    could_s = (after.at - before.at) * after.processors
    return round(min(max(100 * (after.used_s - before.used_s) / could_s, 0.0), 100.0), 1) if could_s > 0 else 0.0


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # not in a container, or "max"
        return None


def _field(path: Path, name: str) -> int:
    with suppress(OSError, ValueError):
        for line in path.read_text(encoding="ascii").splitlines():
            word, _, value = line.partition(" ")
            if word == name:
                return int(value)
    return 0
