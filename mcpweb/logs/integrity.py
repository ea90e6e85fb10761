"""Do the closed days fit the manifest? Says of each file what it is, and changes nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mcpweb.logs import days, manifest
from mcpweb.logs.days import DayFile, Unreadable, is_there
from mcpweb.logs.manifest import Entry, Manifest
from mcpweb.logs.survey import digest, survey

SOUND = ("ok", "torn")
"""What needs nobody's attention: a torn last line is what a crash leaves."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One file: ok, torn (its last line, by a crash), damaged (lines in it), changed, missing or unlisted."""

    file: str
    state: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Integrity:
    """The findings by file, and what is wrong with the manifest or lies in the folder without being a log."""

    findings: tuple[Finding, ...]
    manifest: tuple[str, ...]
    strange: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether every closed day is there and unchanged, and the list itself is."""
        return not self.manifest and all(finding.state in SOUND for finding in self.findings)

    @property
    def counts(self) -> dict[str, int]:
        """How many files there are of each state."""
        return dict(Counter(finding.state for finding in self.findings))

    @property
    def sentences(self) -> list[str]:
        """One for each thing that somebody should know."""
        told = [
            f"{one.file}: {one.state}" + (f", {one.detail}" if one.detail else "")
            for one in self.findings
            if one.state != "ok"
        ]
        return [*self.manifest, *told, *self.strange]


def verify(root: Path, key: bytes) -> Integrity:
    """Compare the folder with its manifest."""
    listed = Manifest(root / manifest.NAME, key)
    found = days.find(root)
    wrong = (*wrong_with(listed), *_ends_early(listed, found.days))
    return Integrity(tuple(compare(root, listed, found.days)), wrong, tuple(found.strange))


def wrong_with(listed: Manifest) -> tuple[str, ...]:
    """What is wrong with the manifest itself; half a last line is a crash and no damage."""
    return tuple(problem for problem in listed.problems if "as by a crash" not in problem)


def _ends_early(listed: Manifest, files: list[DayFile]) -> Iterator[str]:
    """Whether the end of the list was cut off: each run writes its length and its last line's digest to `app`."""
    for file in reversed([one for one in files if one.is_system and one.category == "app"]):
        for path in (file.plain, file.packed):
            try:
                said = [json.loads(raw) for raw, _ in days.lines(path) if b'"manifest_head":"' in raw]
                lines, head = int(said[-1]["manifest_lines"]), str(said[-1]["manifest_head"])
            except (Unreadable, ValueError, KeyError, TypeError, IndexError, RecursionError):
                continue
            if lines > listed.lines:
                yield f"{manifest.NAME}: the end is cut off: it has {listed.lines} lines, {path.name} knows {lines}"
            elif listed.head_at(lines) != head:
                yield f"{manifest.NAME}: line {lines} is not the one that {path.name} knows"
            return


def compare(root: Path, listed: Manifest, files: list[DayFile]) -> Iterator[Finding]:
    """A finding for each listed file, and for each that should be listed."""
    for entry in listed.all_closed():
        yield _listed(root / "system" / f"{entry.file}.gz", entry)
    for file in files:
        if not file.is_system or not is_there(file.packed) or listed.closed(file.name):
            continue
        # With the plain file beside it, closing it was interrupted; deleted ones are about to go.
        if not is_there(file.plain) and not is_deleted(file, listed):
            yield Finding(file.name, "unlisted", "the manifest knows nothing of this file")


def is_deleted(file: DayFile, listed: Manifest) -> bool:
    """Whether this very file is listed as deleted: a run was killed just before it removed it."""
    entry = listed.deleted(file.name)
    try:
        return entry is not None and digest(file.packed)[0] == entry.packed_sha256
    except Unreadable:
        return False


def _listed(path: Path, entry: Entry) -> Finding:
    if not is_there(path):
        return Finding(entry.file, "missing", f"it held {entry.lines} lines to {entry.last or 'an unknown time'}")
    try:
        if digest(path)[0] != entry.packed_sha256:
            return Finding(entry.file, "changed", _change(path, entry))
    except Unreadable as error:
        return Finding(entry.file, "changed", f"it {error}")
    if entry.damaged:
        return Finding(entry.file, "damaged", f"{entry.damaged} lines could not be read when it was closed")
    if entry.torn:
        return Finding(entry.file, "torn", "its last line was cut by a crash")
    return Finding(entry.file, "ok")


def _change(path: Path, entry: Entry) -> str:
    try:
        now = survey(path)
    except Unreadable as error:
        return f"it {error}"
    if now.sha256 == entry.sha256:
        return "it was compressed anew, with the same lines"
    return f"it holds {now.lines} lines in {now.bytes} bytes instead of {entry.lines} in {entry.bytes}"
