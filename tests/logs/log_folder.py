"""A log folder with days that are over, and what is in it."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from mcpweb.logs import maintenance
from mcpweb.logs.maintenance import Report
from mcpweb.logs.retention import Policy
from mcpweb.logs.writing import LogFiles

NOW = datetime(2026, 11, 23, 0, 10, tzinfo=UTC)
"""Ten minutes after the end of 22 November."""
KEY = b"a key for tests"
POLICY = Policy(key=KEY, days=30, days_of={"security": 180, "audit": 730})
MINE = UUID(int=7)


def write(
    root: Path, *days_ago: int, count: int = 50, categories: tuple[str, ...] = ("app", "audit"), more: str = ""
) -> list[str]:
    """Write lines of days before `NOW`, in system files and one instance's; returns what the lines say."""
    files, said = LogFiles(root), []
    for ago in days_ago:
        for category in categories:
            for number in range(count):
                at = NOW - timedelta(days=ago, minutes=10) + timedelta(seconds=number)
                said.append(f"{category} {ago} {number}{more}")
                line = json.dumps({"time": at.isoformat(), "category": category, "message": said[-1]}) + "\n"
                files.system(category, at, line.encode())
                files.instance(1, MINE, "access", at, line.encode())
    assert files.lost_lines == 0
    return said


def maintain(root: Path, now: datetime = NOW, policy: Policy = POLICY, *, dry_run: bool = False) -> Report:
    """One run."""
    return maintenance.maintain(LogFiles(root), now, policy, dry_run=dry_run)


def messages(folder: Path, pattern: str = "*") -> Counter[str]:
    """How often each message stands in a folder, be it compressed or not."""
    found: Counter[str] = Counter()
    for path in folder.glob(f"{pattern}.jsonl*"):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        found.update(json.loads(line)["message"] for line in raw.split(b"\n") if line)
    return found


def names(folder: Path) -> list[str]:
    """The names in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())
