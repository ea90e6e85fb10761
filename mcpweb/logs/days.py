"""A day's log file on the disk: which there are, and reading them whether plain, compressed or damaged."""

from __future__ import annotations

import os
import re
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

BLOCK = 1024 * 1024
_READ = 64 * 1024
"""Compressed bytes at a time; a block of zeros is a thousand times as large once it is unpacked."""
_MAX_LINE = 1024 * 1024
_GZIP = 31
"""zlib's word for: with a gzip header."""

_NAME = re.compile(r"([a-z]+)-(\d{4}-\d\d-\d\d)\.jsonl(\.gz)?")
_DRAFT = re.compile(r"\.[a-z]+-\d{4}-\d\d-\d\d\.jsonl\.(draft\.gz|late)")


class Unreadable(Exception):
    """A file that is not what its name says; the text says why."""


@dataclass(frozen=True, slots=True)
class DayFile:
    """One category's lines of one day in one folder: plain while the day lasts, then compressed."""

    folder: Path
    category: str
    day: date
    is_system: bool

    @property
    def name(self) -> str:
        """`app-2026-11-23.jsonl`, also once it is compressed."""
        return f"{self.category}-{self.day}.jsonl"

    @property
    def plain(self) -> Path:
        """Where it is while it is written."""
        return self.folder / self.name

    @property
    def packed(self) -> Path:
        """Where it is once the day is closed."""
        return self.folder / f"{self.name}.gz"

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return _size(self.plain) + _size(self.packed)


@dataclass(slots=True)
class Found:
    """What a log folder holds."""

    days: list[DayFile] = field(default_factory=list)
    drafts: list[Path] = field(default_factory=list)
    """What a maintenance run left that was killed."""
    strange: list[str] = field(default_factory=list)
    """A sentence for each thing that is no log file, and that nobody touches therefore."""


def find(root: Path) -> Found:
    """Look through a log folder: the system files, then those of the instances, oldest first."""
    found = Found()
    _look(root / "system", root, True, found)
    for user in _folders(root / "users", root, found):
        for instance in _folders(user, root, found):
            _look(instance, root, False, found)
    found.days = sorted(set(found.days), key=lambda one: (one.day, not one.is_system, str(one.folder), one.category))
    return found


def _folders(folder: Path, root: Path, found: Found) -> list[Path]:
    folders = []
    for entry in _entries(folder, root, found):
        if entry.is_dir(follow_symlinks=False):
            folders.append(Path(entry.path))
        else:
            found.strange.append(f"{_short(entry.path, root)} is no folder")
    return sorted(folders)


def _look(folder: Path, root: Path, is_system: bool, found: Found) -> None:
    for entry in _entries(folder, root, found):
        path = Path(entry.path)
        day = _day(entry.name)
        if not entry.is_file(follow_symlinks=False):
            kind = "a link" if entry.is_symlink() else "a folder" if entry.is_dir() else "no file"
            found.strange.append(f"{_short(path, root)} is {kind}")
        elif _DRAFT.fullmatch(entry.name):
            found.drafts.append(path)
        elif day is None:
            found.strange.append(f"{_short(path, root)} is no log file")
        else:
            found.days.append(DayFile(folder, *day, is_system))


def _entries(folder: Path, root: Path, found: Found) -> list[os.DirEntry[str]]:
    try:
        if folder.is_symlink():
            raise Unreadable
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
    except (OSError, Unreadable):
        found.strange.append(f"{_short(folder, root)} is no folder that can be read")
        return []


def _day(name: str) -> tuple[str, date] | None:
    if match := _NAME.fullmatch(name):
        try:
            return match[1], date.fromisoformat(match[2])
        except ValueError:
            return None
    return None


def _short(path: str | Path, root: Path) -> str:
    return os.path.relpath(path, root)


def _size(path: Path) -> int:
    try:
        return path.stat(follow_symlinks=False).st_size
    except OSError:
        return 0


def is_there(path: Path) -> bool:
    """Whether there is anything of this name, be it a link to nowhere."""
    return os.path.lexists(path)


def open_plainly(path: Path) -> int:
    """A descriptor to read a regular file by; links are not followed, and nothing waits for a pipe.

    Raises:
        Unreadable: it is something else, or can not be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Unreadable(f"can not be opened: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unreadable("is no file")
    return descriptor


def blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """What a file holds, block by block, each with the number of the gzip member it is in (0 for a plain file).

    Raises:
        Unreadable: it can not be opened, or a compressed one is damaged or cut; what came before is good.
    """
    with os.fdopen(open_plainly(path), "rb") as file:
        if path.suffix != ".gz":
            while block := file.read(BLOCK):
                yield 0, block
            return
        part, unpacker, data = 0, zlib.decompressobj(_GZIP), b""
        is_between = False
        while data := data or file.read(_READ):
            try:
                block = unpacker.decompress(data)
            except zlib.error:
                raise Unreadable("is damaged") from None
            if block:
                yield part, block
            data, is_between = b"", unpacker.eof
            if unpacker.eof:
                part, data, unpacker = part + 1, unpacker.unused_data, zlib.decompressobj(_GZIP)
        if not is_between:
            raise Unreadable("is cut short")


def lines(path: Path) -> Iterator[tuple[bytes, bool]]:
    """The lines of a file without their ends, and whether each had one; the last may be torn.

    Of a line of more than a megabyte, which we never write, only the beginning is given.

    Raises:
        Unreadable: as `blocks` does, after the lines before the damage.
    """
    rest = b""
    for _, block in blocks(path):
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            yield line, True
        rest = rest[:_MAX_LINE]
    if rest:
        yield rest, False
