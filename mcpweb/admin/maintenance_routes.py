"""What runs by itself, when, and what it did."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

bp = Blueprint("admin_maintenance", __name__, url_prefix="/admin/maintenance")


@bp.get("")
def index() -> ResponseReturnValue:
    """What runs by itself, when, and what it did."""
    return render_template("admin/maintenance.html", nav="admin", section="maintenance")
