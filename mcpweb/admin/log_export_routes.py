"""Log lines as files: how many there are, sent at once or prepared by a job, and fetched later."""

from __future__ import annotations

import weakref
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from mcpweb import clock
from mcpweb.admin import log_export_pages, log_exports, log_views
from mcpweb.admin.log_filter import LogFilter
from mcpweb.admin.maintenance_pages import known_hosts
from mcpweb.instances.house import house
from mcpweb.logs import prepared
from mcpweb.web.current import log_index, settings

bp = Blueprint("admin_log_exports", __name__, url_prefix="/admin/logs")


@bp.get("/export")
def offer() -> ResponseReturnValue:
    """How many lines fit, and in which forms they can be had."""
    shown = log_export_pages.offer(_asked(), log_index(), current_user.id, clock.utcnow())
    return _page("admin/logs_export.html", **shown)


@bp.get("/export/<kind>")
def export(kind: str) -> ResponseReturnValue:
    """All lines that fit what was asked for, as a file."""
    now, done = clock.utcnow(), log_exports.turn(current_user.email)
    response = Response(mimetype="text/plain")
    weakref.finalize(response, done)  # however it ends: sent, broken off, or never begun
    form, response.response = log_exports.start(log_index(), _asked().query(now), kind, current_user.email)
    response.mimetype = form.mimetype
    response.headers["Content-Disposition"] = f'attachment; filename="logs-{now:%Y-%m-%d-%H%M}.{kind}"'
    return response


@bp.post("/export/prepare")
def prepare() -> ResponseReturnValue:
    """Have a job write the file, and mail where it is."""
    now, host = clock.utcnow(), house().propagation.host
    query = _asked().fixed(now).query(now)
    kind, who = request.form.get("kind", ""), current_user
    made = prepared.ask(who.id, who.email, kind, query, log_views.told(query), host)
    flash("The export is being prepared. You may leave: a mail says when it is ready.", "success")
    return redirect(url_for(".show", export_id=made.id), code=303)


@bp.get("/exports/<uuid:export_id>")
def show(export_id: UUID) -> ResponseReturnValue:
    """How far an export is, and where its file can be fetched."""
    found = prepared.get(export_id, current_user.id)
    shown = log_export_pages.shown(found, clock.utcnow())
    host, is_here = known_hosts().get(found.host, found.host), found.host == house().propagation.host
    return _page("admin/logs_exported.html", export=shown, host=host, is_here=is_here)


@bp.get("/exports/<uuid:export_id>/file")
def file(export_id: UUID) -> ResponseReturnValue:
    """The file itself."""
    found = prepared.get(export_id, current_user.id)
    path = log_export_pages.file_of(found, house().propagation.host, settings(), clock.utcnow())
    prepared.downloaded(found, current_user.email)
    name = f"logs-{found.asked_at:%Y-%m-%d-%H%M}.{found.kind}.gz"
    response = send_file(path, "application/gzip", as_attachment=True, download_name=name)
    response.headers["Cache-Control"] = "no-store"  # in place of its own, which would keep it in a cache
    return response


@bp.post("/exports/<uuid:export_id>/delete")
def delete(export_id: UUID) -> ResponseReturnValue:
    """Forget it, also while it is being written."""
    found = prepared.get(export_id, current_user.id)
    log_export_pages.forget(found, current_user.email, house().propagation.host, settings())
    flash("The export is deleted.", "success")
    return redirect(url_for(".offer"), code=303)


def _asked() -> LogFilter:
    return LogFilter.of(request.values.to_dict(flat=False))


def _page(template: str, **shown: object) -> str:
    return render_template(template, **shown, nav="admin", section="logs")
