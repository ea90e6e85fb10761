"""Every line of every log: searched, and one by one."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from mcpweb import clock
from mcpweb.admin import (
    log_facets,
    log_looks,
    log_pages,
    log_search,
    log_searches,
    log_tail,
    log_views,
    log_widening,
)
from mcpweb.admin.log_filter import LogFilter
from mcpweb.admin.log_search_routes import COOKIE
from mcpweb.errors import NotFound
from mcpweb.logs.index import Found
from mcpweb.logs.query import Query
from mcpweb.web.current import log_index, settings

bp = Blueprint("admin_logs", __name__, url_prefix="/admin/logs")

_AROUND = 50


@bp.get("")
def index() -> ResponseReturnValue:
    """The lines that fit what was asked for, newest first."""
    asked, now = _asked(), clock.utcnow()
    log_searches.remember(current_user.id, asked, now)
    seen = log_search.look(log_index(), asked, now)
    log_facets.add_more(seen, log_index(), asked, now)
    _viewed(seen.page(asked.after is not None), asked.query(now), followed=repr(asked.args()) if asked.is_live else "")
    shown = log_pages.listing(asked, seen, now) | log_searches.listed(current_user.id)
    is_empty = asked.is_narrow and not (seen.lines or seen.is_too_broad)
    return _page("admin/logs.html", **shown, ways=log_widening.ways(log_index(), asked, now) if is_empty else None)


@bp.get("/lines")
def lines() -> ResponseReturnValue:
    """What came after a line that fits too: what a page that follows the log fetches."""
    asked, now = _asked(), clock.utcnow()
    after, asked = asked.after, replace(asked, after=None)
    tail = log_tail.look(log_index(), asked, after, now)
    _viewed(tail.lines, asked.query(now), followed=repr(asked.args()) if asked.is_live else "")
    return _page("admin/logs_tail.html", tail=tail, lines=log_pages.followed(asked, tail.lines, now))


@bp.get("/lines/<int:line_id>")
def line(line_id: int) -> ResponseReturnValue:
    """One line, and what the same host wrote before and after it."""
    found = log_index().context(line_id, _AROUND, _AROUND)
    if not found:
        raise NotFound("There is no such line in the index any more.")
    _viewed(found, log_pages.query_of(line_id))
    return _page("admin/logs_line.html", **log_pages.around(found, line_id))


def _asked() -> LogFilter:
    return LogFilter.of(request.args.to_dict(flat=False))


def _viewed(found: list[Found], query: Query, *, followed: str = "") -> None:
    log_views.record(current_user.id, current_user.email, found, query, followed=followed)


def _page(template: str, **shown: object) -> str:
    looks = log_looks.read(request.cookies.get(COOKIE, ""))
    more = {"looks": looks, "choices": log_looks.CHOICES, "our_url": settings().url}
    return render_template(template, **shown, **more, nav="admin", section="logs")
