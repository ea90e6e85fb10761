"""What an owner sees of an instance's calls: each one, as a file, and in numbers."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from mcpweb import clock
from mcpweb.errors import NotFound
from mcpweb.instances import lifecycle, log_pages, pages, queries
from mcpweb.instances.house import house
from mcpweb.instances.log_filter import LogFilter
from mcpweb.instances.models import Instance
from mcpweb.logs import events, export
from mcpweb.web.current import log_index, settings

bp = Blueprint("calls", __name__, url_prefix="/instances/<uuid:instance_id>")

_PAGE = 50


@bp.get("/logs")
def logs(instance_id: UUID) -> ResponseReturnValue:
    """The calls that fit the filter, newest first."""
    instance = queries.get_owned(instance_id, current_user)
    asked = LogFilter.of(request.args)
    query = asked.query(instance.id, clock.utcnow())
    found = log_index().search(query, limit=_PAGE + 1, before=asked.before, after=asked.after)
    shown = log_pages.listing(asked, found, _PAGE)
    return _page("instances/logs.html", instance, asked=asked, **shown)


@bp.get("/logs/export/<kind>")
def export_logs(instance_id: UUID, kind: str) -> ResponseReturnValue:
    """All calls that fit the filter, as a file."""
    instance = queries.get_owned(instance_id, current_user)
    if kind not in ("jsonl", "csv"):
        raise NotFound("A log is exported as jsonl or csv.")
    query = LogFilter.of(request.args).query(instance.id, clock.utcnow())
    lines = (found.fields for found in log_index().stream(query))
    body: Iterator[bytes] = (
        export.json_lines(lines) if kind == "jsonl" else export.csv_rows(lines, log_pages.CSV_COLUMNS)
    )
    events.instance(instance.owner_id, instance.id, "log exported", kind=kind)
    response = Response(body, mimetype="application/x-ndjson" if kind == "jsonl" else "text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="calls-{instance.id}.{kind}"'
    return response


@bp.get("/usage")
def usage(instance_id: UUID) -> ResponseReturnValue:
    """How much it is called, how fast it answers, and how often it fails."""
    instance = queries.get_owned(instance_id, current_user)
    span = request.args.get("range", "")
    limits = {"a minute": settings().calls_per_minute, "a day": settings().calls_per_day}
    return _page("instances/usage.html", instance, limits=limits, **log_pages.usage(instance, span, clock.utcnow()))


@bp.post("/arguments")
def arguments(instance_id: UUID) -> ResponseReturnValue:
    """Say whether the log holds what tools are called with."""
    instance = queries.get_owned(instance_id, current_user)
    keeps = request.form.get("keep") == "1"
    lifecycle.keep_arguments(instance, keeps, current_user.email)
    flash(
        "From now on the log holds the arguments of calls." if keeps else "Arguments are no longer stored.", "success"
    )
    return redirect(url_for(".logs", instance_id=instance.id), code=303)


def _page(template: str, instance: Instance, **shown: object) -> str:
    head = pages.summary(instance, house().registry, clock.utcnow())
    return render_template(template, instance=head, keeps_arguments=instance.keeps_arguments, **shown, nav="instances")
