"""One day of the log index as a SQLite file: its tables, the keys of its lines, and adding to it.

A line's key is made of its millisecond of the day, its log file's number within the day and its place in that file.
Keys are in the order of time, so both the lines and their words can be read newest first and left when a page is full.
The values of most columns are words too, so that a filter, like a word, leads to its lines without looking at others.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from mcpweb.logs.index import OFFSET_BITS, Cursor
from mcpweb.logs.index_line import DAY_MS, IndexLine, day_ms
from mcpweb.logs.query import COLUMNS
from mcpweb.logs.tally import Tally, tally

VERSION = 2
"""Of the layout. A file of version 1 can be read and added to; it has no tally and not every value as a word."""
EVERY = "\N{CURRENCY SIGN}"
"""A word of every line; no text has this sign in its words."""
VALUES = ("category", "level", "host", "user_id", "service", "tool", "outcome")
"""Columns whose values are words; those of the others are in the text of the line."""
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE file (
    id INTEGER PRIMARY KEY, number INTEGER NOT NULL UNIQUE CHECK (number < 16), last_id INTEGER NOT NULL
);
CREATE TABLE line (
    key INTEGER PRIMARY KEY, id INTEGER NOT NULL, {", ".join(f"{name} TEXT NOT NULL" for name in COLUMNS)},
    line TEXT NOT NULL
);
CREATE INDEX line_id ON line (id);
CREATE INDEX line_instance ON line (instance);
CREATE INDEX line_request ON line (request_id);
CREATE VIRTUAL TABLE words USING fts5(text, content='', columnsize=0, tokenize='ascii');
CREATE TABLE tally (
    span INTEGER, category TEXT, level TEXT, host TEXT, lines INTEGER NOT NULL,
    PRIMARY KEY (span, category, level, host)
) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
COMMIT;
"""
_INSERT = f"INSERT INTO line VALUES ({', '.join('?' * (len(COLUMNS) + 3))})"
_TALLY = """
INSERT INTO tally VALUES (?, ?, ?, ?, ?)
ON CONFLICT (span, category, level, host) DO UPDATE SET lines = lines + excluded.lines
"""
_PLACES = tuple((name, COLUMNS.index(name)) for name in VALUES)

# 27 bits of milliseconds, 4 of the file's number, 32 of the offset in units shorter than any line that has a time.
MS_SHIFT, _NUMBER_SHIFT, _UNIT_SHIFT = 36, 32, 4
_MAX_OFFSET = 1 << (_NUMBER_SHIFT + _UNIT_SHIFT)


class Unusable(Exception):
    """What stands in the place of a day's file is none of ours."""


def append(path: Path, file_id: int, day: date, lines: Sequence[IndexLine]) -> int:
    """Add the lines after the last one that is there of this log file; what is broken is set aside for a new file.

    Raises:
        sqlite3.OperationalError: the disk is full, or the file can not be written.
    """
    try:
        return _append(path, file_id, day, lines)
    except sqlite3.DatabaseError as error:
        if not is_broken(error):
            raise
    except Unusable:
        pass
    remove(path, aside=True)
    return _append(path, file_id, day, lines)


def remove(path: Path, *, aside: bool = False) -> None:
    """Remove a day's file, or keep it under a name that nobody reads. Who reads it at the moment is not disturbed."""
    for name in (f"{path}-wal", f"{path}-shm"):
        Path(name).unlink(missing_ok=True)
    if aside:
        path.replace(path.with_suffix(".broken"))
    else:
        path.unlink(missing_ok=True)


def is_broken(error: sqlite3.Error) -> bool:
    """Whether it is the file's fault, for good."""
    name = getattr(error, "sqlite_errorname", "")
    return name.startswith("SQLITE_CORRUPT") or name == "SQLITE_NOTADB"


def start_key(day: date, ts: int) -> int:
    """The least key of a line of that millisecond or later."""
    return min(max(ts - day_ms(day), 0), DAY_MS) << MS_SHIFT


def key_of(connection: sqlite3.Connection, day: date, cursor: Cursor) -> int:
    """The key of the line at the cursor; of another day's, the nearest one."""
    start = start_key(day, cursor.ts)
    row = connection.execute("SELECT number FROM file WHERE id = ?", (cursor.id >> OFFSET_BITS,)).fetchone()
    if row is None or not 0 <= cursor.ts - day_ms(day) < DAY_MS:
        return start
    return start + _place(row[0], cursor.id & ((1 << OFFSET_BITS) - 1))


def ts_of(key: int, day: date) -> int:
    """When the line of this key was written, in milliseconds of the epoch."""
    return day_ms(day) + (key >> MS_SHIFT)


def version(connection: sqlite3.Connection) -> int:
    """Of the layout of this day's file."""
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found


@lru_cache(4096)
def word_of(column: str, value: str) -> str:
    """The word that a line has for a value of one of `VALUES`; once in a very long while two values share one."""
    return EVERY + blake2b(f"{column}:{value}".encode(), digest_size=7).hexdigest()


def _append(path: Path, file_id: int, day: date, lines: Sequence[IndexLine]) -> int:
    with closing(_open(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        number, last_id = _file(connection, file_id)
        first_id, first_key = file_id << OFFSET_BITS, day_ms(day) << MS_SHIFT
        fresh = []
        for line in lines:
            line_id = first_id | line.offset
            if last_id < line_id and line.offset < _MAX_OFFSET:
                key = (line.ts << MS_SHIFT) - first_key + _place(number, line.offset)
                fresh.append((key, line_id, line))
        fresh.sort()  # words are added fastest in the order of their keys
        if fresh:
            connection.executemany(_INSERT, [(key, line_id, *line.columns, line.raw) for key, line_id, line in fresh])
            connection.executemany(
                "INSERT INTO words (rowid, text) VALUES (?, ?)", [(key, _words(line)) for key, _, line in fresh]
            )
            if version(connection) == VERSION:
                _add(connection, tally(line for _, _, line in fresh))
            newest = max(line_id for _, line_id, _ in fresh)
            connection.execute("UPDATE file SET last_id = ? WHERE id = ?", (newest, file_id))
        connection.execute("COMMIT")
    return len(fresh)


def _words(line: IndexLine) -> str:
    values = [word_of(name, line.columns[place]) for name, place in _PLACES if line.columns[place]]
    return f"{line.words} {EVERY} {' '.join(values)}"


def _add(connection: sqlite3.Connection, counts: Tally) -> None:
    connection.executemany(_TALLY, [(*place, lines) for place, lines in counts.items()])


def _place(number: int, offset: int) -> int:
    return number << _NUMBER_SHIFT | offset >> _UNIT_SHIFT


def _open(path: Path) -> sqlite3.Connection:
    if path.is_dir():
        raise Unusable
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    connection = sqlite3.connect(path, timeout=15, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # Once the main database says that a line is indexed, it must be there, also after a power cut.
        connection.execute("PRAGMA synchronous = FULL")
        if (found := version(connection)) not in (1, VERSION):
            if found or connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                raise Unusable
            connection.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


def _file(connection: sqlite3.Connection, file_id: int) -> tuple[int, int]:
    """The log file's number within the day, and the id of its last line here; -1 before the first."""
    row = connection.execute("SELECT number, last_id FROM file WHERE id = ?", (file_id,)).fetchone()
    if row is None:
        number = connection.execute("SELECT count(*) FROM file").fetchone()[0]
        connection.execute("INSERT INTO file VALUES (?, ?, -1)", (file_id, number))
        return number, -1
    return row[0], row[1]
