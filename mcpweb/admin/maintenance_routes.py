"""What runs by itself, when, and what it did."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from mcpweb import clock
from mcpweb.admin import backup_pages, key_pages, maintenance_cache, maintenance_pages
from mcpweb.admin.maintenance_forms import ScheduleForm
from mcpweb.admin.maintenance_words import title
from mcpweb.jobs import rescheduling, runs
from mcpweb.web.current import settings

bp = Blueprint("admin_maintenance", __name__, url_prefix="/admin/maintenance")


@bp.get("")
def index() -> ResponseReturnValue:
    """All jobs, and what else keeps the installation in order."""
    return _page("admin/maintenance.html", **maintenance_pages.overview(clock.utcnow()))


@bp.get("/logs")
def logs() -> ResponseReturnValue:
    """Whether the log files of a host are whole, and what their maintenance would do."""
    host = maintenance_pages.host_of(request.args.get("host", ""))
    return _page("admin/maintenance_logs.html", **maintenance_pages.logs_page(host, clock.utcnow()))


@bp.get("/keys")
def keys() -> ResponseReturnValue:
    """The encryption keys: how old, what each has sealed, and which may go."""
    return _page("admin/keys.html", **key_pages.keys_page(clock.utcnow()))


@bp.get("/backups")
def backups() -> ResponseReturnValue:
    """The newest backups, how to make one, and how to bring one back."""
    return _page("admin/backups.html", **backup_pages.backups_page(settings(), clock.utcnow()))


@bp.get("/<job>")
def show(job: str) -> ResponseReturnValue:
    """One job, with the reports of its runs."""
    return _page("admin/job.html", **maintenance_pages.job_page(job, clock.utcnow()))


@bp.post("/<job>/run")
def run(job: str) -> ResponseReturnValue:
    """Have it run now; a run that waits or goes on already is not doubled."""
    maintenance_pages.plan_of(job)
    host = maintenance_pages.host_of(request.form.get("host", ""))
    if runs.start_now(job, current_user.email, host):
        flash(f"{title(job)} starts as soon as a worker is free.", "success")
    else:
        flash(f"{title(job)} is at work already or waits for a worker. It was not started again.", "error")
    return redirect(_after_start(job, host), code=303)


@bp.get("/<job>/schedule")
def schedule_form(job: str) -> ResponseReturnValue:
    """When it runs, to be changed."""
    maintenance_pages.periodic(job)
    row = rescheduling.rows()[job]
    return _schedule_page(job, ScheduleForm.of(row), None)


@bp.post("/<job>/schedule")
def schedule(job: str) -> ResponseReturnValue:
    """Change when it runs, or only say when it would run."""
    maintenance_pages.periodic(job)
    form = ScheduleForm()
    if not form.validate_on_submit():
        return _schedule_page(job, form, None), 422
    if "preview" in request.form:
        return _schedule_page(job, form, form)
    is_new = rescheduling.change(job, form.when, form.is_enabled.data, current_user.email)
    flash(f"{title(job)} has a new schedule." if is_new else "Nothing was changed.", "success")
    return redirect(url_for(".show", job=job), code=303)


@bp.post("/<job>/reset")
def reset(job: str) -> ResponseReturnValue:
    """Go back to the schedule as it is shipped."""
    maintenance_pages.periodic(job)
    rescheduling.reset(job, current_user.email)
    flash(f"{title(job)} runs as it is shipped again.", "success")
    return redirect(url_for(".show", job=job), code=303)


@bp.post("/cache/drop")
def drop_cache() -> ResponseReturnValue:
    """Forget what this host remembers of who may call."""
    maintenance_cache.drop(current_user.email)
    flash("Every remembered access on this host is dropped. The next calls ask the database.", "success")
    return redirect(url_for(".index"), code=303)


def _after_start(job: str, host: str) -> str:
    match request.form.get("back"):
        case "logs":
            return url_for(".logs", host=host)
        case "keys":
            return url_for(".keys")
    return url_for(".show", job=job)


def _schedule_page(job: str, form: ScheduleForm, asked: ScheduleForm | None) -> str:
    enabled = bool(form.is_enabled.data)
    shown = maintenance_pages.schedule_page(job, asked.when if asked else None, enabled, clock.utcnow())
    return _page(
        "admin/job_schedule.html", form=form, is_preview=asked is not None, zones=rescheduling.zones(), **shown
    )


def _page(template: str, **shown: object) -> str:
    return render_template(template, nav="admin", section="maintenance", **shown)
