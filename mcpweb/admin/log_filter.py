"""Which log lines an administrator wants to see; all of it is in the address, so that it can be kept and shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from mcpweb.admin import log_columns
from mcpweb.logs.index import Cursor
from mcpweb.logs.query import COLUMNS, MAX_CHARS, Query, Values

RANGES = {
    "15m": ("Last 15 minutes", timedelta(minutes=15)),
    "1h": ("Last hour", timedelta(hours=1)),
    "24h": ("Last 24 hours", timedelta(hours=24)),
    "7d": ("Last 7 days", timedelta(days=7)),
    "30d": ("Last 30 days", timedelta(days=30)),
}
USUAL_RANGE = "24h"
_NOT = "not-"
"""Stands before the name of a column whose values are left out."""
_MAX_VALUES, _MAX_VALUE = 30, 200
_YEARS = range(1971, 2999)
"""Times that can be counted with in both directions."""

Args = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LogFilter:
    """What was asked for. `complaints` are sentences on what could not be made sense of, and was left out."""

    text: str = ""
    range: str = USUAL_RANGE
    since: datetime | None = None
    until: datetime | None = None
    equal: Values = field(default_factory=dict)
    unequal: Values = field(default_factory=dict)
    before: Cursor | None = None
    after: Cursor | None = None
    follow: bool = False
    more: str = ""
    """The column of which all values are listed, not only the most frequent."""
    show: tuple[str, ...] = ()
    """The fields that stand in a row; without any, the usual ones."""
    complaints: tuple[str, ...] = ()

    @classmethod
    def of(cls, args: Mapping[str, Sequence[str]]) -> Self:
        """The filter that an address names: q, range or since, until, columns, follow, more, show, before or after."""
        first = {name: values[0] for name, values in args.items() if values}
        complaints: list[str] = []
        since, until = (_time(first.get(name, "").strip(), complaints) for name in ("since", "until"))
        if since and until and since >= until:
            complaints.append("The end lies before the start, so both are left out.")
            since = until = None
        if len(first.get("q", "")) > MAX_CHARS:
            complaints.append(f"Only the first {MAX_CHARS:,} characters of the search are looked for.")
        return cls(
            text=first.get("q", "").strip()[:MAX_CHARS],
            range=first["range"] if first.get("range") in RANGES else USUAL_RANGE,
            since=since,
            until=until,
            equal=_values(args, ""),
            unequal=_values(args, _NOT),
            before=Cursor.parse(first.get("before", "")),
            after=Cursor.parse(first.get("after", "")),
            follow=first.get("follow") == "1",
            more=first["more"] if first.get("more") in COLUMNS else "",
            show=log_columns.chosen(args.get("show", ())),
            complaints=tuple(complaints),
        )

    @property
    def is_absolute(self) -> bool:
        """Whether the time was given as a start or an end."""
        return self.since is not None or self.until is not None

    @property
    def is_narrow(self) -> bool:
        """Whether something else than the time was asked for."""
        return bool(self.text or self.equal or self.unequal)

    @property
    def is_live(self) -> bool:
        """Whether new lines are to show up by themselves: only at the newest end of the list."""
        return self.follow and not (self.is_absolute or self.before or self.after)

    def span(self, now: datetime) -> tuple[datetime, datetime]:
        """From when until when; an open end is now, an open start a day before the end."""
        if not self.is_absolute:
            return now - RANGES[self.range][1], now
        until = self.until or max(now, (self.since or now) + timedelta(seconds=1))
        return self.since or until - RANGES[USUAL_RANGE][1], until

    def query(self, now: datetime) -> Query:
        """The lines that fit. A range up to now has no end: the clock of another host may be a little ahead."""
        since, until = self.span(now)
        return Query(self.text, since, until if self.until else None, self.equal, self.unequal)

    def args(self, **changes: Any) -> Args:
        """What the address of the same filter holds, with some parts changed; always from the newest line on."""
        times = {"since": stamp(self.since), "until": stamp(self.until)}
        parts: Args = {"q": self.text, "range": "" if self.is_absolute else self.range, **times}
        parts |= {name: list(values) for name, values in self.equal.items()}
        parts |= {_NOT + name: list(values) for name, values in self.unequal.items()}
        parts |= {"show": list(self.show), "follow": "1" if self.is_live else ""} | changes
        return {name: value for name, value in parts.items() if value and (name, value) != ("range", USUAL_RANGE)}

    def has(self, column: str, value: str) -> bool:
        """Whether lines with this value are asked for by name."""
        return value in self.equal.get(column, ())

    def only(self, column: str, value: str) -> Self:
        """Of this column no other value."""
        return replace(self, equal={**self.equal, column: (value,)}, unequal=_less(self.unequal, column, value))

    def also(self, column: str, value: str) -> Self:
        """This value besides those that were asked for."""
        more = (*self.equal.get(column, ()), value)
        return replace(self, equal={**self.equal, column: more}, unequal=_less(self.unequal, column, value))

    def never(self, column: str, value: str) -> Self:
        """No line with this value."""
        more = (*(one for one in self.unequal.get(column, ()) if one != value), value)
        return replace(self, equal=_less(self.equal, column, value), unequal={**self.unequal, column: more})

    def without(self, column: str, value: str) -> Self:
        """As if this value had not been mentioned."""
        equal, unequal = (_less(values, column, value) for values in (self.equal, self.unequal))
        return replace(self, equal=equal, unequal=unequal)

    def freed(self, column: str) -> Self:
        """As if no value of this column had been asked for."""
        return replace(self, equal={name: values for name, values in self.equal.items() if name != column})

    def saying(self, words: str) -> Self:
        """With more to look for in the text."""
        return replace(self, text=f"{self.text} {words}".strip())

    def between(self, since: datetime, until: datetime) -> Self:
        """Of another time."""
        return replace(self, since=since, until=until)

    def fixed(self, now: datetime) -> Self:
        """With the times as they are now, so that the address shows the same tomorrow."""
        if self.since and self.until:
            return self
        since, until = self.span(now)
        return self.between(since.replace(microsecond=0), until.replace(microsecond=0) + timedelta(seconds=1))


def stamp(at: datetime | None) -> str:
    """A time as it stands in an address: `2026-11-25T12:00:00.250Z`, the fraction only where there is one."""
    if at is None:
        return ""
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds").replace("+00:00", "Z")


def _time(text: str, complaints: list[str]) -> datetime | None:
    """Without a zone it is UTC."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        at = None
    if at is None or at.year not in _YEARS:
        complaints.append(f"“{text[:40]}” is no time and is left out. Write it like 2026-11-25T12:00.")
        return None
    return at


def _values(args: Mapping[str, Sequence[str]], prefix: str) -> dict[str, tuple[str, ...]]:
    given = ((name, args.get(prefix + name, ())) for name in COLUMNS)
    found = {name: tuple(dict.fromkeys(one[:_MAX_VALUE] for one in values if one)) for name, values in given}
    return {name: values[:_MAX_VALUES] for name, values in found.items() if values}


def _less(values: Values, column: str, value: str) -> dict[str, tuple[str, ...]]:
    fewer = {name: tuple(one for one in some if (name, one) != (column, value)) for name, some in values.items()}
    return {name: some for name, some in fewer.items() if some}
