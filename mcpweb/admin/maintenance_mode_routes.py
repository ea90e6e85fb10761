"""Maintenance mode, as administrators switch it on and off."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from mcpweb import clock, closure
from mcpweb.admin import maintenance_mode
from mcpweb.admin.maintenance_mode_forms import ModeForm

bp = Blueprint("admin_mode", __name__, url_prefix="/admin/maintenance/mode")


@bp.get("")
def show() -> ResponseReturnValue:
    """Whether it is on, and the form that switches it on or changes it."""
    return _page(ModeForm.of(closure.present(clock.utcnow())))


@bp.post("/on")
def switch_on() -> ResponseReturnValue:
    """Close pages and endpoints, or change what is said and until when."""
    form = ModeForm()
    if not form.validate_on_submit():
        return _page(form), 422
    unheard = maintenance_mode.switch_on(str(form.message.data), form.end, current_user.email)
    flash("Maintenance mode is on. Pages and calls are refused from now on.", "success")
    if unheard:
        flash(f"Not confirmed by {', '.join(unheard)}: calls there ask the database by themselves.", "error")
    return redirect(url_for(".show"), code=303)


@bp.post("/off")
def switch_off() -> ResponseReturnValue:
    """Open everything again."""
    was_on = maintenance_mode.switch_off(current_user.email)
    flash("Maintenance mode is off." if was_on else "Maintenance mode was off already.", "success")
    return redirect(url_for(".show"), code=303)


def _page(form: ModeForm) -> str:
    now = clock.utcnow()
    return render_template(
        "admin/maintenance_mode.html",
        form=form,
        on=closure.present(now),
        last=closure.last(),
        nav="admin",
        section="maintenance",
    )
