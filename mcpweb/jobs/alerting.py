"""Every minute: does anything need an administrator? And once a day: is the audit trail whole?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from flask import Flask
from sqlalchemy import Engine, func, select

from mcpweb import clock
from mcpweb.alerts import evaluation, messages
from mcpweb.alerts.questions import QUESTIONS, Question, Reading
from mcpweb.database import db, now
from mcpweb.jobs.models import JobRun, Schedule
from mcpweb.jobs.schedule import ON_DEMAND, PLANS, SPAN_OF_A_DAY_S
from mcpweb.logs import events, verifying
from mcpweb.queue import job

_FINISHED = ("done", "failed", "lost")
_SILENCE = timedelta(seconds=150)
"""Nobody has looked for so long: the job comes every minute."""


@job("watch_alerts")
def watch_alerts() -> dict[str, object]:
    """Look at every rule, and send what there is to tell, also what could not be sent before; may run late or twice."""
    found = evaluation.look(questions(), now())
    return {**found, **{f"messages_{name}": count for name, count in messages.send_alerts().items()}}


def stand_in(app: Flask) -> Callable[[Engine, datetime], None]:
    """What a web process does after its heartbeats: look in the worker's place when nobody has for a while.

    Else nobody would be told that the last worker or the last ticker is gone.
    """
    started_at = clock.utcnow()

    def look(_engine: Engine, moment: datetime) -> None:
        with app.app_context():
            row = db.session.get(Schedule, "watch_alerts")
            if row is None or not row.is_enabled:
                return
            span = max(_SILENCE, timedelta(seconds=2.5 * (row.every_s or SPAN_OF_A_DAY_S)))
            if moment - (evaluation.looked_at() or started_at) > span:
                watch_alerts()

    return look


@job("verify_audit")
def verify_audit() -> dict[str, object]:
    """Daily: compare the audit trail with itself and with what this host logged of it; an alert tells of damage."""
    verdict = verifying.verify(events.files().root)
    if not verdict.is_whole:
        events.security("the audit trail is damaged", level="error", damage=verdict.damage, last=verdict.last)
    return {
        "items": verdict.entries,
        "is_whole": verdict.is_whole,
        "damage": verdict.damage,
        "last": verdict.last,
        "notes": list(verdict.notes[:20]),
    }


def questions() -> dict[str, Question]:
    """All of them."""
    return {**QUESTIONS, "audit": _audit, "jobs": _jobs}


def _jobs(moment: datetime) -> Sequence[Reading]:
    newest = select(func.max(JobRun.id)).where(JobRun.state.in_(_FINISHED)).group_by(JobRun.job)
    runs = db.session.execute(select(JobRun.job, JobRun.state).where(JobRun.id.in_(newest)))
    known = PLANS.keys() | ON_DEMAND.keys()
    return [
        Reading(float(state != "done"), name, name.replace("_", " ").capitalize())
        for name, state in runs
        if name in known
    ]


def _audit(moment: datetime) -> Sequence[Reading]:
    """The trail in the database, and the closed days of the log on every host, as they were verified last."""
    done = select(JobRun).where(JobRun.state == "done")
    trail = db.session.scalar(done.where(JobRun.job == "verify_audit").order_by(JobRun.id.desc()).limit(1))
    newest = (
        select(func.max(JobRun.id)).where(JobRun.job == "maintain_logs", JobRun.state == "done").group_by(JobRun.host)
    )
    logs = db.session.scalars(select(JobRun).where(JobRun.id.in_(newest)).order_by(JobRun.host))
    damaged = [run.host[:6] for run in logs if not run.report.get("is_sound", True)]
    is_whole = trail is None or trail.report.get("is_whole", True)
    return [
        Reading(float(not is_whole), "verify_audit", "The audit trail", "" if trail else "Not verified yet"),
        Reading(float(bool(damaged)), "verify_logs", f"The closed logs of host {', '.join(damaged)}"[:120]),
    ]
