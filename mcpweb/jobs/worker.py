"""The worker of a host: takes jobs from the queue, each in a process of its own that knows the application."""

from __future__ import annotations

import logging
from typing import Any

import redis
from flask import Flask
from rq import Worker

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
from mcpweb.lifeline import die_with_parent
from mcpweb.logs import context
from mcpweb.monitoring import presence
from mcpweb.queue import ListedJob, open_queue

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
    max_connection_wait_time = 5.0
    """Seconds between two tries to reach Redis; with RQ's own 60, jobs would wait a minute after an outage."""

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
    heartbeat = presence.worker(app)
    try:
        worker.work(logging_level="WARNING")
    finally:
        heartbeat.stop()


def open_worker(app: Flask, connection: redis.Redis, kind: type[_Worker] | None = None) -> _Worker:
    """A worker for the queue of the installation and for the one of this host."""
    host = app.extensions["mcpweb_house"].propagation.host
    queues = [open_queue(connection), open_queue(connection, host)]
    worker = (kind or _Worker)(queues, connection=connection, job_class=_RecordedJob, serializer="json")
    worker.log_job_description = False
    worker.app = app
    return worker
