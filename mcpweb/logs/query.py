"""What is looked for in the logs: a text in a small grammar, a span of time, and values of columns.

The text holds words (all must be there), "a phrase", -not, prefix*, and column:value or -column:value. Whatever else
is typed is taken as words; a text without any letter or digit filters nothing. Nothing of it reaches a database but
letters and digits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from mcpweb.logs.search_text import normalise

COLUMNS = (
    "category", "level", "host", "user_id", "instance", "service", "tool", "outcome", "request_id",
)  # fmt: skip
"""What a line can be filtered by; all of them are texts, empty where a line has none."""
MAX_TERMS = 20
"""Of one text; further ones are left out."""
MAX_CHARS = 1000
"""Of one text; the rest is left out."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_PART = re.compile(r'(?P<minus>-?)(?:(?P<column>[a-z_]+):)?(?:"(?P<phrase>[^"]*)(?:"|$)|(?P<word>\S+))')
_MAX_WORD = 200
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")

Values = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Query:
    """A search. `since` is included, `until` is not; both are aware. Of each column one of the values must fit."""

    text: str = ""
    since: datetime | None = None
    until: datetime | None = None
    equal: Values = field(default_factory=dict)
    unequal: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Term:
    """Words that must follow each other; of the last one only the beginning when `is_prefix`."""

    words: tuple[str, ...]
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A query as the databases take it: `since_ms` up to, not including, `until_ms`, in milliseconds of the epoch."""

    wanted: tuple[Term, ...]
    unwanted: tuple[Term, ...]
    since_ms: int | None
    until_ms: int | None
    equal: Values
    unequal: Values

    def since(self, ts: int) -> Plan:
        """The same, but not before `ts`."""
        return replace(self, since_ms=ts if self.since_ms is None else max(ts, self.since_ms))

    def until(self, ts: int) -> Plan:
        """The same, but only before `ts`."""
        return replace(self, until_ms=ts if self.until_ms is None else min(ts, self.until_ms))

    def reaches(self, start: int, end: int) -> bool:
        """Whether a line from `start` up to, not including, `end` can fit."""
        return (self.since_ms is None or self.since_ms < end) and (self.until_ms is None or self.until_ms > start)


def read(query: Query) -> Plan:
    """Take the text apart. Raises nothing, whatever the text, which can narrow what `equal` allows but never widen it.

    A name in `equal` or `unequal` that is no column is a bug.

    Raises:
        KeyError: there is no such column.
    """
    unequal = _columns(query.unequal)
    named: dict[str, tuple[str, ...]] = {}
    wanted: list[Term] = []
    unwanted: list[Term] = []
    for number, part in enumerate(_PART.finditer(query.text[:MAX_CHARS])):
        if number == MAX_TERMS:
            break
        value = part["word"] if part["phrase"] is None else part["phrase"]
        if part["column"] in COLUMNS and value:
            values = unequal if part["minus"] else named
            values[part["column"]] = (*values.get(part["column"], ()), storable(value))
        elif words := tuple(normalise(f"{part['column'] or ''} {value}").split()):
            is_prefix = part["phrase"] is None and value.endswith("*")
            (unwanted if part["minus"] else wanted).append(_short(words, is_prefix))
    equal = _columns(query.equal)
    for column, asked in named.items():
        equal[column] = tuple(value for value in asked if value in equal[column]) if column in equal else asked
    return Plan(tuple(wanted), tuple(unwanted), _ms(query.since), _ms(query.until), equal, unequal)


def storable(value: str) -> str:
    """The value without what PostgreSQL can not hold in a text: NUL and halves of surrogate pairs."""
    return value if value.isascii() and "\0" not in value else _UNSTORABLE.sub("", value)


def _columns(values: Values) -> dict[str, tuple[str, ...]]:
    for name in values:
        if name not in COLUMNS:
            raise KeyError(name)
    return {name: tuple(map(storable, found)) for name, found in values.items()}


def _short(words: tuple[str, ...], is_prefix: bool) -> Term:
    """Databases limit the length of a word; of a longer one the beginning is looked for."""
    for number, word in enumerate(words):
        if len(word) > _MAX_WORD:
            return Term((*words[:number], word[:_MAX_WORD]), is_prefix=True)
    return Term(words, is_prefix)


def _ms(at: datetime | None) -> int | None:
    """Rounded up: then both ends fit lines, whose times are whole milliseconds."""
    return None if at is None else -((_EPOCH - at) // _MS)
