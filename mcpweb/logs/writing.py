"""Log files: the day in the name, one append write a line, so that processes share them and nothing is renamed."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from mcpweb import clock
from mcpweb.logs.lines import entry, line
from mcpweb.logs.outages import Outages

MB = 1024 * 1024

_MAX_OPEN = 256
"""Files kept open a process; the least recently written one is closed first."""
_MARGIN_BYTES = 256 * 1024
"""Room that the disk must have for `require`: more than the lines of the largest transaction."""
_LATE = timedelta(minutes=5)
"""A line that is older than this when it is written may meet a day that is being closed, ten minutes after its end."""

_LOOK_S = 1.0
"""How often a file is looked at for half a line of somebody else: two system calls, which a busy process feels."""

Key = tuple[str, str]
"""A folder below the root and a category."""


class LogFiles:
    """The log folder of this host. Writing never raises: a full disk must not fail the call that is being logged."""

    def __init__(self, root: Path, user_bytes_per_day: int = 200 * MB) -> None:
        """Each process by itself lets an owner's instances write `user_bytes_per_day` to their own files."""
        self.root = root
        self.lost_lines = 0
        self.dropped_lines = 0
        """Lines left out of an instance's own files because its owner had used up the day's share."""
        self._share = user_bytes_per_day
        self._used: dict[int, tuple[int, int]] = {}
        self._open: OrderedDict[Key, tuple[str, int]] = OrderedDict()
        self._torn: set[Key] = set()
        self._looked: dict[Key, float] = {}
        """When each open file was last looked at, on the monotonic clock."""
        self._outages = Outages()
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def system(self, category: str, at: datetime, line: bytes) -> None:
        """Append a line to a system category: app, security, audit, performance or database."""
        self._append(("system", category), at, line)

    def instance(self, owner_id: int, instance_id: UUID, category: str, at: datetime, line: bytes) -> None:
        """Append a line to an instance's own log: app, access or error; nothing once the owner's share is used up."""
        if self._has_room(owner_id, at, len(line)):
            self._append((_instance_folder(owner_id, instance_id), category), at, line)

    def instance_folder(self, owner_id: int, instance_id: UUID) -> Path:
        """Where an instance's own logs are; made of internal ids only, so no name can lead elsewhere."""
        return self.root / _instance_folder(owner_id, instance_id)

    def require(self, category: str, at: datetime) -> None:
        """Make sure that the disk takes another line of a system category, for what must not happen unrecorded.

        Raises:
            OSError: the file can not be opened, or less than 256 KiB are free. The operator is told.
        """
        key = ("system", category)
        with self._lock:
            try:
                self._forget_removed(key)
                self._descriptor(key, at.date().isoformat())
                space = os.statvfs(self.root)
                if space.f_bavail * space.f_frsize < _MARGIN_BYTES:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError as error:
                self._outages.note(key, error, lines=0)
                raise

    def _append(self, key: Key, at: datetime, line: bytes) -> None:
        with self._lock:
            try:
                self._put(key, at, line)
            except OSError as error:
                self.lost_lines += 1
                self._outages.note(key, error, lines=1)
            else:
                if self._outages.open:
                    self._say_what_was_lost(key)

    def _put(self, key: Key, at: datetime, line: bytes) -> None:
        day = at.date().isoformat()
        if clock.utcnow() - at > _LATE:
            with turn(self.root, fcntl.LOCK_SH):
                self._forget_removed(key)
                self._write(key, day, line)
            return
        self._write(key, day, line)
        # A process that stood still just before it wrote may have written to a file that is closed and removed.
        if clock.utcnow() - at > _LATE and self._forget_removed(key):
            self._put(key, at, line)

    def _write(self, key: Key, day: str, line: bytes) -> None:
        descriptor = self._descriptor(key, day)
        whole = b"\n" + line if key in self._torn else line
        # One write on an append descriptor is atomic on a local disk, so lines of several processes never mix.
        written = os.write(descriptor, whole)
        if written != len(whole):
            self._torn.add(key)
            os.write(descriptor, b"\n")  # ends the half line, or says why it stopped
            self._torn.discard(key)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if whole is not line:
            self._torn.discard(key)
            return
        if (looked := clock.monotonic()) - self._looked.get(key, -_LOOK_S) < _LOOK_S:
            return
        self._looked[key] = looked
        start = os.lseek(descriptor, 0, os.SEEK_CUR) - written
        if start and os.pread(descriptor, 1, start - 1) != b"\n":
            # Another process, or a crash, had left half a line; ours is glued to it and stands no line of its own.
            self._write(key, day, line)

    def _descriptor(self, key: Key, day: str) -> int:
        if self._pid != os.getpid():  # a forked job shares the parent's descriptors harmlessly, but not its bookkeeping
            self._open, self._outages, self._pid = OrderedDict(), Outages(), os.getpid()
        if found := self._open.get(key):
            if found[0] == day:
                self._open.move_to_end(key)
                return found[1]
            self._forget(key)
        folder, category = key
        path = self.root / folder / f"{category}-{day}.jsonl"  # joined only here: paths are slow
        _make_private(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "not a file")
        self._open[key] = (day, descriptor)
        if len(self._open) > _MAX_OPEN:
            self._forget(next(iter(self._open)))
        return descriptor

    def _forget(self, key: Key) -> None:
        self._torn.discard(key)
        self._looked.pop(key, None)
        os.close(self._open.pop(key)[1])

    def _forget_removed(self, key: Key) -> bool:
        """Close a file that has no name any more, because its day was closed; returns whether it was so."""
        removed = self._pid == os.getpid() and key in self._open and os.fstat(self._open[key][1]).st_nlink == 0
        if removed:
            self._forget(key)
        return removed

    def _say_what_was_lost(self, key: Key) -> None:
        at = clock.utcnow()
        for number, told in self._outages.ended(key):
            try:
                self._put(("system", "app"), at, line(entry("app", at, "error", "the log was not written", told)))
            except OSError:
                return  # it stays open, and is told when `app` can be written
            del self._outages.open[number]

    def _has_room(self, owner_id: int, at: datetime, size: int) -> bool:
        """Count an owner's bytes of the day; a line in `app` tells when they are used up."""
        today = at.toordinal()
        with self._lock:
            day, used = self._used.get(owner_id, (0, 0))
            before = used if day >= today else 0
            self._used[owner_id] = (max(day, today), before + size)
            if before + size <= self._share:
                return True
            self.dropped_lines += 1
        if before <= self._share:
            told = {"user": owner_id, "limit_bytes": self._share}
            message = "an owner's share of today's instance logs is used up"
            self._append(("system", "app"), at, line(entry("app", at, "warning", message, told)))
        return False


@contextmanager
def turn(root: Path, how: int) -> Iterator[None]:
    """Hold the lock of late lines: LOCK_SH to write one, LOCK_EX to remove a day's file that is closed.

    Raises:
        OSError: the lock's file can not be opened.
    """
    _make_private(root)
    descriptor = os.open(root / ".closing", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing does not end it while a forked process has it open, too
        os.close(descriptor)


def _make_private(folder: Path) -> None:
    """Make the folder and what is missing above it, all for us only; `mkdir` would open the ones above to everybody."""
    if not folder.parent.is_dir():
        _make_private(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


def _instance_folder(owner_id: int, instance_id: UUID) -> str:
    return f"users/user_{owner_id}/mcp_{instance_id}"
