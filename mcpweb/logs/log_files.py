"""The system log files of a host as they are read: which there are, and their lines in batches from an offset on."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO

from mcpweb.logs.events import CATEGORIES
from mcpweb.logs.index_line import MAX_LINE_BYTES, IndexLine, parse

BATCH = 2000
"""Lines."""
UNREADABLE = (OSError, EOFError, zlib.error)
"""What reading a file raises when it is broken: a compressed one that was cut, or is none."""

_NAME = re.compile(rf"({'|'.join(CATEGORIES)})-(\d{{4}}-\d\d-\d\d)\.jsonl(\.gz)?")
_BLOCK = 256 * 1024


@dataclass(frozen=True, slots=True)
class SystemFile:
    """One day of a category. `name` is without `.gz`: it stays the same when the file is compressed."""

    path: Path
    name: str
    category: str
    day: date

    @property
    def is_compressed(self) -> bool:
        """Whether offsets are not those on the disk."""
        return self.path.suffix == ".gz"


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines that follow each other, up to the offset `end`, and how many among them were none."""

    end: int
    lines: list[IndexLine]
    skipped: int


def day_of(name: str) -> date:
    """The day in a file's name.

    Raises:
        ValueError: there is none.
    """
    parts = _NAME.fullmatch(name)
    return date.fromisoformat(parts[2] if parts else "")


def system_files(root: Path) -> list[SystemFile]:
    """The files of the system categories, oldest first; of a file and its compressed copy the file."""
    found: dict[str, SystemFile] = {}
    try:
        entries = list(os.scandir(root / "system"))
    except FileNotFoundError:
        return []
    for entry in sorted(entries, key=lambda entry: entry.name, reverse=True):  # `.jsonl.gz` before `.jsonl`
        parts = _NAME.fullmatch(entry.name)
        if parts is None or not entry.is_file(follow_symlinks=False):
            continue
        try:
            day = date.fromisoformat(parts[2])
        except ValueError:
            continue
        name = entry.name.removesuffix(".gz")
        found[name] = SystemFile(Path(entry.path), name, parts[1], day)
    return sorted(found.values(), key=lambda file: (file.day, file.category))


def batches(file: SystemFile, offset: int, end: int | None = None) -> Iterator[Batch]:
    """The lines from `offset` on, up to `end` if there is one; a last line without its end is left for later.

    Raises:
        OSError, EOFError, ValueError: it can not be read, as UNREADABLE has it.
    """
    with _opened(file) as stream:
        stream.seek(offset)
        lines: list[IndexLine] = []
        skipped = taken = 0
        try:
            for raw, size in _lines(stream):
                if end is not None and offset >= end:
                    break
                line = None if raw is None else parse(raw, offset, file.category, file.day)
                if line is None:
                    skipped += 1
                else:
                    lines.append(line)
                offset += size
                taken += 1
                if taken == BATCH:
                    yield Batch(offset, lines, skipped)
                    lines, skipped, taken = [], 0, 0
        except UNREADABLE:
            if taken:  # what stands before the damage can be read
                yield Batch(offset, lines, skipped)
            raise
        if taken:
            yield Batch(offset, lines, skipped)


@contextmanager
def _opened(file: SystemFile) -> Iterator[IO[bytes]]:
    descriptor = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as plain:
        if file.is_compressed:
            with gzip.open(plain, "rb") as stream:
                yield stream  # type: ignore[misc]
        else:
            yield plain


def _lines(stream: IO[bytes]) -> Iterator[tuple[bytes | None, int]]:
    """Each whole line with its size, newline included; None for one that is too long to be kept in memory."""
    while raw := stream.readline(MAX_LINE_BYTES):
        size = len(raw)
        if raw.endswith(b"\n"):
            yield raw[:-1], size
            continue
        while not raw.endswith(b"\n"):
            raw = stream.readline(_BLOCK)
            if not raw:
                return  # not written to its end yet
            size += len(raw)
        yield None, size
