"""Is the audit trail whole? Walks the chain in the database and compares it with what was logged beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select

from mcpweb.database import db
from mcpweb.logs import days
from mcpweb.logs.audit import digest_of
from mcpweb.logs.models import AuditEvent

RESTORED = "backup.restore"
_BATCH = 1000


class _Logged(NamedTuple):
    """The digest of an entry as it stands in the log, and when it was written there (ISO 8601, UTC)."""

    chain: str
    time: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the trail looks like: how far it holds, and the first damage with its place."""

    entries: int
    last: int
    damage: str = ""
    notes: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing was found."""
        return not self.damage


def verify(log_folder: Path) -> Verdict:
    """Check every entry against the one before, and the end against the newest logged one.

    A trail that was rewritten as a whole by somebody with the key, who also rewrote the logs, can not be told from a
    true one: keep a copy of the logs elsewhere. After a restore the chain goes on from the backup; what was logged of
    the database before is told, and not asked for. The entry that says so is in the chain, so only the key makes one.
    """
    logged, notes = _logged(log_folder)
    before, last, entries = b"", 0, 0
    for event in _events():
        entries += 1
        if event.seq != last + 1:
            missing = f"{last + 1}" if event.seq == last + 2 else f"{last + 1} to {event.seq - 1}"
            return Verdict(entries, last, f"entry {missing} is missing", notes)
        if digest_of(before, event) != event.digest:
            return Verdict(entries, last, _damage(event, logged), notes)
        if event.action == RESTORED:
            notes = (*notes, _forget_before(event, logged))
        if (known := logged.get(event.seq)) and known.chain != event.digest.hex():
            return Verdict(entries, last, f"from entry {event.seq} on the chain was rewritten", notes)
        before, last = event.digest, event.seq
    newest = max(logged, default=0)
    if newest > last:
        return Verdict(entries, last, f"the end is cut off: it ends at {last}, the log knows {newest}", notes)
    return Verdict(entries, last, "", notes)


def _forget_before(event: AuditEvent, logged: dict[int, _Logged]) -> str:
    """Leave out what was logged of a database that was replaced; returns the note that says it."""
    at = str(event.details["restored_at"])
    gone = [seq for seq, known in logged.items() if seq >= event.seq and known.time < at]
    for seq in gone:
        del logged[seq]
    told = f"entry {event.seq}: the database was restored at {at}, from a backup of {event.details['made_at']}"
    return f"{told}; entries {min(gone)} to {max(gone)} of the one before are only in the log" if gone else told


def _damage(event: AuditEvent, logged: Mapping[int, _Logged]) -> str:
    """What happened to an entry that does not fit the one before it, as far as the logged digests tell."""
    place = next((seq for seq, known in logged.items() if known.chain == event.digest.hex()), None)
    # Where the entry that belongs here is now.
    true_digest = bytes.fromhex(logged[event.seq].chain) if event.seq in logged else b""
    there = db.session.scalar(
        select(AuditEvent.seq).where(AuditEvent.digest == true_digest, AuditEvent.seq != event.seq).limit(1)
    )
    if there is None:
        return f"entry {event.seq} was changed"
    return f"entry {event.seq} was " + (f"exchanged with entry {place}" if there == place else "inserted")


def _events() -> Iterator[AuditEvent]:
    last = 0
    while rows := db.session.scalars(
        select(AuditEvent).where(AuditEvent.seq > last).order_by(AuditEvent.seq).limit(_BATCH)
    ).all():
        yield from rows
        last = rows[-1].seq
        db.session.expunge_all()


def _logged(folder: Path) -> tuple[dict[int, _Logged], tuple[str, ...]]:
    """The digests in the audit log by entry, and a note for each file or line that can not be read."""
    found: dict[int, _Logged] = {}
    notes = []
    for file in days.find(folder).days:
        for path in (file.packed, file.plain) if file.is_system and file.category == "audit" else ():
            if not days.is_there(path):
                continue
            try:
                notes += [f"{path.name}, {note}" for note in _read(path, found)]
            except days.Unreadable as error:
                notes.append(f"{path.name} {error}")
    return found, tuple(notes)


def _read(path: Path, found: dict[int, _Logged]) -> Iterator[str]:
    """Note the digests of a file, and yield what is wrong with which line."""
    for number, (raw, is_ended) in enumerate(days.lines(path), 1):
        if not raw:
            continue
        try:
            line = json.loads(raw)
            found[int(line["seq"])] = _Logged(str(line["chain"]), str(line["time"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            yield f"line {number}: " + ("unreadable" if is_ended else "torn at the end, as by a crash")
