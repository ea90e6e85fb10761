"""The list of closed days: a chain of lines, each with the digests of a file, sealed with a key of its own.

A file that is changed, taken away or added after it was closed does not fit the list; and nobody without the key can
make the list fit. What is deleted by its age or for want of room is written here first, so that it is not missing.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mcpweb.logs.days import Unreadable, open_plainly

NAME = "manifest.jsonl"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is said about one file: that it was closed, or that it was deleted and why."""

    did: str
    """closed or deleted"""
    file: str
    at: str
    lines: int
    bytes: int
    first: str
    last: str
    sha256: str
    packed_bytes: int
    packed_sha256: str
    damaged: int = 0
    torn: bool = False
    reason: str = ""


_FIELDS = frozenset(item.name for item in fields(Entry))


class Manifest:
    """The list of one log folder."""

    def __init__(self, path: Path, key: bytes) -> None:
        self.path = path
        self.lines = 0
        self.head = ""
        """The digest of the last line, which the next one repeats."""
        self.problems: list[str] = []
        self._key = key
        self._last: dict[str, Entry] = {}
        self._heads = [""]
        self._good_bytes = 0
        self._read()

    def closed(self, name: str) -> Entry | None:
        """What is listed of a file that should be there."""
        entry = self._last.get(name)
        return entry if entry and entry.did == "closed" else None

    def deleted(self, name: str) -> Entry | None:
        """What is listed of a file that should not be there any more."""
        entry = self._last.get(name)
        return entry if entry and entry.did == "deleted" else None

    def all_closed(self) -> list[Entry]:
        """Every file that should be there, in the order of closing."""
        return [entry for entry in self._last.values() if entry.did == "closed"]

    def head_at(self, lines: int) -> str:
        """The digest of the last line when the list had so many lines, which it must have had; empty for none."""
        return self._heads[lines] if 0 <= lines < len(self._heads) else ""

    def repair(self) -> None:
        """Cut off half a line that a crash has left at the end; what it said is found out again.

        Raises:
            OSError: the list can not be written.
        """
        if not self.path.is_symlink() and self.path.is_file() and self.path.stat().st_size > self._good_bytes:
            os.truncate(self.path, self._good_bytes)

    def append(self, entry: Entry) -> None:
        """Add a line, and have it on the disk before this returns.

        Raises:
            OSError: it could not be written; the list is as before.
        """
        body: dict[str, Any] = {"n": self.lines + 1, "before": self.head, **asdict(entry)}
        line = _plain(body | {"seal": self._seal(body)})
        is_new = not self.path.exists()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            if os.write(descriptor, line + b"\n") != len(line) + 1:
                os.ftruncate(descriptor, self._good_bytes)
                raise OSError("the disk is full")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            sync(self.path.parent)
        self._take(line, entry)

    def _read(self) -> None:
        try:
            raw = _content(self.path)
        except Unreadable as error:
            self.problems.append(f"{NAME} {error}")
            return
        *lines, torn = raw.split(b"\n")
        for number, line in enumerate(lines, 1):
            self._check(number, line)
        if torn:
            self.problems.append(f"{NAME}, line {len(lines) + 1}: torn at the end, as by a crash")

    def _check(self, number: int, line: bytes) -> None:
        entry = None
        try:
            body = json.loads(line)
            seal = str(body.pop("seal"))
            if not hmac.compare_digest(seal, self._seal(body)):
                self.problems.append(f"{NAME}, line {number}: changed, or sealed with another key")
            else:
                if body["n"] != self.lines + 1 or body["before"] != self.head:
                    self.problems.append(f"{NAME}, line {number}: does not follow from the line before")
                self.lines = body["n"] - 1
                entry = Entry(**{name: body[name] for name in body.keys() & _FIELDS})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            self.problems.append(f"{NAME}, line {number}: unreadable")
        self._take(line, entry)

    def _take(self, line: bytes, entry: Entry | None) -> None:
        self.lines += 1
        self.head = hashlib.sha256(line).hexdigest()
        self._heads.append(self.head)
        self._good_bytes += len(line) + 1
        if entry:
            self._last.pop(entry.file, None)
            self._last[entry.file] = entry

    def _seal(self, body: dict[str, Any]) -> str:
        return hmac.new(self._key, _plain(body), hashlib.sha256).hexdigest()


def sync(folder: Path) -> None:
    """Have the names in a folder on the disk.

    Raises:
        OSError: the disk refuses.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _plain(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=True).encode()


def _content(path: Path) -> bytes:
    if not os.path.lexists(path):
        return b""
    with contextlib.closing(os.fdopen(open_plainly(path), "rb")) as file:
        return file.read()
