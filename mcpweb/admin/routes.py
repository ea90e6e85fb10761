"""The administrator's house: how the installation is. Every page below `/admin` is for administrators alone."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from mcpweb import clock
from mcpweb.admin import dashboard_pages, host_pages
from mcpweb.web.current import log_index, settings

bp = Blueprint("admin", __name__, url_prefix="/admin")


@bp.get("")
def dashboard() -> ResponseReturnValue:
    """The start page of an administrator."""
    shown = dashboard_pages.dashboard(settings(), log_index(), clock.utcnow())
    return render_template("admin/dashboard.html", nav="admin", section="dashboard", **shown)


@bp.get("/hosts")
def hosts() -> ResponseReturnValue:
    """The processes of each host, and what it uses."""
    shown = host_pages.hosts(settings(), request.args.get("range", ""), clock.utcnow())
    return render_template("admin/hosts.html", nav="admin", section="dashboard", **shown)
