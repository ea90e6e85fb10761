"""The start page, help, and the choice of theme and time zone."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from werkzeug.wrappers import Response

from mcpweb.web import time_zone
from mcpweb.web.current import settings
from mcpweb.web.guard import public
from mcpweb.web.local_paths import local_path

bp = Blueprint("web", __name__)

THEMES = ("system", "light", "dark")
_YEAR_S = 365 * 24 * 3600


@bp.get("/")
@public
def home() -> ResponseReturnValue:
    """To one's instances, or to signing in."""
    return redirect(url_for("instances.index" if current_user.is_authenticated else "accounts.ask"), code=303)


@bp.get("/help")
@public
def help_page() -> ResponseReturnValue:
    """What this is, in a page."""
    return render_template("help.html")


@bp.post("/theme")
@public
def theme() -> ResponseReturnValue:
    """Keep the theme in a cookie, so that the first paint is right."""
    chosen = request.form.get("theme", "")
    response = redirect(local_path(request.form.get("next", ""), also_signing_in=True), code=303)
    if chosen in THEMES:
        _keep(response, "theme", chosen)
    return response


@bp.post("/time-zone")
def choose_time_zone() -> ResponseReturnValue:
    """Keep the time zone in a cookie; without one it is UTC."""
    chosen = request.form.get("time_zone", "")
    response = redirect(url_for("accounts.account"), code=303)
    if chosen and not time_zone.is_known(chosen):
        flash("There is no such time zone.", "error")
        return response
    _keep(response, time_zone.COOKIE, chosen)
    flash(f"Times are shown in {chosen or 'UTC'} now.", "success")
    return response


def _keep(response: Response, name: str, value: str) -> None:
    response.set_cookie(name, value, max_age=_YEAR_S, httponly=True, samesite="Lax", secure=settings().is_https)


def chosen_theme() -> str:
    """The theme of this browser: system, light or dark."""
    theme = request.cookies.get("theme", "")
    return theme if theme in THEMES else "system"
