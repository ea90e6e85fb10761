"""What the pages of maintenance show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import redis
from sqlalchemy import select

from mcpweb import queue
from mcpweb.admin import maintenance_words as words
from mcpweb.database import db
from mcpweb.errors import NotFound
from mcpweb.instances.house import house
from mcpweb.jobs import rescheduling, runs
from mcpweb.jobs.models import JobRun, Schedule
from mcpweb.jobs.schedule import ON_DEMAND, PLANS, PREVIEWS, Plan, When
from mcpweb.monitoring.models import HostRole

_UPCOMING = 5
_OPEN = ("waiting", "running")


def plan_of(job: str) -> Plan:
    """The plan of a job.

    Raises:
        NotFound: there is none of this name.
    """
    plan = PLANS.get(job) or ON_DEMAND.get(job)
    if plan is None:
        raise NotFound("There is no such job.")
    return plan


def periodic(job: str) -> Plan:
    """The plan of a job that runs by itself.

    Raises:
        NotFound: there is none of this name.
    """
    if job not in PLANS:
        raise NotFound("There is no such job.")
    return PLANS[job]


def overview(now: datetime) -> dict[str, Any]:
    """All jobs with their last and next runs, and what is remembered of accesses."""
    last = {run.job: run for run in runs.last_runs()}
    rows = rescheduling.rows()
    shown = [_job(plan, last.get(plan.job), rows[plan.job], now) for plan in PLANS.values()]
    return {
        "jobs": shown,
        "on_demand": [_job(plan, last.get(job), None, now) for job, plan in ON_DEMAND.items()],
        "is_busy": any(run.state in _OPEN for run in last.values()),
        "cache": asdict(house().access.stats) | {"oldest_s": round(house().access.oldest_s)},
    }


def job_page(job: str, now: datetime) -> dict[str, Any]:
    """One job with its schedule and its newest runs.

    Raises:
        NotFound: there is no such job.
    """
    plan = plan_of(job)
    found = runs.runs_of(job)
    row = rescheduling.rows()[job] if job in PLANS else None
    return {
        "job": _job(plan, found[0] if found else None, row, now),
        "upcoming": _upcoming(row, now) if row else [],
        "runs": [words.run(one, now) for one in found],
        "is_busy": any(one.state in _OPEN for one in found),
        "kept": runs.KEPT,
    }


def schedule_page(job: str, asked: When | None, is_enabled: bool, now: datetime) -> dict[str, Any]:
    """A job's schedule, and the next runs of the one that is asked about, or else of the present one."""
    plan, row = periodic(job), rescheduling.rows()[job]
    when = asked or rescheduling.when_of(row)
    last_slot = rescheduling.settled(row, when, now) if asked else row.last_slot
    return {
        "job": _job(plan, None, row, now),
        "preview": rescheduling.next_runs(when, last_slot, now, _UPCOMING) if is_enabled else [],
        "preview_words": words.schedule(when),
        "preview_enabled": is_enabled,
        "default_words": words.schedule(plan.when),
    }


def known_hosts() -> dict[str, str]:
    """The hosts whose jobs can be asked for, this one first: id and what to call it."""
    own = house().propagation.host
    try:
        others = queue.hosts() - {own}
    except redis.RedisError:
        others = set()
    names = {role.host: role.name for role in db.session.scalars(select(HostRole))}
    return {host: f"{names[host]} ({host})" if names.get(host) else host for host in (own, *sorted(others))}


def host_of(asked: str) -> str:
    """The host that is asked for, or this one.

    Raises:
        NotFound: no such host has a worker.
    """
    if asked and asked not in known_hosts():
        raise NotFound("There is no such host, or no worker is alive on it.")
    return asked or house().propagation.host


def logs_page(host: str, now: datetime) -> dict[str, Any]:
    """What is known of the log files of a host: the newest check, maintenance and dry run there."""
    jobs = ("verify_logs", "preview_log_maintenance", "maintain_logs")
    found = {job: [run for run in runs.runs_of(job, runs.KEPT) if run.host == host] for job in jobs}
    newest = {job: _newest(some, now) for job, some in found.items()}
    return {
        "host": host,
        "is_here": host == house().propagation.host,
        "hosts": known_hosts(),
        "newest": newest,
        "is_busy": any(run.state in _OPEN for some in found.values() for run in some[:1]),
    }


def _newest(some: list[JobRun], now: datetime) -> dict[str, Any] | None:
    """The newest finished run, with its report itself, which the page puts into sentences."""
    done = next((run for run in some if run.state == "done"), None)
    if done is None:
        return None
    report = done.report
    return words.run(done, now) | {"report": report, "freed": words.size(report.get("freed_bytes") or 0)}


def _job(plan: Plan, last: JobRun | None, row: Schedule | None, now: datetime) -> dict[str, Any]:
    return {
        "name": plan.job,
        "title": words.title(plan.job),
        "does": plan.does,
        "per_host": plan.per_host,
        "preview": PREVIEWS.get(plan.job),
        "last": words.run(last, now) if last else None,
        **(_timing(plan, row, now) if row else {"is_periodic": False}),
    }


def _timing(plan: Plan, row: Schedule, now: datetime) -> Mapping[str, Any]:
    when = rescheduling.when_of(row)
    upcoming = _upcoming(row, now)
    return {
        "is_periodic": True,
        "schedule": words.schedule(when),
        "is_readable": bool(upcoming) or not row.is_enabled,
        "is_enabled": row.is_enabled,
        "is_default": row.is_enabled and when == plan.when,
        "next_at": upcoming[0] if upcoming else None,
        "changed_at": row.changed_at,
        "changed_by": row.changed_by,
    }


def _upcoming(row: Schedule, now: datetime) -> list[datetime]:
    if not row.is_enabled:
        return []
    return rescheduling.next_runs(rescheduling.when_of(row), row.last_slot, now, _UPCOMING)
