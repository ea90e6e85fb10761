"""The worker of a host: takes jobs from the queue, each in a process of its own that knows the application."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import redis
from flask import Flask
from rq import Queue, Worker
from rq.job import Job

from mcpweb.errors import Unavailable
from mcpweb.instances import rechecking as _rechecking  # noqa: F401 - lists its job
from mcpweb.jobs import alerting as _alerting  # noqa: F401 - lists its jobs
from mcpweb.jobs import cleaning as _cleaning  # noqa: F401 - lists its jobs
from mcpweb.jobs import counting as _counting  # noqa: F401 - lists its job
from mcpweb.jobs import expiry as _expiry  # noqa: F401 - lists its job
from mcpweb.jobs import exporting as _exporting  # noqa: F401 - lists its jobs
from mcpweb.jobs import health as _health  # noqa: F401 - lists its job
from mcpweb.jobs import log_maintenance as _log_maintenance  # noqa: F401 - lists its job
from mcpweb.jobs import previewing as _previewing  # noqa: F401 - lists its jobs
from mcpweb.jobs import reminding as _reminding  # noqa: F401 - lists its job
from mcpweb.jobs import resealing as _resealing  # noqa: F401 - lists its job
from mcpweb.jobs import runs
from mcpweb.jobs.long_work import LongWork, is_long
from mcpweb.lifeline import die_with_parent
from mcpweb.logs import context
from mcpweb.monitoring import presence
from mcpweb.queue import ListedJob, open_long_queue, open_queue

log = logging.getLogger(__name__)


class _RecordedJob(ListedJob):
    """A listed job whose run is kept in the database."""

    def perform(self) -> Any:
        function = self.func  # what is not listed is refused before anything is written in its name
        run_id = self.meta.get("run")
        runs.perform(
            str(self.func_name),
            lambda: function(*self.args, **self.kwargs),
            trigger=str(self.meta.get("trigger", "event"))[:10],
            run_id=run_id if isinstance(run_id, int) else None,
        )


class _Worker(Worker):
    """RQ's worker, with the application's context around each job."""

    app: Flask
    long_work: LongWork | None = None
    """None: it does long jobs itself."""
    max_connection_wait_time = 5.0
    """Seconds between two tries to reach Redis; with RQ's own 60, jobs would wait a minute after an outage."""

    def execute_job(self, job: Job, queue: Queue) -> None:
        if self.long_work is None or not is_long(job):
            super().execute_job(job, queue)
        else:
            self.long_work.put(job)
        if self.long_work is not None:
            self.long_work.see_to()

    def perform_job(self, job: Any, queue: Any, execution: Any) -> bool:
        with self.app.app_context(), context.work(request_id=job.id, job=job.func_name):
            done: bool = super().perform_job(job, queue, execution)
        return done

    def main_work_horse(self, job: Any, queue: Any) -> None:
        # RQ gives it a process group of its own, so nothing else would end it with a worker that is killed.
        if self.pid is not None:
            die_with_parent(self.pid)
        super().main_work_horse(job, queue)


def run(app: Flask) -> None:
    """Work until told to stop; the job at hand is finished first.

    Raises:
        Unavailable: no Redis is named.
    """
    url: str = app.extensions["mcpweb_settings"].redis_url
    if not url:
        raise Unavailable("MCPWEB_REDIS_URL is not set; `mcpweb up` starts a Redis by itself.")
    connection = redis.Redis.from_url(url)  # a worker waits for jobs, so the short time-outs of pages do not fit
    worker = open_worker(app, connection, _Worker)
    worker.long_work = LongWork(connection, _host(app), partial(_do_long, app, url))
    heartbeat = presence.worker(app)
    try:
        worker.work(logging_level="WARNING")
        worker.long_work.end()
    finally:
        heartbeat.stop()


def open_worker(app: Flask, connection: redis.Redis, kind: type[_Worker] | None = None) -> _Worker:
    """A worker for the queue of the installation and for the one of this host."""
    return _open(app, [open_queue(connection), open_queue(connection, _host(app))], kind or _Worker)


def _do_long(app: Flask, url: str) -> None:
    """Do this host's long jobs until there are none, in a process that was forked for that: it shares no connection."""
    _open(app, [open_long_queue(redis.Redis.from_url(url), _host(app))], _Worker).work(
        burst=True, logging_level="WARNING"
    )


def _open(app: Flask, queues: Sequence[Queue], kind: type[_Worker]) -> _Worker:
    worker = kind(queues, connection=queues[0].connection, job_class=_RecordedJob, serializer="json")
    worker.log_job_description = False
    worker.app = app
    return worker


def _host(app: Flask) -> str:
    host: str = app.extensions["mcpweb_house"].propagation.host
    return host
