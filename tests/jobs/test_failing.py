"""A job that fails is in the log once, with its id and its name, and without what it had in hand."""

from __future__ import annotations

import json

from mcpweb import clock, queue
from mcpweb.jobs import worker
from mcpweb.web.current import settings


def test_a_job_that_fails_is_logged_once_with_its_id_and_without_secrets(app, monkeypatch):
    monkeypatch.setattr(queue, "_functions", dict(queue._functions))

    @queue.job("probe_fails")
    def probe_fails() -> None:
        credential = "canary-in-a-local"
        raise ZeroDivisionError(f"the probe with Bearer ghp_{'a' * 36} {len(credential)}")

    queue.enqueue("probe_fails")
    rq_worker = worker.open_worker(app, queue.connect(settings().redis_url))
    monkeypatch.setattr(rq_worker, "subscribe", lambda: None)
    monkeypatch.setattr(rq_worker, "execute_job", lambda job, q: _perform(rq_worker, job, q))
    rq_worker.work(burst=True, logging_level="WARNING")

    path = settings().home / "logs" / "system" / f"app-{clock.utcnow():%Y-%m-%d}.jsonl"
    said = [json.loads(line) for line in path.read_text().splitlines()]
    said = [line for line in said if "ZeroDivisionError: the probe" in str(line)]
    assert [(line["level"], line["job"]) for line in said] == [("error", "probe_fails")]
    assert said[0]["request_id"]
    assert "canary" not in str(said) and "ghp_a" not in str(said)


def _perform(rq_worker, job, rq_queue) -> None:
    rq_worker.perform_job(job, rq_queue, rq_worker.prepare_execution(job))
