"""Log files: the day in the name, one append write a line, so that processes share them and nothing is renamed."""

from __future__ import annotations

import os
import sys
import threading
from collections import OrderedDict
from datetime import datetime
from pathlib import Path
from uuid import UUID

_MAX_OPEN = 256
"""Files kept open a process; the least recently written one is closed first."""


class LogFiles:
    """The log folder of this host. Writing never raises: a full disk must not fail the call that is being logged."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lost_lines = 0
        self._open: OrderedDict[tuple[str, str], tuple[str, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def system(self, category: str, at: datetime, line: bytes) -> None:
        """Append a line to a system category: app, security, audit, performance or database."""
        self._append("system", category, at, line)

    def instance(self, owner_id: int, instance_id: UUID, category: str, at: datetime, line: bytes) -> None:
        """Append a line to an instance's own log: app, access or error."""
        self._append(_instance_folder(owner_id, instance_id), category, at, line)

    def instance_folder(self, owner_id: int, instance_id: UUID) -> Path:
        """Where an instance's own logs are; made of internal ids only, so no name can lead elsewhere."""
        return self.root / _instance_folder(owner_id, instance_id)

    def _append(self, folder: str, category: str, at: datetime, line: bytes) -> None:
        try:
            with self._lock:
                descriptor = self._descriptor(folder, category, at.date().isoformat())
                # One write on an append descriptor is atomic on a local disk, so lines of several processes never mix.
                written = os.write(descriptor, line)
            if written != len(line):
                raise OSError("short write")
        except OSError as error:
            if not self.lost_lines:
                print(f"mcpweb: the log can not be written: {error.strerror or error}", file=sys.stderr)
            self.lost_lines += 1

    def _descriptor(self, folder: str, category: str, day: str) -> int:
        if self._pid != os.getpid():  # a forked job shares the parent's descriptors harmlessly, but not its bookkeeping
            self._open, self._pid = OrderedDict(), os.getpid()
        key = (folder, category)
        if found := self._open.get(key):
            if found[0] == day:
                self._open.move_to_end(key)
                return found[1]
            os.close(self._open.pop(key)[1])
        path = self.root / folder / f"{category}-{day}.jsonl"  # joined only here: paths are slow
        _make_private(path.parent)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._open[key] = (day, descriptor)
        if len(self._open) > _MAX_OPEN:
            os.close(self._open.popitem(last=False)[1][1])
        return descriptor


def _make_private(folder: Path) -> None:
    """Make the folder and what is missing above it, all for us only; `mkdir` would open the ones above to everybody."""
    if not folder.parent.is_dir():
        _make_private(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


def _instance_folder(owner_id: int, instance_id: UUID) -> str:
    return f"users/user_{owner_id}/mcp_{instance_id}"
