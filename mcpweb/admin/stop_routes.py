"""Stops: refusing the calls of a user, of a service or of everybody for a while, and lifting that."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from mcpweb import clock
from mcpweb.accounts import directory
from mcpweb.accounts.directory import page_number
from mcpweb.admin import stop_pages
from mcpweb.admin.stop_forms import StopForm
from mcpweb.instances import stopping, stops, switching
from mcpweb.instances.stops import Target
from mcpweb.web.filters import utc

bp = Blueprint("admin_stops", __name__, url_prefix="/admin")


@bp.get("/stops")
def index() -> str:
    """What is stopped, and what was."""
    shown = stop_pages.overview(page_number(request.args.get("page", "")), clock.utcnow())
    return render_template("admin/stops.html", **shown, nav="admin", section="users")


@bp.route("/stops/everything", methods=["GET", "POST"])
def everything() -> ResponseReturnValue:
    """Ask why and for how long, then refuse all calls."""
    return _stop(Target())


@bp.route("/services/<name>/stop", methods=["GET", "POST"])
def service(name: str) -> ResponseReturnValue:
    """Ask why and for how long, then refuse the calls to a service."""
    return _stop(Target(service=switching.get(name)))


@bp.route("/users/<int(max=2147483647):user_id>/stop", methods=["GET", "POST"])
def user(user_id: int) -> ResponseReturnValue:
    """Ask why and for how long, then refuse the calls of a user."""
    return _stop(Target(user=directory.get(user_id)))


@bp.post("/stops/<int(max=2147483647):stop_id>/lift")
def lift(stop_id: int) -> ResponseReturnValue:
    """End it before its time."""
    row = stops.get(stop_id)
    stopping.lift(row, current_user.email)
    flash(f"The stop of {_named(stops.of(row))} is lifted. Calls are answered again.", "success")
    return redirect(url_for(".index"), code=303)


def _stop(target: Target) -> ResponseReturnValue:
    form = StopForm()
    if not form.validate_on_submit():
        shown = stop_pages.confirm(target, clock.utcnow())
        html = render_template("admin/stop.html", form=form, **shown, nav="admin", section="users")
        return html, 422 if form.is_submitted() else 200
    row = stopping.stop(target, str(form.reason.data), form.span, current_user.email)
    flash(f"Every call of {_named(target)} is refused until {utc(row.ends_at)}.", "success")
    return redirect(url_for(".index"), code=303)


def _named(target: Target) -> str:
    return stop_pages.name(target) if target.kind != "everything" else "everybody"
