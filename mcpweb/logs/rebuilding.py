"""Building the log index anew from the files of this host. What was counted of the use of instances stays as it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from pathlib import Path

from mcpweb.database import transaction
from mcpweb.logs import rollups
from mcpweb.logs.following import hold, known_files
from mcpweb.logs.index import LogIndex
from mcpweb.logs.log_files import UNREADABLE, SystemFile, batches, system_files
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
