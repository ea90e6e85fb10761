"""The files of exports that were prepared: written below `exports/` in the home folder, for nobody else to read."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mcpweb.logs.export import KINDS, Fields

MAX_LINES = 5_000_000
MAX_MB = 1024
"""Of the compressed file."""
_TOLD_EVERY = 1000
_DRAFT = ".draft"


@dataclass(slots=True)
class Written:
    """What came of it."""

    lines: int = 0
    size: int = 0
    """Bytes of the compressed file."""
    is_cut: bool = False
    """There are more lines than a file may hold."""


def write(path: Path, kind: str, lines: Iterable[Fields], tell: Callable[[int], None]) -> Written:
    """Write the lines into a compressed file, which is there as a whole or not at all; `tell` hears how many so far.

    Raises:
        OSError: the disk is full, or the file can not be written.
        Anything that reading the lines or `tell` raises; then nothing is left.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(path.name + _DRAFT)
    draft.unlink(missing_ok=True)  # of a run that was killed
    written = Written()
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                for block in KINDS[kind].write(_counted(lines, file, written, tell)):
                    packed.write(block)
            written.size = file.tell()
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
    return written


def erase(folder: Path, wanted: Iterable[str]) -> int:
    """Delete what is in the folder, except for the files of these names and their drafts; returns how many."""
    gone = unwanted(folder, wanted)
    for path in gone:
        path.unlink(missing_ok=True)
    return len(gone)


def unwanted(folder: Path, wanted: Iterable[str]) -> list[Path]:
    """What `erase` deletes."""
    keep = {name + end for name in wanted for end in ("", _DRAFT)}
    return [path for path in folder.glob("*") if path.name not in keep]


def _counted(
    lines: Iterable[Fields], file: IO[bytes], written: Written, tell: Callable[[int], None]
) -> Iterator[Fields]:
    """The lines, as long as the file may grow. Ending them here lets the file end as one of its kind."""
    for fields in lines:
        if written.lines >= MAX_LINES or file.tell() >= MAX_MB * 1024 * 1024:
            written.is_cut = True
            return
        written.lines += 1
        if written.lines % _TOLD_EVERY == 0:
            tell(written.lines)
        yield fields
