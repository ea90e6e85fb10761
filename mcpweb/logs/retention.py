"""Which days are deleted: those that are old enough, and the oldest when the disk's share is used up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from mcpweb import policies
from mcpweb.crypto import derive
from mcpweb.logs.days import DayFile
from mcpweb.logs.writing import MB
from mcpweb.settings import Settings

_LAST_TO_GO = ("security", "audit")


@dataclass(frozen=True, slots=True)
class Policy:
    """How long logs are kept and how much room they may take, and the key that seals the list of closed days."""

    key: bytes = field(repr=False)
    days: int = 30
    days_of: Mapping[str, int] = field(default_factory=dict)
    """System categories that are kept for another number of days."""
    disk_bytes: int = 10_000 * MB

    @classmethod
    def of(cls, settings: Settings, wished: Mapping[str, int] | None = None) -> Policy:
        """What holds now, or would hold with the wished values of some policies."""

        def number(name: str) -> int:
            return wished[name] if wished and name in wished else policies.value(name, settings)

        return cls(
            key=list_key(settings),
            days=number("log_days"),
            days_of={"security": number("log_days_security"), "audit": number("log_days_audit")},
            disk_bytes=number("log_disk_mb") * MB,
        )


def list_key(settings: Settings) -> bytes:
    """The key that seals the list of closed days; it needs no database."""
    return derive(settings.secret_key, "log manifest").encode()


def too_old(files: list[DayFile], policy: Policy, today: date) -> list[DayFile]:
    """The days whose time is over."""

    def limit(file: DayFile) -> int:
        return policy.days_of.get(file.category, policy.days) if file.is_system else policy.days

    return [file for file in files if file.day < today - timedelta(days=limit(file))]


def over_budget(files: list[DayFile], total: int, policy: Policy) -> list[DayFile]:
    """The days to delete until the `total` bytes of all logs fit: oldest first, security after all others, audit last.

    `files` are closed ones, so today's are never among them.
    """
    chosen = []
    for file in sorted(files, key=lambda one: (_rank(one), one.day)):
        if total <= policy.disk_bytes:
            break
        chosen.append(file)
        total -= file.size
    return chosen


def _rank(file: DayFile) -> int:
    return _LAST_TO_GO.index(file.category) + 1 if file.is_system and file.category in _LAST_TO_GO else 0
