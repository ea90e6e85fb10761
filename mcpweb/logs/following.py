"""Following the system log files of a host: every line goes into the index and is counted, exactly once.

The index gets the lines first, in a transaction of its own, and leaves out those that it has. Then one transaction of
the main database moves the offset and counts. Whoever is killed between the two only finds the lines there already.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from mcpweb import clock
from mcpweb.database import db, transaction
from mcpweb.errors import Conflict
from mcpweb.logs import rollups
from mcpweb.logs.index import LogIndex
from mcpweb.logs.log_files import UNREADABLE, Batch, SystemFile, batches, system_files
from mcpweb.logs.models import LogFile

log = logging.getLogger(__name__)

PACE_S = 2.0
_MAX_BACKOFF_S = 30.0
_BATCHES = 10
"""Of one file before it is the next one's turn."""
COUNTED = "performance"
"""The category that has the calls."""

Count = Callable[[Sequence[Mapping[str, Any]]], None]


class Follower:
    """The follower of one host's log folder. Of several at once only one does anything.

    `count` is given the new lines of `performance` inside the transaction that marks them as counted.
    """

    def __init__(self, root: Path, host: str, index: LogIndex, count: Count) -> None:
        self._root, self._host, self._index, self._count = root, host, index, count
        self._read: dict[str, tuple[int, int, int]] = {}
        """Size, time of the last change, and offset of the files that had nothing more."""
        self._problems: dict[str, str] = {}
        self._has_more = False

    @property
    def problems(self) -> list[str]:
        """A sentence for each file that could not be read the last time."""
        return [f"{name}: {reason}" for name, reason in sorted(dict(self._problems).items())]

    def step(self) -> int:
        """One pass over all files, within an application context; returns how many lines there were.

        Raises:
            Unavailable: the index does not answer.
            SQLAlchemyError: the database does not answer.
        """
        with hold(self._root, wait=False) as is_ours:
            if not is_ours:
                return 0
            files = system_files(self._root)
            known = known_files(self._host)
            names = {file.name for file in files}
            self._problems = {name: reason for name, reason in self._problems.items() if name in names}
            self._has_more = False
            return sum(self._follow(file, known.get(file.name)) for file in files)

    def run(self, stop: threading.Event, app_context: Callable[[], AbstractContextManager[Any]]) -> None:
        """Pass after pass until stopped; what goes wrong is logged once and tried again, less and less often."""
        wait_s, trouble = 0.0, ""
        while not stop.wait(wait_s):
            try:
                with app_context():
                    self.step()
                wait_s, trouble = (0.0 if self._has_more else PACE_S), ""
            except Exception as error:  # the last door of a thread: counting must go on, whatever it was
                if trouble != (trouble := type(error).__name__):
                    log.warning("the log index can not be written", extra={"error": trouble}, exc_info=error)
                wait_s = min(max(wait_s, PACE_S) * 2, _MAX_BACKOFF_S)

    def _follow(self, file: SystemFile, row: LogFile | None) -> int:
        """Take what is new in a file; returns how many lines."""
        try:
            state = file.path.stat()
        except FileNotFoundError:  # compressed or removed meanwhile
            return 0
        offset = row.offset if row else 0
        seen = (state.st_size, state.st_mtime_ns)
        if self._read.get(file.name) == (*seen, offset):
            return 0
        if not file.is_compressed and state.st_size < offset:
            self._note(file, "it is shorter than what was read of it")
            self._read[file.name] = (*seen, offset)
            return 0
        file_id = row.id if row else _register(self._host, file.name)
        taken = passes = 0
        for batch in self._readable(file, offset):
            self._index.append(file_id, file.day, batch.lines)
            self._mark(file_id, file, offset, batch)
            offset = batch.end
            taken += len(batch.lines) + batch.skipped
            passes += 1
        if passes < _BATCHES:
            self._read[file.name] = (*seen, offset)
        else:
            self._has_more = True
        return taken

    def _mark(self, file_id: int, file: SystemFile, offset: int, batch: Batch) -> None:
        """Move the offset and count, once the index has the lines."""
        claim = update(LogFile).where(LogFile.id == file_id, LogFile.offset == offset)
        with transaction():
            claimed = db.session.execute(claim.values(offset=batch.end, indexed_at=clock.utcnow()))
            if claimed.rowcount != 1:  # type: ignore[attr-defined]
                raise Conflict("Somebody else reads the log files of this host.")
            rollups.add(self._host, rollups.totals(file.category, batch.lines))
            if file.category == COUNTED:
                self._count([line.fields for line in batch.lines])
        if batch.skipped:
            log.warning("lines of a log file are none", extra={"file": file.name, "lines": batch.skipped})

    def _readable(self, file: SystemFile, offset: int) -> Iterator[Batch]:
        """So many batches as one pass takes of a file; of a broken one, those that can be read."""
        try:
            yield from islice(batches(file, offset), _BATCHES)
        except FileNotFoundError:
            return
        except UNREADABLE as error:
            self._note(file, f"it can not be read to its end ({type(error).__name__})")
            return
        self._problems.pop(file.name, None)

    def _note(self, file: SystemFile, reason: str) -> None:
        if self._problems.get(file.name) != reason:
            self._problems[file.name] = reason
            log.warning("a log file can not be read", extra={"file": file.name, "reason": reason})


@contextmanager
def hold(root: Path, *, wait: bool = True) -> Iterator[bool]:
    """Be the only one on this host who reads its log files; without waiting, it may turn out that somebody else is."""
    folder = root.parent / "run"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / "follower.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield _locked(descriptor, wait)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, wait: bool) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def known_files(host: str) -> dict[str, LogFile]:
    """How far each file of the host has been read, by name."""
    rows = db.session.scalars(select(LogFile).where(LogFile.host == host).execution_options(populate_existing=True))
    return {row.name: row for row in rows}


def behind(root: Path, host: str) -> int:
    """How many bytes of this host's files, as far as they are not compressed, are not in the index yet."""
    return unread(root, {name: row.offset for name, row in known_files(host).items()})


def unread(root: Path, offsets: Mapping[str, int]) -> int:
    """The same for whoever knows how far each file has been read."""
    waiting = 0
    for file in system_files(root):
        if not file.is_compressed:
            with suppress(FileNotFoundError):  # compressed meanwhile
                waiting += max(file.path.stat().st_size - offsets.get(file.name, 0), 0)
    return waiting


def _register(host: str, name: str) -> int:
    row = LogFile(host=host, name=name, offset=0)
    with transaction():
        db.session.add(row)
    return row.id
