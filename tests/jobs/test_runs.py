"""Every run of a job leaves a row: what it did, how it ended, or that nobody knows."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from datetime import timedelta

import pytest
from redis import Redis
from rq import Queue
from rq.timeouts import TimerDeathPenalty

from mcpweb import queue
from mcpweb.database import db, transaction
from mcpweb.errors import InvalidInput, Unavailable
from mcpweb.instances.house import house
from mcpweb.jobs import runs, worker
from mcpweb.jobs.models import JobRun
from tests.ageing import age
from tests.parallel import at_once

Work = Callable[[], None]


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch):
    """Lists a function as a job for the test."""
    monkeypatch.setattr(queue, "_functions", dict(queue._functions))
    return queue.job


@pytest.fixture
def work(app, settings) -> Work:
    """Does what is on the queues, as `mcpweb worker` does."""

    class Here(worker._Worker):
        death_penalty_class = TimerDeathPenalty

        def subscribe(self) -> None:
            """Nobody commands it."""

        def execute_job(self, job, queue) -> None:
            self.perform_job(job, queue, self.prepare_execution(job))

    def run() -> None:
        opened = worker.open_worker(app, Redis.from_url(settings.redis_url), Here)
        opened.work(burst=True, logging_level="CRITICAL")

    return lambda: Context().run(run)


def rows() -> list[JobRun]:
    db.session.rollback()
    return list(db.session.query(JobRun).order_by(JobRun.id).execution_options(populate_existing=True))


@pytest.mark.parametrize(
    ("result", "items", "report"),
    [(None, None, {}), (7, 7, {}), ({"items": 3, "why": "x"}, 3, {"items": 3, "why": "x"}), ({"a": 1}, None, {"a": 1})],
)
def test_what_a_job_returns_is_kept(result, items, report, listed, work):
    listed("probe")(lambda: result)
    queue.enqueue("probe")

    work()

    [row] = rows()
    assert (row.job, row.state, row.items, row.report) == ("probe", "done", items, report)
    assert row.host == house().propagation.host
    assert row.finished_at and row.finished_at >= row.started_at
    assert (row.trigger, row.by_whom) == ("event", "")


def test_a_job_that_fails_is_kept_as_failed_without_what_it_said(listed, work):
    @listed("probe")
    def probe() -> None:
        raise RuntimeError("the secret is 1234")

    queue.enqueue("probe")
    work()

    [row] = rows()
    assert (row.state, row.report) == ("failed", {"error": "RuntimeError"})


def test_a_job_that_fails_in_the_middle_of_a_transaction_leaves_none_of_it(listed, work):
    @listed("probe")
    def probe() -> None:
        with transaction():
            db.session.add(JobRun(job="half", started_at=runs.now(), report={}))
            db.session.flush()
            raise RuntimeError

    queue.enqueue("probe")
    work()

    assert [(row.job, row.state) for row in rows()] == [("probe", "failed")]


def test_a_slot_of_the_schedule_says_so_and_the_queue_of_the_host_is_served_too(app, settings, work):
    connection = queue.connect(settings.redis_url)
    own = queue.open_queue(connection, house().propagation.host)
    assert queue.enqueue_slot(queue.open_queue(connection), "clean_up", 5, 3600)
    assert queue.enqueue_slot(own, "erase_logs", 5, 3600)
    assert queue.enqueue_slot(queue.open_queue(connection, "0123456789ab"), "erase_logs", 5, 3600)

    work()

    assert sorted((row.job, row.trigger, row.state) for row in rows()) == [
        ("clean_up", "schedule", "done"),
        ("erase_logs", "schedule", "done"),
    ]


def test_what_is_not_listed_leaves_no_row(foreign_job, work):
    foreign_job("os.system", "true")

    work()

    assert rows() == []


@pytest.fixture
def foreign_job(app, settings):
    """Puts anything on the queue, as somebody who can write to Redis."""

    def put(name: str, *arguments: str) -> None:
        Queue(queue.QUEUE, connection=queue.connect(settings.redis_url), serializer="json").enqueue(name, *arguments)

    return put


# By hand


def test_a_run_that_was_asked_for_by_hand_says_by_whom_and_only_one_goes_on(app, work):
    assert runs.start_now("recount", "carol@example.com")
    assert not runs.start_now("recount", "carol@example.com"), "it waits"
    assert runs.start_now("clean_up", "carol@example.com"), "another job is another matter"

    work()

    kept = [(row.job, row.state, row.trigger, row.by_whom) for row in rows()]
    assert kept == [(job, "done", "hand", "carol@example.com") for job in ("recount", "clean_up")]
    assert runs.start_now("recount", "carol@example.com")


def test_while_a_run_of_the_schedule_goes_on_none_is_started_by_hand(app):
    refused: list[bool] = []

    runs.perform("recount", lambda: refused.append(runs.start_now("recount", "carol@example.com")))

    assert refused == [False]


def test_of_several_who_ask_at_once_one_is_heard(app):
    def ask() -> bool:
        with app.app_context():
            return runs.start_now("recount", "carol@example.com")

    assert sorted(at_once([lambda: Context().run(ask) for _ in range(4)])) == [False, False, False, True]


def test_a_job_of_the_hosts_own_is_started_on_this_host(app, work):
    assert runs.start_now("erase_logs", "carol@example.com")

    work()

    assert [(row.job, row.state, row.host) for row in rows()] == [("erase_logs", "done", house().propagation.host)]


@pytest.mark.parametrize("job", ["sign_in_mail", "os.system", ""])
def test_only_what_is_on_the_schedule_is_started_by_hand(job, app):
    with pytest.raises(InvalidInput):
        runs.start_now(job, "carol@example.com")


def test_without_redis_nothing_is_started_and_nothing_waits_for_ever(app, monkeypatch):
    monkeypatch.setattr(queue, "_queue", queue.open_queue(queue.connect("redis://127.0.0.1:1/0")))

    with pytest.raises(Unavailable):
        runs.start_now("recount", "carol@example.com")

    assert [row.state for row in rows()] == ["failed"]


# What nobody knows, and what nobody needs


def test_a_run_whose_worker_was_killed_is_lost_and_stands_in_nobodys_way(app, work):
    with transaction():
        db.session.add(JobRun(job="recount", state="running", started_at=runs.now(), report={}))
    assert not runs.start_now("recount", "carol@example.com")
    age(JobRun, timedelta(seconds=119))
    assert not runs.start_now("recount", "carol@example.com"), "it may still be at it"

    age(JobRun, timedelta(seconds=70))
    assert runs.start_now("recount", "carol@example.com")
    work()

    assert [row.state for row in rows()] == ["lost", "done"]


def test_the_newest_two_hundred_runs_of_each_job_are_kept(app):
    with transaction():
        for number in range(205):
            db.session.add(JobRun(job="recount", state="done", started_at=runs.now(), report={}, items=number))
        db.session.add(JobRun(job="clean_up", state="done", started_at=runs.now(), report={}))

    assert runs.tidy() == 5

    assert [row.items for row in rows() if row.job == "recount"] == list(range(5, 205))
    assert len(runs.runs_of("recount")) == 20
    assert [(run.job, run.items) for run in runs.last_runs()] == [("clean_up", None), ("recount", 204)]
