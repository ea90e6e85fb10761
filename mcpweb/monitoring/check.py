"""What is said of one part of the installation, and since when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from mcpweb.database import db, now, transaction
from mcpweb.monitoring import states

MB = 1_000_000
GB = 1000 * MB
_ORDER = ("bad", "warn", "good")


@dataclass(frozen=True, slots=True)
class Check:
    """One part: good, warn or bad; what was found; what to do about it; and where more is said.

    `since`: None where nothing says when it began but that it was looked at. `host`: its id, for what each host has.
    """

    name: str
    state: str
    value: str
    advice: str = ""
    link: str = ""
    since: datetime | None = None
    host: str = ""

    @property
    def part(self) -> str:
        """The part that the state is kept of."""
        return f"{self.name} {self.host}".strip()


def settle(checks: Iterable[Check]) -> list[Check]:
    """Bad parts first, each with the time since when it is so; a state that has changed is kept from now on."""
    found = sorted(checks, key=lambda check: _ORDER.index(check.state))
    try:
        known = states.read(db.session.connection())
        new = {one.part: one.state for one in found if known.get(one.part, ("",))[0] != one.state}
        if new:
            moment = now()
            with transaction():
                states.note(db.session.connection(), new, moment)
                known = states.read(db.session.connection())
    except SQLAlchemyError:
        db.session.rollback()
        return found
    return [one if one.since else replace(one, since=known[one.part][1]) for one in found]


def grade(value: float, warn_below: float, bad_below: float) -> str:
    """The state of something of which there should be much."""
    return "bad" if value < bad_below else "warn" if value < warn_below else "good"


def size(count: float) -> str:
    """`1.2 GB`."""
    if count >= GB:
        return f"{count / GB:,.1f} GB"
    return f"{count / MB:,.1f} MB" if count >= MB / 10 else f"{count:,.0f} bytes"
