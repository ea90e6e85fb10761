"""Which calls of an instance its owner wants to see; all of it is in the address, so that it can be kept and shared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from mcpweb.logs.index import Cursor
from mcpweb.logs.query import Query

OUTCOMES = ("ok", "tool_error", "unavailable", "refused", "limited", "rejected", "error")
RANGES = {
    "1h": ("Last hour", timedelta(hours=1)),
    "24h": ("Last 24 hours", timedelta(hours=24)),
    "7d": ("Last 7 days", timedelta(days=7)),
    "30d": ("Last 30 days", timedelta(days=30)),
}
_USUAL_RANGE = "7d"
_MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class LogFilter:
    """What was asked for; what makes no sense is as if it had not been asked."""

    text: str = ""
    outcome: str = ""
    tool: str = ""
    range: str = _USUAL_RANGE
    before: Cursor | None = None
    after: Cursor | None = None

    @classmethod
    def of(cls, args: Mapping[str, str]) -> Self:
        """The filter that an address names: q, outcome, tool, range, and before or after a line."""
        outcome, span = args.get("outcome", ""), args.get("range", "")
        return cls(
            text=args.get("q", "")[:_MAX_TEXT],
            outcome=outcome if outcome in OUTCOMES else "",
            tool=args.get("tool", "")[:100],
            range=span if span in RANGES else _USUAL_RANGE,
            before=Cursor.parse(args.get("before", "")),
            after=Cursor.parse(args.get("after", "")),
        )

    @property
    def is_narrow(self) -> bool:
        """Whether something else than the time was asked for."""
        return bool(self.text or self.outcome or self.tool)

    def args(self, **changes: str) -> dict[str, str]:
        """What the address of the same filter holds, with some parts changed; always from the newest line on."""
        parts = {"q": self.text, "outcome": self.outcome, "tool": self.tool, "range": self.range} | changes
        return {name: value for name, value in parts.items() if value and (name, value) != ("range", _USUAL_RANGE)}

    def query(self, instance_id: UUID, now: datetime) -> Query:
        """The calls of this instance that fit."""
        equal = {"category": ("performance",), "instance": (str(instance_id),)}
        for name, value in (("outcome", self.outcome), ("tool", self.tool)):
            if value:
                equal[name] = (value,)
        return Query(text=self.text, since=now - RANGES[self.range][1], equal=equal)
