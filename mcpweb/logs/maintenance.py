"""The daily work on a host's log folder: close finished days, verify the closed ones, delete what is due.

Only one run works on a folder at a time. A run may be killed anywhere: the next one finishes its work.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

from mcpweb.errors import Conflict
from mcpweb.logs import closing, days, integrity, manifest, retention
from mcpweb.logs.days import DayFile, Unreadable, is_there
from mcpweb.logs.manifest import Manifest
from mcpweb.logs.retention import Policy
from mcpweb.logs.writing import LogFiles

_GRACE = timedelta(minutes=10)
"""After the end of its day a file may still get lines of requests that began before it."""
_MAX_TOLD = 100


@dataclass(slots=True)
class Report:
    """What a run did, or would do."""

    is_dry_run: bool = False
    closed: list[str] = field(default_factory=list)
    lines: int = 0
    """In the files that were closed."""
    verified: dict[str, int] = field(default_factory=dict)
    """How many closed files there are of each state: ok, torn, damaged, changed, missing, unlisted."""
    deleted: list[str] = field(default_factory=list)
    freed_bytes: int = 0
    """By compressing and deleting."""
    used_bytes: int = 0
    """What all log files take afterwards."""
    manifest_lines: int = 0
    manifest_head: str = ""
    """The digest of the list's last line: kept elsewhere, it shows whether the end of the list was cut off."""
    problems: list[str] = field(default_factory=list)
    is_sound: bool = True
    """Whether every closed day is there and unchanged, and so is the list."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON; of long lists the first hundred, with their length."""
        told: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        for name in ("closed", "deleted", "problems"):
            told[f"{name}_count"] = len(told[name])
            told[name] = told[name][:_MAX_TOLD]
        return told


def is_finished(file: DayFile, now: datetime) -> bool:
    """Whether nobody writes into a file of this day any more."""
    return now >= datetime.combine(file.day + timedelta(days=1), time(), UTC) + _GRACE


Tell = Callable[[Report, int], None]


def maintain(
    log_files: LogFiles, now: datetime, policy: Policy, *, dry_run: bool = False, tell: Tell = lambda report, done: None
) -> Report:
    """Do the day's work on a log folder, or only say what there is to do. What is no log file is named and left alone.

    `tell` is called after each file with the report so far, and how many files were verified.

    Raises:
        Conflict: another run is at work on this folder.
    """
    with _alone(log_files.root) as root:
        return _Run(root, now, policy, Report(is_dry_run=dry_run), tell).work()


@dataclass(slots=True)
class _Run:
    root: Path
    now: datetime
    policy: Policy
    report: Report
    tell: Tell
    listed: Manifest = field(init=False)

    def work(self) -> Report:
        """Everything in its order: what is closed is also verified, and what is deleted was closed before."""
        self.listed = Manifest(self.root / manifest.NAME, self.policy.key)
        self.report.problems += self.listed.problems
        wrong = integrity.wrong_with(self.listed)
        found = days.find(self.root)
        self.report.problems += found.strange
        if not self.report.is_dry_run:
            self._try("the list of closed days", self.listed.repair)
            for draft in found.drafts:
                self._try(self._name(draft), draft.unlink)
            for file in found.days:
                if file.is_system and is_there(file.packed) and integrity.is_deleted(file, self.listed):
                    self._try(self._name(file.packed), file.packed.unlink)
        before = sum(file.size for file in found.days)
        for file in found.days:
            if is_finished(file, self.now) and is_there(file.plain):
                self._try(self._name(file.plain), self._close, file)
        self._verify(found.days, wrong)
        self._delete(found.days)
        self.report.freed_bytes += before - sum(file.size for file in found.days) if not self.report.is_dry_run else 0
        self.report.used_bytes = sum(file.size for file in found.days)
        self.report.manifest_lines, self.report.manifest_head = self.listed.lines, self.listed.head
        return self.report

    def _close(self, file: DayFile) -> None:
        if not self.report.is_dry_run:
            found = closing.close(file, self.root, self.listed if file.is_system else None, self.now)
            if found is None:
                self.report.problems.append(f"{self._name(file.plain)} was empty")
                return
            self.report.lines += found.lines
        self.report.closed.append(self._name(file.plain))

    def _verify(self, files: list[DayFile], wrong: tuple[str, ...]) -> None:
        findings = []
        for finding in integrity.compare(self.root, self.listed, files):
            findings.append(finding)
            self.tell(self.report, len(findings))
        checked = integrity.Integrity(tuple(findings), wrong, ())
        self.report.verified, self.report.is_sound = checked.counts, checked.is_whole
        self.report.problems += [sentence for sentence in checked.sentences if sentence not in wrong]

    def _delete(self, files: list[DayFile]) -> None:
        due = [file for file in files if self._may_go(file)]
        old = retention.too_old(due, self.policy, self.now.date())
        for file in old:
            self._try(self._name(file.packed), self._remove, file, "age")
        rest = sum(file.size for file in files if file not in old)
        for file in retention.over_budget([file for file in due if file not in old], rest, self.policy):
            self._try(self._name(file.packed), self._remove, file, "room")
        if not self.report.is_dry_run and sum(file.size for file in files) > self.policy.disk_bytes:
            self.report.problems.append("the logs take more room than they may, and nothing more can be deleted")

    def _may_go(self, file: DayFile) -> bool:
        """Whether it is closed, and no foreign file in the place of one; what could not be closed stays."""
        if self.report.is_dry_run and is_there(file.plain):
            return is_finished(file, self.now)
        is_ours = not file.is_system or self.listed.closed(file.name) is not None
        return is_ours and is_there(file.packed) and not is_there(file.plain)

    def _remove(self, file: DayFile, reason: str) -> None:
        if self.report.is_dry_run:
            self.report.freed_bytes += file.size
        else:
            if file.is_system and (entry := self.listed.closed(file.name)):
                at = self.now.isoformat(timespec="seconds")
                self.listed.append(replace(entry, did="deleted", at=at, reason=reason))
            file.packed.unlink()
        self.report.deleted.append(self._name(file.plain))

    def _try(self, name: str, act: Callable[..., object], *args: object) -> None:
        """One file that can not be worked on stops no other."""
        try:
            act(*args)
            self.tell(self.report, sum(self.report.verified.values()))
        except Unreadable as error:
            self.report.problems.append(f"{name} {error}")
        except OSError as error:
            self.report.problems.append(f"{name}: {error.strerror or error}")

    def _name(self, path: Path) -> str:
        return os.path.relpath(path, self.root)


@contextmanager
def _alone(root: Path) -> Iterator[Path]:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(root / ".maintenance", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("Log maintenance is already at work on this host.") from None
        yield root
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)
