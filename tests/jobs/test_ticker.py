"""The ticker: each slot of each job once, whoever ticks, and through every trouble with Redis or the clock."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
import redis
from rq import Queue

from mcpweb import clock, queue
from mcpweb.config import Settings
from mcpweb.errors import Unavailable
from mcpweb.jobs import (
    ticker,
    worker,  # noqa: F401 - lists the jobs
)
from mcpweb.jobs.schedule import SCHEDULES
from tests.parallel import at_once

NAMES = {schedule.name for schedule in SCHEDULES}


@pytest.fixture
def rq_queue(redis_url: str) -> Queue:
    """An empty queue."""
    connection = queue.connect(redis_url)
    connection.flushdb()
    return queue.open_queue(connection)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch):
    """Sets the wall clock to so many seconds after midnight."""

    def set_clock(seconds: float) -> None:
        monkeypatch.setattr(clock, "utcnow", lambda: datetime(2026, 11, 23, tzinfo=UTC) + timedelta(seconds=seconds))

    return set_clock


def names(rq_queue: Queue) -> list[str]:
    return [job.func_name for job in rq_queue.get_jobs()]


def test_every_job_on_the_schedule_is_one_that_a_worker_knows():
    assert set(queue._functions) >= NAMES
    assert {"expire_instances", "sign_in_mails_left", "clean_up"} == NAMES


def test_each_job_runs_once_in_a_slot(rq_queue, at):
    done: dict[str, int] = {}
    at(0)
    assert set(ticker.tick(rq_queue, done)) == NAMES

    for seconds in (2, 4, 28, 29.9):
        at(seconds)
        assert ticker.tick(rq_queue, done) == []

    at(30)
    assert set(ticker.tick(rq_queue, done)) == {"expire_instances", "sign_in_mails_left"}
    at(3600)
    assert "clean_up" in ticker.tick(rq_queue, done)


def test_several_tickers_share_the_slots(rq_queue, redis_url, at):
    at(60)
    queues = [queue.open_queue(queue.connect(redis_url)) for _ in range(4)]

    won = at_once([lambda one=one: ticker.tick(one, {}) for one in queues])

    assert sorted(name for names in won for name in names) == sorted(NAMES)
    assert sorted(names(rq_queue)) == sorted(NAMES)


def test_a_ticker_that_is_started_again_does_not_repeat_its_slot(rq_queue, at):
    at(60)
    ticker.tick(rq_queue, {})

    assert ticker.tick(rq_queue, {}) == []


def test_missed_slots_are_made_up_for_by_one_run(rq_queue, at):
    done: dict[str, int] = {}
    at(0)
    ticker.tick(rq_queue, done)
    at(3600 * 5)

    ticker.tick(rq_queue, done)

    assert names(rq_queue).count("expire_instances") == 2


@pytest.mark.parametrize("jump", [-3600, 3600])
def test_a_clock_that_jumps_stops_nothing(jump, rq_queue, at):
    done: dict[str, int] = {}
    for second in range(7200, 7260, 2):
        at(second)
        ticker.tick(rq_queue, done)
    rq_queue.empty()

    ran = 0
    for second in range(7260, 7560, 2):
        at(second + jump)
        ran += ticker.tick(rq_queue, done).count("expire_instances")

    assert ran >= 9, "ten slots in five minutes"


class Broken:
    """A queue whose Redis is away for some ticks."""

    def __init__(self, healthy: Queue, failures: int) -> None:
        self.healthy, self.failures = healthy, failures

    def enqueue(self, *arguments: object, **options: object) -> object:
        self.failures -= 1
        if self.failures >= 0:
            raise redis.ConnectionError("away")
        return self.healthy.enqueue(*arguments, **options)


def test_a_redis_that_is_away_delays_the_ticks_and_is_complained_about_once(rq_queue, monkeypatch, caplog):
    waits: list[float] = []
    stop = threading.Event()

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) > 8

    monkeypatch.setattr(stop, "wait", wait)

    ticker.run(Broken(rq_queue, 5), stop)  # type: ignore[arg-type]

    assert waits[:7] == [2.0, 4.0, 8.0, 10.0, 10.0, 10.0, 2.0]
    assert sorted(names(rq_queue)) == sorted(NAMES)
    assert caplog.text.count("can not reach the queue") == 1


def test_without_redis_the_ticker_says_what_to_set(tmp_path):
    with pytest.raises(Unavailable, match="MCPWEB_REDIS_URL"):
        ticker.main(Settings(home=tmp_path))
