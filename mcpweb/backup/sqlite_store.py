"""Copying a SQLite database while it is in use, and putting a copy in its place."""

from __future__ import annotations

import gzip
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import IO

from mcpweb.backup.archive import BLOCK, PartWriter, Tell
from mcpweb.backup.manifest import Damaged
from mcpweb.errors import NotFound, Unavailable

PART = "database.sqlite3.gz"
_PAGES = 2000
"""Of 4 KB: a step of the copy."""
_SUFFIXES = ("-wal", "-shm", "-journal")


def path_of(url: str) -> Path:
    """The file that a SQLAlchemy address names."""
    return Path(url.removeprefix("sqlite:///"))


def copy(source: Path, target: Path, tell: Tell) -> None:
    """Copy the database as it is at one moment; whoever writes meanwhile does not wait, and does not show.

    Raises:
        NotFound: there is none.
        Unavailable: it can not be read, or the copy not be written.
    """
    if not source.exists():
        raise NotFound(f"There is no database at {source}.")
    remove(target)
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with (
            closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=rw", uri=True, timeout=15)) as here,
            closing(sqlite3.connect(target, isolation_level=None)) as there,
        ):
            here.isolation_level = None
            # A reader that stays: without it, each write of another process would make the copy begin anew.
            tell("copying the database")
            here.execute("BEGIN")
            here.execute("SELECT count(*) FROM sqlite_master").fetchone()
            here.backup(there, pages=_PAGES, progress=lambda _, left, total: _tell(tell, left, total))
            there.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise Unavailable(f"The database could not be copied: {error}.") from None


def _tell(tell: Tell, left: int, total: int) -> None:
    tell(f"copying the database, {100 * (total - left) // max(total, 1)} %")


def pack(file: Path, out: PartWriter) -> None:
    """Write a copy into a backup."""
    with file.open("rb") as plain, gzip.GzipFile("", "wb", 6, out, mtime=0) as packed:
        shutil.copyfileobj(plain, packed, BLOCK)


def unpack(part: IO[bytes], target: Path) -> None:
    """Write what a backup holds to a file that is not in use.

    Raises:
        Damaged: it can not be unpacked, or SQLite finds it damaged.
    """
    remove(target)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as plain:
        try:
            with gzip.GzipFile(fileobj=part) as packed:
                shutil.copyfileobj(packed, plain, BLOCK)
        except (EOFError, gzip.BadGzipFile, ValueError):
            raise Damaged(f"The part {PART} can not be unpacked.") from None
    try:
        with closing(sqlite3.connect(target)) as connection:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error:
        verdict = "no database"
    if verdict != "ok":
        raise Damaged(f"SQLite finds the database in the part {PART} damaged.")


def put(file: Path, place: Path, stamp: str) -> Path | None:
    """Put a database in its place, at once; returns where the one is now that was there before."""
    settle(file)
    aside = None
    if place.exists():
        aside = place.with_name(f"{place.name}.before-{stamp}")
        settle(place)
        for suffix in _SUFFIXES:  # what could not be settled: of a damaged database, or one that is still open
            if (left := place.with_name(place.name + suffix)).exists():
                left.rename(aside.with_name(aside.name + suffix))
        os.link(place, aside)
    file.replace(place)
    folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return aside


def settle(file: Path) -> None:
    """Bring what is still beside the file into it, as far as that is possible, and onto the disk."""
    try:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error:
        return  # a damaged one is kept as it is
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(file: Path) -> None:
    """Delete a database with what belongs to it."""
    for suffix in ("", *_SUFFIXES):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
