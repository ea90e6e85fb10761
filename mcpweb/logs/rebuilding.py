"""Building the log index anew from the files of this host. What was counted of the use of instances stays as it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from pathlib import Path

from sqlalchemy import delete

from mcpweb.database import db, transaction
from mcpweb.logs import rollups
from mcpweb.logs.following import hold, known_files
from mcpweb.logs.index import LogIndex
from mcpweb.logs.log_files import UNREADABLE, SystemFile, batches, day_of, system_files
from mcpweb.logs.models import LogFile


@dataclass(slots=True)
class Rebuilt:
    """What came of a day: how many lines, how many were none, and the files that can not be read to their end."""

    day: date
    lines: int = 0
    skipped: int = 0
    broken: list[str] = field(default_factory=list)


def rebuild(root: Path, host: str, index: LogIndex, day: date | None = None) -> Iterator[Rebuilt]:
    """Take one day or all days out of the index and read them again, newest first, within an application context.

    A file is read as far as the follower has been: it goes on from there, and no call is counted twice. When this is
    killed, the index has gaps until it is run again.

    Raises:
        Unavailable: the index does not answer.
    """
    files = [file for file in system_files(root) if day in (None, file.day)]
    for one, some in groupby(reversed(files), key=lambda file: file.day):
        with hold(root):  # a day at a time, so that the follower is not kept out for long
            known = known_files(host)
            yield _rebuild_day(host, index, one, [(file, known[file.name]) for file in some if file.name in known])


def forget(root: Path, host: str, index: LogIndex, names: Collection[str], before: date) -> None:
    """Take files that were deleted out of the index, within an application context; what is left of their days stays.

    Those are `names` (`app-2026-11-25.jsonl`), and what an interrupted run has left of the days `before` a day: a
    younger file that is not there may come back, and its calls must not be counted twice.

    Raises:
        Unavailable: the index does not answer.
    """
    there = {file.name for file in system_files(root)}
    known = known_files(host)
    gone = {name: known[name] for name in known.keys() - there if name in names or day_of(name) < before}
    for day in sorted({day_of(name) for name in gone}):
        with hold(root):
            index.clear(day, [row.id for name, row in gone.items() if day_of(name) == day])
            with transaction():
                rollups.forget(host, day)
        for _ in rebuild(root, host, index, day):  # what clearing took along
            pass
    with transaction():
        db.session.execute(delete(LogFile).where(LogFile.host == host, LogFile.name.in_(gone)))


def _rebuild_day(host: str, index: LogIndex, day: date, files: list[tuple[SystemFile, LogFile]]) -> Rebuilt:
    index.clear(day, [row.id for _, row in files])
    done, totals = Rebuilt(day), Counter[tuple[int, str, str]]()
    for file, row in files:
        try:
            for batch in batches(file, 0, row.offset):
                done.lines += index.append(row.id, day, batch.lines)
                done.skipped += batch.skipped
                totals += rollups.totals(file.category, batch.lines)
        except UNREADABLE:
            done.broken.append(file.name)
    with transaction():
        rollups.forget(host, day)
        rollups.add(host, totals)
    return done
