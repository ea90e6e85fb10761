"""`python -m bench.asking index|pages|export|hostile`: ask a seeded installation what administrators ask.

Takes its settings from the environment, as the program does. The clock stands where the seed ended. Prints JSON: rows
of a name, what it may take and what it took, in milliseconds; of an export, megabytes.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from bench.seeding import ADMIN, end_of
from mcpweb import clock
from mcpweb.accounts import sessions
from mcpweb.accounts.models import User
from mcpweb.admin import log_exports, log_search
from mcpweb.admin.log_filter import LogFilter
from mcpweb.application import create_app
from mcpweb.database import db, now, transaction
from mcpweb.logs.index import Cursor, LogIndex, TooBroad
from mcpweb.logs.query import Query

Took = tuple[list[float], float]
"""How long it took each time, and how much of the processor once."""
Row = tuple[str, float, list[float], float]
"""What was asked, what it may take, and what it took."""

PAGE_MS, EXPORT_MB, HOSTILE_MS = 150, 20, 5000
_TIMES = 7
_SEARCHES = {
    "nothing": {},
    "a rare word": {"q": "quincunx"},
    "a frequent word": {"q": "info"},
    "two words": {"q": "garden get_me"},
    "a phrase": {"q": '"job done"'},
    "without a frequent word": {"q": "-info"},
    "without a rare word": {"q": "-quincunx"},
    "the beginning of words": {"q": "quinc*"},
    "a frequent beginning": {"q": "in*"},
    "field:value, rare": {"q": "user_id:77"},
    "field:value, frequent": {"q": "category:performance"},
    "a frequent word of one user": {"q": "info user_id:77"},
    "several facets": {"category": "performance", "level": "warning", "service": "github", "not-outcome": "upstream"},
    "a word that is not there": {"q": "xyzzy"},
}
_HOSTILE = (
    "a* b* c* d* e* -x",
    "-a* -b* -c*",
    "0* 1* 2*",
    " ".join("abcdefghij"),
    '"info info info" -info',
    "-zz " * 20,
)


def main() -> None:
    """Ask, and print."""
    asked, app = sys.argv[1], create_app()
    index: LogIndex = app.extensions["mcpweb_log_index"]
    shift = end_of(index.days()[0]) - datetime.now(UTC)
    clock.utcnow = lambda: datetime.now(UTC) + shift
    with app.app_context():
        rows = {"index": _index, "pages": _pages, "export": _export, "hostile": _hostile}[asked](app, index)
        print(json.dumps(list(rows)))


def _index(app: Flask, index: LogIndex) -> Iterator[Row]:
    """Lines of a page, and everything that is counted beside them."""
    limit = 150 if len(index.days()) < 3 else 500
    days = min(len(index.days()), 30)
    moment = clock.utcnow()
    for words, args in _SEARCHES.items():
        shown = LogFilter.of(
            {name: [value] for name, value in args.items()} | {"range": ["30d" if days > 1 else "24h"]}
        )
        query = shown.query(moment)
        yield f"search: {words}", limit, *_times(lambda query=query: index.search(query, limit=51))
        yield f"counts: {words}", limit, *_times(lambda shown=shown: _counts(index, shown, moment))
    middle = Cursor(int((moment - timedelta(days=days / 2)).timestamp() * 1000), 0)
    for words, text in (("page", ""), ("page of a frequent word", "info")):
        yield f"a deep {words}", limit, *_times(lambda text=text: index.search(Query(text), limit=51, before=middle))
    line = index.search(Query(), limit=1, before=middle)[0]
    yield "one line and 50 before and after it", limit, *_times(lambda: index.context(line.id, 50, 50))
    yield "count", limit, *_times(lambda: index.count(Query("info"), 10_001))


def _counts(index: LogIndex, asked: LogFilter, moment: datetime) -> None:
    """All of a look but its lines."""
    quiet = index.within(index.budget_s)
    quiet.search = lambda *_, **__: []  # type: ignore[method-assign]
    log_search.look(quiet, asked, moment)  # what there is no time for takes longer than it may


def _pages(app: Flask, index: LogIndex) -> Iterator[Row]:
    """Whole pages, as the browser of an administrator asks for them."""
    client = _signed_in(app)
    paths = ("/admin", "/admin/users", "/admin/users?q=user77", "/admin/users?page=150", "/admin/instances")
    more = ("/admin/instances?q=Work+77", "/admin/instances?page=500", "/admin/instances?state=expired")
    logs = ("/admin/logs", "/admin/logs?range=1h", "/admin/logs?q=info", "/admin/logs?q=quincunx")
    for path in (*paths, *more, *logs):
        limit = 2 * PAGE_MS + 200 if path.startswith("/admin/logs") else PAGE_MS
        yield f"page {path}", limit, *_times(lambda path=path: _get(client, path))


def _get(client: FlaskClient, path: str) -> None:
    reply = client.get(path)
    if reply.status_code != 200:
        raise SystemExit(f"{path}: {reply.status}")


def _signed_in(app: Flask) -> FlaskClient:
    client = app.test_client()
    settings = app.extensions["mcpweb_settings"]
    admin = db.session.scalars(db.select(User).where(User.email == ADMIN)).one()
    with transaction():
        raw = sessions.start(admin, now(), ip="127.0.0.1", agent="bench", settings=settings)
    with client.session_transaction() as session:
        session.update({"_user_id": raw, "_fresh": True})
    return client


def _hostile(app: Flask, index: LogIndex) -> Iterator[Row]:
    """A whole look, which says so itself when there was no time for something."""
    for text in _HOSTILE:
        asked = LogFilter.of({"q": [text], "range": ["30d"]})
        yield f"hostile: {text[:30]}", HOSTILE_MS, *_times(lambda asked=asked: _look(index, asked), 1)


def _look(index: LogIndex, asked: LogFilter) -> None:
    seen = log_search.look(index, asked, clock.utcnow())
    if (seen.is_too_broad or seen.bars is None) and not seen.complaints:
        raise SystemExit(f"nothing was said about {asked.text}")


def _export(app: Flask, index: LogIndex) -> Iterator[Row]:
    """All lines, in a process that has done nothing before: how much its memory grew at most."""
    _, body = log_exports.start(index, Query(), "jsonl", ADMIN)
    next(body)
    before, size = _peak_mb(), 0
    for part in body:
        size += len(part)
    yield f"export of {size / 1e6:,.0f} MB, MB of memory", EXPORT_MB, [_peak_mb() - before], 0


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def _times(question: Callable[[], Any], times: int = _TIMES) -> Took:
    """In milliseconds; TooBroad is an answer that took its time."""
    took, cpu = list[float](), time.process_time()
    for _ in range(times):
        began = time.perf_counter()
        with suppress(TooBroad):
            question()
        took.append((time.perf_counter() - began) * 1000)
        db.session.rollback()
    return took, (time.process_time() - cpu) * 1000 / times


if __name__ == "__main__":
    main()
