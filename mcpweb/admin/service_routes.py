"""Services: what is registered, how much it is used, and switching one off for everybody."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from mcpweb import clock
from mcpweb.admin import people_pages
from mcpweb.errors import Conflict
from mcpweb.instances import switching

bp = Blueprint("admin_services", __name__, url_prefix="/admin/services")


@bp.errorhandler(Conflict)
def refused(error: Conflict) -> ResponseReturnValue:
    """A change that can not be made is said on the list."""
    flash(error.sentence, "error")
    return index(), int(error.status)


@bp.get("")
def index() -> str:
    """Every service."""
    shown = people_pages.services(clock.utcnow())
    return render_template("admin/services.html", services=shown, nav="admin", section="users")


@bp.post("/<name>/disable")
def disable(name: str) -> ResponseReturnValue:
    """Switch it off."""
    row = switching.get(name)
    switching.switch_off(row, current_user.email)
    return _back(f"{row.title} is switched off. Every call to it is refused from now on.")


@bp.post("/<name>/enable")
def enable(name: str) -> ResponseReturnValue:
    """Switch it on."""
    row = switching.get(name)
    switching.switch_on(row, current_user.email)
    return _back(f"{row.title} is switched on.")


def _back(said: str) -> ResponseReturnValue:
    flash(said, "success")
    return redirect(url_for(".index"), code=303)
