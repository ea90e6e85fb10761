"""One number for each instance, shared by all processes of a host: what was loaded at another number is stale.

A small memory-mapped file, so that looking costs a call less than a microsecond and no system call.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
import zlib
from pathlib import Path
from uuid import UUID

from mcpweb import clock

_SLOTS = 65_536
"""Instances share slots; a neighbour's change only costs a reload."""
_HEADER = 8
_EPOCH, _TRUSTED_UNTIL, _BOOT, _DOUBTED_UNTIL = 0, 1, 2, 3
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Generations:
    """The numbers of this host. They only ever grow, so a sum of two of them changes when either does."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = (_HEADER + _SLOTS) * 8
        if os.fstat(self._file).st_size < size:
            os.ftruncate(self._file, size)
        # Aligned words of eight bytes are read and written whole.
        self._words = memoryview(mmap.mmap(self._file, size)).cast("Q")
        self._adding = threading.Lock()
        if self._words[_BOOT] != (boot := _boot()):
            # The monotonic clock began anew with the machine.
            self._words[_TRUSTED_UNTIL] = self._words[_DOUBTED_UNTIL] = 0
            self._words[_BOOT] = boot

    def current(self, instance_id: UUID) -> int:
        """The instance's number; take it before reading the database, and keep it with what was read."""
        return self._words[_EPOCH] + self._words[_slot(instance_id)]

    def bump(self, instance_id: UUID) -> None:
        """Make everything that was loaded of this instance stale, in every process of the host."""
        self._add(_slot(instance_id))

    def bump_all(self) -> None:
        """Make everything stale."""
        self._add(_EPOCH)

    @property
    def is_trusted(self) -> bool:
        """Whether this host hears of the other hosts' changes; if not, only the database knows."""
        return clock.monotonic() * 1000 < self._words[_TRUSTED_UNTIL]

    def trust_until(self, monotonic_s: float) -> None:
        """Say until when the numbers can be believed, on the machine's monotonic clock, which all processes share.

        When they could not be for a while, changes may have been missed, so everything that is remembered is stale.
        """
        if monotonic_s > clock.monotonic() and not self.is_trusted:
            self.bump_all()
        self._words[_TRUSTED_UNTIL] = max(0, int(monotonic_s * 1000))

    @property
    def is_doubted(self) -> bool:
        """Whether this host had trouble with telling or hearing changes not long ago."""
        return clock.monotonic() * 1000 < self._words[_DOUBTED_UNTIL]

    def doubt_until(self, monotonic_s: float) -> None:
        """Let every process of this host know of the trouble, until then."""
        self._words[_DOUBTED_UNTIL] = max(self._words[_DOUBTED_UNTIL], int(monotonic_s * 1000))

    def _add(self, word: int) -> None:
        # Adding is reading and writing. Whoever is held up in between would set the number back to one that was there
        # before, and what was loaded then would hold again. The file's lock is the process's: threads have theirs.
        with self._adding:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                self._words[word] += 1
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)


def _boot() -> int:
    return zlib.crc32(_BOOT_ID.read_bytes()) if _BOOT_ID.exists() else 0


def _slot(instance_id: UUID) -> int:
    return _HEADER + (instance_id.int & (_SLOTS - 1))
