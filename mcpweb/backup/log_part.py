"""The log files of a host in a backup. The index is left out: it is built anew from them."""

from __future__ import annotations

import fcntl
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from mcpweb.backup.archive import PartWriter
from mcpweb.backup.manifest import Damaged
from mcpweb.logs.writing import turn

PART = "logs.tar.gz"
_LEFT_OUT = "index"


def exist(root: Path) -> bool:
    """Whether a log folder holds any file."""
    return next(_files(root), None) is not None


def pack(root: Path, out: PartWriter) -> int:
    """Write all files, each as long as it is now, while they are written to; returns how many there are."""
    count = 0
    # No day is closed meanwhile: between its two forms a day would be missed.
    with turn(root, fcntl.LOCK_SH), tarfile.open(fileobj=cast(IO[bytes], out), mode="w|gz") as tar:
        for path in _files(root):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:  # it was due to be deleted
                continue
            with os.fdopen(descriptor, "rb") as file:
                head = tarfile.TarInfo(path.relative_to(root).as_posix())
                state = os.fstat(file.fileno())
                head.size, head.mtime, head.mode = state.st_size, int(state.st_mtime), 0o600
                tar.addfile(head, file)
                count += 1
    return count


def unpack(part: IO[bytes], root: Path) -> int:
    """Put the files into an empty log folder; returns how many there are.

    Raises:
        Damaged: the part can not be unpacked, or holds what no log folder does.
    """
    count = 0
    try:
        with tarfile.open(fileobj=part, mode="r|gz") as tar:
            for member in tar:
                path = root / member.name
                if not member.isfile() or root.resolve() not in path.resolve().parents:
                    raise Damaged(f"The part {PART} holds {member.name!r}, which is no log file.")
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _write(tar.extractfile(member), path, member.mtime)
                count += 1
    except (tarfile.TarError, EOFError):
        raise Damaged(f"The part {PART} can not be unpacked.") from None
    return count


def _write(source: IO[bytes] | None, path: Path, changed_at: float) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        while source and (block := source.read(1024 * 1024)):
            file.write(block)
    os.utime(path, (changed_at, changed_at))


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        if Path(folder) == root:
            folders[:] = [name for name in folders if name != _LEFT_OUT]
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if not name.startswith(".") and path.is_file() and not path.is_symlink():
                yield path
