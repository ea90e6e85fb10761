"""Searches that are kept, and how the lines look: what an administrator changes beside the log."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from werkzeug.wrappers import Response

from mcpweb.admin import log_looks, log_searches
from mcpweb.web.current import settings

bp = Blueprint("admin_log_searches", __name__, url_prefix="/admin/logs")

COOKIE = "log_looks"
_YEAR_S = 365 * 24 * 3600


@bp.post("/searches/save")
def save() -> ResponseReturnValue:
    """Keep the search in view under a name."""
    shared = request.form.get("shared") == "1"
    name = log_searches.save(current_user.id, request.form.get("name", ""), _address(), shared)
    flash(f"“{name}” is kept among the saved searches.", "success")
    return _back()


@bp.post("/searches/<int:search_id>/delete")
def delete(search_id: int) -> ResponseReturnValue:
    """Forget a search of one's own."""
    name = log_searches.remove(search_id, current_user.id)
    flash(f"“{name}” is not kept any more.", "success")
    return _back()


@bp.post("/looks")
def looks() -> ResponseReturnValue:
    """Keep how the lines are to look."""
    chosen = log_looks.changed(log_looks.read(request.cookies.get(COOKIE, "")), request.form)
    response = _back()
    # A script reads no cookie here: what it has to know stands on the page.
    response.set_cookie(COOKIE, chosen, max_age=_YEAR_S, httponly=True, samesite="Lax", secure=settings().is_https)
    return response


def _address() -> str:
    return request.form.get("address", "")


def _back() -> Response:
    asked = log_searches.asked_in(_address())
    return redirect(url_for("admin_logs.index", **asked.args()), code=303)
