"""Counting what a compressed day holds: lines, bytes, first and last time, digests, and which lines are damaged."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from mcpweb.logs.days import BLOCK, Unreadable, blocks, open_plainly

_MAX_NAMED = 20
_MAX_LINE = 1024 * 1024


@dataclass(slots=True)
class Survey:
    """What one file holds. Sizes are in bytes, digests SHA-256 in hexadecimal."""

    bytes: int = 0
    sha256: str = ""
    packed_bytes: int = 0
    packed_sha256: str = ""
    lines: int = 0
    first: str = ""
    last: str = ""
    """The times of the first and the last line that can be read."""
    damaged: list[int] = field(default_factory=list)
    """The numbers of the first lines that can not be read."""
    torn: bool = False
    """The last line can not be read, as after a crash."""
    part_bytes: int = 0
    part_sha256: str = ""
    """The last gzip member: a day that got late lines was closed in several."""
    head_sha256: str = ""
    """The beginning, as long as was asked for."""


def survey(path: Path, head: int = 0) -> Survey:
    """Read a compressed file through; `head` is how many bytes the separate digest of the beginning covers.

    Raises:
        Unreadable: it can not be read to its end.
    """
    found, counter = Survey(), _Lines()
    whole, part, number = hashlib.sha256(), hashlib.sha256(), 0
    head_digest = hashlib.sha256()
    for member, block in blocks(path):
        if member != number:
            number, part, found.part_bytes = member, hashlib.sha256(), 0
        whole.update(block)
        part.update(block)
        head_digest.update(block[: max(head - found.bytes, 0)])
        found.bytes += len(block)
        found.part_bytes += len(block)
        counter.feed(block)
    counter.end()
    found.lines, found.first, found.last = counter.lines, counter.first, counter.last
    found.torn = counter.lines > 0 and counter.is_bad
    found.damaged = [one for one in counter.bad if not (found.torn and one == counter.number)]
    found.sha256, found.part_sha256, found.head_sha256 = whole.hexdigest(), part.hexdigest(), head_digest.hexdigest()
    found.packed_sha256, found.packed_bytes = digest(path)
    return found


def digest(path: Path) -> tuple[str, int]:
    """SHA-256 of a file as it is on the disk, in hexadecimal, and its size in bytes.

    Raises:
        Unreadable: it is no file, or can not be read.
    """
    descriptor = open_plainly(path)
    try:
        return digest_of(descriptor, size := os.fstat(descriptor).st_size), size
    finally:
        os.close(descriptor)


def digest_of(descriptor: int, size: int) -> str:
    """SHA-256 of the first `size` bytes behind a descriptor, in hexadecimal.

    Raises:
        Unreadable: there are fewer, or reading fails.
    """
    found, place = hashlib.sha256(), 0
    while place < size:
        try:
            block = os.pread(descriptor, min(BLOCK, size - place), place)
        except OSError as error:
            raise Unreadable(f"can not be read: {error.strerror}") from None
        if not block:
            raise Unreadable("became shorter while it was read")
        found.update(block)
        place += len(block)
    return found.hexdigest()


class _Lines:
    """Counts lines as blocks come in; empty ones only separate."""

    def __init__(self) -> None:
        self.lines = self.number = 0
        self.first = self.last = ""
        self.bad: list[int] = []
        self.is_bad = False
        self._rest = b""

    def feed(self, block: bytes) -> None:
        """Take the next block."""
        *whole, rest = (self._rest + block).split(b"\n")
        for line in whole:
            self._count(line)
        self._rest = rest[:_MAX_LINE]

    def end(self) -> None:
        """There is no more."""
        self._count(self._rest)

    def _count(self, raw: bytes) -> None:
        if not raw:
            return
        self.number += 1
        self.lines += 1
        try:
            time = json.loads(raw)["time"]
        except (ValueError, TypeError, KeyError, RecursionError):
            time = None
        self.is_bad = not isinstance(time, str)
        if self.is_bad:
            if len(self.bad) < _MAX_NAMED:
                self.bad.append(self.number)
            return
        self.first, self.last = self.first or time[:40], time[:40]
