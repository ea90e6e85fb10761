"""Users, their instances, and the services."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

bp = Blueprint("admin_people", __name__, url_prefix="/admin/users")


@bp.get("")
def index() -> ResponseReturnValue:
    """Users, their instances, and the services."""
    return render_template("admin/users.html", nav="admin", section="users")
