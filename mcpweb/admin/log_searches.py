"""Searches of the log that administrators keep under a name, and the ones that each of them made lately."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode

from sqlalchemy import delete, or_, select
from sqlalchemy.exc import SQLAlchemyError

from mcpweb.accounts.models import User
from mcpweb.admin.log_filter import RANGES, LogFilter
from mcpweb.admin.models import RecentSearch, SavedSearch
from mcpweb.database import db, take_turns, transaction
from mcpweb.errors import InvalidInput, NotFound

MOST_SAVED, MOST_RECENT, MAX_NAME = 50, 10, 60
_SAME = timedelta(minutes=1)
"""A search that is looked at again so soon is not written down again."""


def address_of(asked: LogFilter) -> str:
    """The query of the address of a search; a range that moves on stays one."""
    return urlencode(asked.args(follow=""), doseq=True)


def asked_in(address: str) -> LogFilter:
    """The search that the query of an address names; whatever is no part of one is left out."""
    return LogFilter.of(parse_qs(address))


def words(asked: LogFilter) -> str:
    """A search in a line, without a look into the database."""
    parts = [asked.text] if asked.text else []
    for sign, values in (("", asked.equal), ("not ", asked.unequal)):
        parts += [f"{name.removesuffix('_id')}: {sign}{' or '.join(some)}" for name, some in values.items()]
    return ", ".join(parts or ["Everything"])


def when(asked: LogFilter) -> str:
    """The time of a search in words."""
    return "A fixed time" if asked.is_absolute else RANGES[asked.range][0]


def save(user_id: int, name: str, address: str, is_shared: bool) -> str:
    """Keep a search under a name, in place of one's own that has it already; returns the name as it is kept.

    Raises:
        InvalidInput: the name is missing or too long, or there are too many.
    """
    name = " ".join(name.replace("\0", "").split())
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise InvalidInput(f"Give the search a name of at most {MAX_NAME} characters.")
    with transaction():
        take_turns(f"saved searches of {user_id}")
        mine = {one.name: one for one in db.session.scalars(select(SavedSearch).where(SavedSearch.user_id == user_id))}
        if name not in mine and len(mine) >= MOST_SAVED:
            raise InvalidInput(f"You keep {MOST_SAVED} searches already. Delete one first.")
        found = mine.get(name) or SavedSearch(user_id=user_id, name=name)
        found.address, found.is_shared = address_of(asked_in(address)), is_shared
        db.session.add(found)
    return name


def remove(search_id: int, user_id: int) -> str:
    """Delete a search of one's own; returns its name.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    with transaction():
        found = db.session.get(SavedSearch, search_id) if search_id < 2**31 else None
        if found is None or found.user_id != user_id:
            raise NotFound("There is no such search of yours.")
        db.session.delete(found)
    return found.name


def remember(user_id: int, asked: LogFilter, now: datetime) -> None:
    """Note that somebody searched. Looking at the log does not depend on it, so a failure is not theirs."""
    if not asked.is_narrow or asked.before or asked.after or asked.follow:
        return
    address = address_of(replace(asked, show=()))
    digest = hashlib.sha256(address.encode("utf-8", "surrogatepass")).hexdigest()
    newest = _recent(user_id)
    if newest and newest[0].digest == digest and newest[0].at > now - _SAME:
        return
    gone = [one.digest for one in newest if one.digest != digest][MOST_RECENT - 1 :]
    try:
        with transaction():
            db.session.merge(RecentSearch(user_id=user_id, digest=digest, address=address, at=now))
            if gone:
                mine = delete(RecentSearch).where(RecentSearch.user_id == user_id)
                db.session.execute(mine.where(RecentSearch.digest.in_(gone)))
    except SQLAlchemyError:
        db.session.rollback()


def listed(user_id: int) -> dict[str, list[dict[str, Any]]]:
    """What an administrator has to choose from: their own and shared searches, and those made lately."""
    seen = select(SavedSearch, User.email).join(User, User.id == SavedSearch.user_id)
    rows = db.session.execute(seen.where(or_(SavedSearch.user_id == user_id, SavedSearch.is_shared)))
    saved = [
        {"id": one.id, "name": one.name, "is_mine": one.user_id == user_id, "is_shared": one.is_shared, "by": email}
        | _shown(one.address)
        for one, email in sorted(rows, key=lambda row: (row[0].user_id != user_id, row[0].name.casefold()))
    ]
    return {"saved": saved, "recent": [_shown(one.address) for one in _recent(user_id)[:MOST_RECENT]]}


def _recent(user_id: int) -> list[RecentSearch]:
    mine = select(RecentSearch).where(RecentSearch.user_id == user_id).order_by(RecentSearch.at.desc())
    return list(db.session.scalars(mine))


def _shown(address: str) -> dict[str, Any]:
    asked = asked_in(address)
    return {"args": asked.args(), "words": words(asked), "when": when(asked)}
