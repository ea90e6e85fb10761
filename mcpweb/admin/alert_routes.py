"""What needs an administrator, and what did."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from mcpweb import clock
from mcpweb.admin import alert_pages
from mcpweb.admin.alert_forms import AcknowledgeForm
from mcpweb.alerts import desk
from mcpweb.errors import Conflict, Unavailable
from mcpweb.extensions import limiter
from mcpweb.web.current import settings

bp = Blueprint("admin_alerts", __name__, url_prefix="/admin/alerts")
bp.add_app_template_global(desk.open_count, "open_alert_count")

_TESTS = "10 per hour"
"""How often one administrator may have everybody told that nothing is wrong."""


@bp.errorhandler(Conflict)
@bp.errorhandler(Unavailable)
def refused(error: Conflict | Unavailable) -> ResponseReturnValue:
    """What can not be done is said on the list."""
    flash(error.sentence, "error")
    return _page(), int(error.status)


@bp.get("")
def index() -> ResponseReturnValue:
    """What is open, what is over, and what is watched."""
    return _page()


@bp.post("/<int(max=2147483647):alert_id>/acknowledge")
def acknowledge(alert_id: int) -> ResponseReturnValue:
    """Say that somebody knows."""
    alert, form = desk.get(alert_id), AcknowledgeForm()
    if not form.validate_on_submit():
        return _page(form, alert.id), 422
    desk.acknowledge(alert, str(form.note.data), current_user.email)
    flash("The alert is acknowledged. There are no more reminders; it stays here until it is over.", "success")
    return redirect(url_for(".index"), code=303)


@bp.post("/test")
@limiter.limit(_TESTS, key_func=lambda: f"alert tests of user {current_user.id}")
def send_test() -> ResponseReturnValue:
    """Tell everybody who would be told that nothing is wrong."""
    desk.send_test(current_user.email)
    flash("A test alert is on its way to everybody who would be told. See below whether it arrives.", "success")
    return redirect(url_for(".index", _anchor="told-title"), code=303)


def _page(form: AcknowledgeForm | None = None, alert_id: int | None = None) -> str:
    before = alert_pages.number(request.args.get("before", ""))
    shown = alert_pages.alerts(settings(), clock.utcnow(), before)
    form = form or AcknowledgeForm(formdata=None)
    return render_template("admin/alerts.html", form=form, failed_id=alert_id, **shown, nav="admin", section="alerts")
