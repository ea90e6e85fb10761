"""Every line of every log: searched, and one by one."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from mcpweb import clock
from mcpweb.admin import log_pages, log_search, log_views
from mcpweb.admin.log_filter import LogFilter
from mcpweb.errors import NotFound
from mcpweb.logs.index import Found
from mcpweb.logs.query import Query
from mcpweb.web.current import log_index, settings

bp = Blueprint("admin_logs", __name__, url_prefix="/admin/logs")

_AROUND = 50


@bp.get("")
def index() -> ResponseReturnValue:
    """The lines that fit what was asked for, newest first."""
    return _listing("admin/logs.html", with_facets=True)


@bp.get("/lines")
def lines() -> ResponseReturnValue:
    """The same without what stands around the lines: what a page that follows them fetches."""
    return _listing("admin/logs_lines.html", with_facets=False)


@bp.get("/lines/<int:line_id>")
def line(line_id: int) -> ResponseReturnValue:
    """One line, and what the same host wrote before and after it."""
    found = log_index().context(line_id, _AROUND, _AROUND)
    if not found:
        raise NotFound("There is no such line in the index any more.")
    _viewed(found, log_pages.query_of(line_id))
    return _page("admin/logs_line.html", **log_pages.around(found, line_id))


def _listing(template: str, *, with_facets: bool) -> str:
    asked, now = _asked(), clock.utcnow()
    seen = log_search.look(log_index(), asked, now, with_facets=with_facets)
    shown = log_pages.listing(asked, seen, now)
    _viewed(seen.page(asked.after is not None), asked.query(now), followed=repr(asked.args()) if asked.is_live else "")
    return _page(template, **shown)


def _asked() -> LogFilter:
    return LogFilter.of(request.args.to_dict(flat=False))


def _viewed(found: list[Found], query: Query, *, followed: str = "") -> None:
    log_views.record(current_user.id, current_user.email, found, query, followed=followed)


def _page(template: str, **shown: object) -> str:
    return render_template(template, **shown, nav="admin", section="logs", our_url=settings().url)
