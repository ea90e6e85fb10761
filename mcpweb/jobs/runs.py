"""What became of the runs of jobs: a row each, from its start on; and starting one by hand."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import redis
from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from mcpweb import clock, queue
from mcpweb.database import db, now, take_turns, transaction
from mcpweb.errors import InvalidInput, Unavailable
from mcpweb.instances.house import house
from mcpweb.jobs.models import JobRun
from mcpweb.jobs.schedule import ON_DEMAND, ON_EVENT, PLANS

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Told:
    """The run that goes on here, and when it last said how far it is."""

    run: int
    at_s: float = -math.inf


KEPT = 200
"""How many runs of each job are kept."""
_GRACE = timedelta(minutes=1)
"""A job is stopped at its time-out, and then needs a moment to say so."""
_OPEN = ("waiting", "running")
_TELL_S = 1.0

_current: ContextVar[_Told | None] = ContextVar("run", default=None)


def perform(job: str, work: Callable[[], Any], *, trigger: str = "event", run_id: int | None = None) -> None:
    """Do the work of a job and keep what became of it: an int says how many things, a dict is the whole report."""
    run = _start(job, trigger, run_id)
    told = _current.set(_Told(run))
    try:
        result = work()
    except Exception as error:
        db.session.rollback()
        _finish(run, "failed", None, {"error": type(error).__name__})
        raise
    finally:
        _current.reset(told)
    report = result if isinstance(result, dict) else {}
    _finish(run, "done", result if isinstance(result, int) else report.get("items"), report)


def tell(items: int, report: dict[str, Any]) -> None:
    """Say how far the present run is, for those who watch it; once a second at most reaches the database.

    Call it outside of a transaction. Without a run nobody is told, and the work goes on when it can not be told.
    """
    told = _current.get()
    if told is None or clock.monotonic() - told.at_s < _TELL_S:
        return
    told.at_s = clock.monotonic()
    try:
        with transaction():
            db.session.execute(update(JobRun).where(JobRun.id == told.run).values(items=items, report=report))
    except SQLAlchemyError:
        db.session.rollback()


def start_now(job: str, by_whom: str, host: str = "") -> bool:
    """Have a job run as soon as a worker is free; False when a run of it waits or goes on already.

    A job that belongs to a host runs on `host`, or else on this one; two hosts may be at work on theirs at once.

    Raises:
        InvalidInput: no job has this name.
        Unavailable: the queue can not be reached.
    """
    plan = PLANS.get(job) or ON_DEMAND.get(job)
    if plan is None:
        raise InvalidInput("There is no such job.")
    host = (host or house().propagation.host) if plan.per_host else ""
    same = (JobRun.job == job, JobRun.host == host) if plan.per_host else (JobRun.job == job,)
    with transaction():
        take_turns(f"runs of {job}")
        _lose(JobRun.job == job)
        if db.session.scalar(select(JobRun.id).where(*same, JobRun.state.in_(_OPEN)).limit(1)):
            return False
        run = JobRun(job=job, host=host, trigger="hand", by_whom=by_whom, state="waiting", started_at=now(), report={})
        db.session.add(run)
    try:
        queue.enqueue_run(job, run.id, host, plan.timeout_s)
    except redis.RedisError:
        _finish(run.id, "failed", None, {"error": "the queue could not be reached"})
        raise Unavailable("The queue can not be reached at the moment.") from None
    return True


def last_runs() -> Sequence[JobRun]:
    """The newest run of each job."""
    newest = select(func.max(JobRun.id)).group_by(JobRun.job)
    return db.session.scalars(select(JobRun).where(JobRun.id.in_(newest)).order_by(JobRun.job)).all()


def runs_of(job: str, most: int = 20) -> Sequence[JobRun]:
    """The newest runs of one job, newest first."""
    return db.session.scalars(select(JobRun).where(JobRun.job == job).order_by(JobRun.id.desc()).limit(most)).all()


def tidy() -> int:
    """Mark what was lost, and forget all but the newest runs of each job; returns how many were forgotten."""
    with transaction():
        jobs = db.session.scalars(select(JobRun.job).distinct()).all()
        forgotten = 0
        for job in jobs:
            _lose(JobRun.job == job)
            oldest = select(JobRun.id).where(JobRun.job == job).order_by(JobRun.id.desc()).offset(KEPT).limit(1)
            gone = db.session.execute(delete(JobRun).where(JobRun.job == job, JobRun.id <= oldest.scalar_subquery()))
            forgotten += gone.rowcount  # type: ignore[attr-defined]
    return forgotten


def _start(job: str, trigger: str, run_id: int | None) -> int:
    host = house().propagation.host
    with transaction():
        _lose(JobRun.job == job)
        if run_id is not None and _adopt(job, run_id, host):
            return run_id
        run = JobRun(job=job, host=host, trigger=trigger, state="running", started_at=now(), report={})
        db.session.add(run)
    return run.id


def _adopt(job: str, run_id: int, host: str) -> bool:
    """Take over the row that asked for this run; it may have been given up for lost meanwhile."""
    adopted = db.session.execute(
        update(JobRun)
        .where(JobRun.id == run_id, JobRun.job == job, JobRun.state.in_(("waiting", "lost")))
        .values(state="running", host=host, started_at=now())
    )
    return bool(adopted.rowcount)  # type: ignore[attr-defined]


def _finish(run_id: int, state: str, items: int | None, report: dict[str, Any]) -> None:
    with transaction():
        db.session.execute(
            update(JobRun).where(JobRun.id == run_id).values(state=state, finished_at=now(), items=items, report=report)
        )


def _lose(which: ColumnElement[bool]) -> None:
    """Mark the runs whose worker ended without a word: they have outlived the time-out of their job."""
    open_runs = select(JobRun.id, JobRun.job, JobRun.started_at).where(which, JobRun.state.in_(_OPEN))
    for run in db.session.execute(open_runs).all():
        plan = PLANS.get(run.job) or ON_DEMAND.get(run.job) or ON_EVENT.get(run.job)
        longest_s = plan.timeout_s if plan else queue.TIMEOUT_S
        if run.started_at < now() - timedelta(seconds=longest_s) - _GRACE:
            db.session.execute(update(JobRun).where(JobRun.id == run.id).values(state="lost"))
            log.warning("a job was lost", extra={"lost_job": run.job, "run": run.id})
