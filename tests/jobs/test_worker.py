"""The worker of a host: each job in the application's context, with an id on every line that it logs."""

from __future__ import annotations

import pytest
from rq import Queue
from rq.job import Job

from mcpweb import queue
from mcpweb.errors import Unavailable
from mcpweb.jobs import worker
from mcpweb.logs import context, events


def test_the_worker_runs_a_job_with_a_context_and_an_id(app, settings, monkeypatch):
    monkeypatch.setattr(queue, "_functions", dict(queue._functions))
    seen: dict[str, object] = {}

    @queue.job("probe")
    def probe() -> None:
        seen.update(context.current())

    queue.enqueue("probe")
    connection = queue.connect(settings.redis_url)
    rq_worker = worker._Worker(
        [queue.open_queue(connection)], connection=connection, job_class=queue.ListedJob, serializer="json"
    )
    rq_worker.app = app
    monkeypatch.setattr(rq_worker, "subscribe", lambda: None)
    monkeypatch.setattr(rq_worker, "execute_job", lambda job, q: _perform(rq_worker, job, q))
    rq_worker.work(burst=True, logging_level="CRITICAL")

    assert seen["job"] == "probe"
    assert seen["request_id"]
    assert "job" not in context.current()
    assert events.files()


def _perform(rq_worker: worker._Worker, job: Job, rq_queue: Queue) -> None:
    execution = rq_worker.prepare_execution(job)
    rq_worker.perform_job(job, rq_queue, execution)


def test_without_redis_the_worker_says_what_to_set(other_app):
    with pytest.raises(Unavailable, match="MCPWEB_REDIS_URL"):
        worker.run(other_app(redis_url=""))
