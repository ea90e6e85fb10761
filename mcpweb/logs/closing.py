"""Closing a finished day: its file is compressed, read back, listed, and only then removed.

A process that is killed at any point leaves what the next run completes: each step is safe to do again, and until the
last one the plain file is there.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from mcpweb.logs.days import BLOCK, DayFile, Unreadable, is_there, open_plainly
from mcpweb.logs.manifest import Entry, Manifest, sync
from mcpweb.logs.survey import Survey, digest_of, survey
from mcpweb.logs.writing import turn

_LEVEL = 6
_GZIP = 31


def close(file: DayFile, root: Path, manifest: Manifest | None, now: datetime) -> Survey | None:
    """Compress a day's file and list it in the manifest, if it is a system file; returns what it holds.

    Lines that came after the day was closed are added to the compressed file. A file without a line is removed, and
    None returned.

    Raises:
        Unreadable: a file is not what it should be; nothing is removed.
        OSError: the disk refuses; nothing is lost.
    """
    with _opened(file.plain) as plain:
        with turn(root, fcntl.LOCK_EX):
            size = _end_last_line(file.plain, plain)
            if not size:
                _remove(file, plain, 0)
                return None
        listed = manifest.closed(file.name) if manifest else None
        packed = _packed(file, plain, size, listed, manifest)
        if manifest and (listed is None or listed.packed_sha256 != packed.packed_sha256):
            manifest.append(entry_of("closed", file, packed, now))
        with turn(root, fcntl.LOCK_EX):
            _remove(file, plain, packed.part_bytes)
    return packed


def entry_of(did: str, file: DayFile, found: Survey, now: datetime) -> Entry:
    """A line of the manifest for a file that was surveyed."""
    return Entry(
        did=did,
        file=file.name,
        at=now.isoformat(timespec="seconds"),
        lines=found.lines,
        bytes=found.bytes,
        first=found.first,
        last=found.last,
        sha256=found.sha256,
        packed_bytes=found.packed_bytes,
        packed_sha256=found.packed_sha256,
        damaged=len(found.damaged),
        torn=found.torn,
    )


def _packed(file: DayFile, plain: int, size: int, listed: Entry | None, manifest: Manifest | None) -> Survey:
    """The compressed file with all lines in it: made, added to, or found as a killed run has left it."""
    if not is_there(file.packed):
        if listed:
            raise Unreadable("came late, and the compressed file that it belongs to is missing")
        return _pack(file, plain, size, None)
    old = _survey_packed(file, listed)
    if listed and old.head_sha256 != listed.sha256:
        raise Unreadable("came late, and the compressed file that it belongs to was changed")
    if 0 < old.part_bytes <= size and digest_of(plain, old.part_bytes) == old.part_sha256:
        # A run was killed between renaming the compressed file and removing this one. Late lines begin otherwise: no
        # two lines with the same time and request id are alike.
        return old
    if manifest and (listed is None or listed.packed_sha256 != old.packed_sha256):
        raise Unreadable("came late, and there is a compressed file of its name that is not listed")
    return _pack(file, plain, size, old)


def _survey_packed(file: DayFile, listed: Entry | None) -> Survey:
    try:
        return survey(file.packed, listed.bytes if listed else 0)
    except Unreadable as error:
        raise Unreadable(f"came late, and {file.packed.name} {error}") from None


def _pack(file: DayFile, plain: int, size: int, old: Survey | None) -> Survey:
    """Write the compressed file beside, behind what is already there; read it back, and give it its name."""
    draft = file.folder / f".{file.name}.draft.gz"
    try:
        sha256 = _write(draft, file, plain, size, old)
        found = survey(draft, old.bytes if old else 0)
        is_same = (found.part_sha256, found.part_bytes) == (sha256, size)
        if not is_same or (old and (found.head_sha256, found.bytes) != (old.sha256, old.bytes + size)):
            raise Unreadable("reads back otherwise than it was written")
        times = os.fstat(plain)
        os.utime(draft, ns=(times.st_atime_ns, times.st_mtime_ns))  # when its last line was written, as before
        draft.rename(file.packed)
    except (OSError, Unreadable):
        draft.unlink(missing_ok=True)  # a full disk needs its room
        raise
    sync(file.folder)
    return found


def _write(draft: Path, file: DayFile, plain: int, size: int, old: Survey | None) -> str:
    """Have the compressed lines on the disk; returns the digest of the new ones."""
    written, packer = hashlib.sha256(), zlib.compressobj(_LEVEL, wbits=_GZIP)
    with open(draft, "wb", opener=_private) as out:
        if old:
            with _opened(file.packed) as before:
                for block in _read(before, old.packed_bytes):
                    out.write(block)
        for block in _read(plain, size):
            written.update(block)
            out.write(packer.compress(block))
        out.write(packer.flush())
        out.flush()
        os.fsync(out.fileno())
    return written.hexdigest()


def _end_last_line(path: Path, plain: int) -> int:
    """The size of a file whose last line has an end; half a line of a crash gets one, so that no other is glued on."""
    size = os.fstat(plain).st_size
    if size and os.pread(plain, 1, size - 1) != b"\n":
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.write(descriptor, b"\n")
        finally:
            os.close(descriptor)
    return os.fstat(plain).st_size


def _remove(file: DayFile, plain: int, done: int) -> None:
    """Remove the plain file of which `done` bytes are safe; what came after them stays, in a file of the same name."""
    size = os.fstat(plain).st_size
    if size <= done:
        file.plain.unlink()
    else:
        draft = file.folder / f".{file.name}.late"
        with open(draft, "wb", opener=_private) as out:
            for block in _read(plain, size, done):
                out.write(block)
            out.flush()
            os.fsync(out.fileno())
        draft.rename(file.plain)
    sync(file.folder)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = open_plainly(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read(descriptor: int, end: int, start: int = 0) -> Iterator[bytes]:
    while start < end:
        block = os.pread(descriptor, min(BLOCK, end - start), start)
        if not block:
            raise Unreadable("became shorter while it was read")
        yield block
        start += len(block)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
