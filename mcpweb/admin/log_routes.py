"""Every line of every log."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

bp = Blueprint("admin_logs", __name__, url_prefix="/admin/logs")


@bp.get("")
def index() -> ResponseReturnValue:
    """Every line of every log."""
    return render_template("admin/logs.html", nav="admin", section="logs")
