"""The ticker: each slot once, whoever else ticks, and whatever becomes of Redis, the database and the clock."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from rq import Queue
from sqlalchemy.exc import OperationalError

from mcpweb import clock, queue
from mcpweb.database import db, transaction
from mcpweb.errors import Unavailable
from mcpweb.jobs import ticker, timetable
from mcpweb.jobs.models import Schedule
from mcpweb.jobs.schedule import PLANS, daily, every
from mcpweb.jobs.ticker import Ticker
from mcpweb.settings import Settings
from tests.parallel import at_once

MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
DAILY = {job for job, plan in PLANS.items() if plan.when.at_time}
PER_HOST = {job for job, plan in PLANS.items() if plan.per_host}
SPANS = set(PLANS) - DAILY
EVERY_30_S = {job for job, plan in PLANS.items() if plan.when == every(30)}
EVERY_60_S = {job for job, plan in PLANS.items() if plan.when == every(60)}


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the wall clock to so many seconds after midnight."""

    def set_clock(seconds: float) -> None:
        monkeypatch.setattr(clock, "utcnow", lambda: MIDNIGHT + timedelta(seconds=seconds))

    return set_clock


@pytest.fixture
def schedule(app, at) -> None:
    """The rows as `migrate` makes them, at midnight."""
    at(0)
    with transaction():
        timetable.insert_missing(db.session.connection(), clock.utcnow())
    queue.connect(app.extensions["mcpweb_settings"].redis_url).flushdb()


@pytest.fixture
def new_ticker(schedule, settings, tmp_path) -> Callable[..., Ticker]:
    """A ticker of some host, by the name of its folder."""

    def make(host: str = "a") -> Ticker:
        return Ticker(queue.connect(settings.redis_url), ticker._begin(settings.database), tmp_path / host)

    return make


@pytest.fixture
def rq_queue(settings) -> Queue:
    """The queue of the installation."""
    return queue.open_queue(queue.connect(settings.redis_url))


def queued(on: Queue) -> list[str]:
    return [job.func_name for job in on.get_jobs()]


def change(job: str, **values: object) -> None:
    with transaction():
        row = db.session.get(Schedule, job)
        assert row
        for name, value in values.items():
            setattr(row, name, value)


def test_each_job_runs_once_in_a_slot(new_ticker, at):
    one = new_ticker()
    assert set(one.tick()) == SPANS

    for seconds in (2, 4, 28, 29.9):
        at(seconds)
        assert one.tick() == []

    at(30)
    assert set(one.tick()) == EVERY_30_S
    at(3600)
    assert set(one.tick()) == SPANS


def test_several_tickers_share_the_slots(new_ticker, rq_queue):
    tickers = [new_ticker() for _ in range(4)]

    won = at_once([one.tick for one in tickers])

    assert sorted(name for names in won for name in names) == sorted(SPANS)
    assert sorted(queued(rq_queue)) == sorted(SPANS - PER_HOST)


def test_a_ticker_that_is_started_again_does_not_repeat_its_slot(new_ticker):
    new_ticker().tick()

    assert new_ticker().tick() == []


def test_missed_slots_are_made_up_for_by_one_run(new_ticker, rq_queue, at):
    one = new_ticker()
    one.tick()
    at(3600 * 5)

    one.tick()

    assert queued(rq_queue).count("expire_instances") == 2


@pytest.mark.parametrize("jump", [-3600, 3600])
def test_a_clock_that_jumps_stops_nothing(jump, new_ticker, rq_queue, at):
    one = new_ticker()
    for second in range(7200, 7260, 2):
        at(second)
        one.tick()
    rq_queue.empty()

    ran: list[str] = []
    for second in range(7260, 7560, 2):
        at(second + jump)
        ran += one.tick()

    assert ran.count("expire_instances") >= 9, "ten slots in five minutes"
    assert ran.count("clean_up") <= 1


# Days


def test_a_fresh_installation_runs_no_daily_job_at_once_and_each_when_its_time_has_come(new_ticker, at):
    one = new_ticker()
    assert not set(one.tick()) & DAILY

    at(3 * 3600 + 39 * 60)
    assert set(one.tick()) & DAILY == {"maintain_logs"}
    at(3 * 3600 + 40 * 60)
    assert set(one.tick()) & DAILY == {"recount"}
    for hours in (4, 10, 23, 27):
        at(hours * 3600)
        assert "recount" not in one.tick()
    at((24 + 4) * 3600)
    assert "recount" in one.tick()


def test_days_that_were_missed_are_caught_up_by_one_run(new_ticker, at):
    new_ticker().tick()
    at(5 * 24 * 3600)

    later = new_ticker()

    assert later.tick().count("recount") == 1
    at(5 * 24 * 3600 + 2)
    assert "recount" not in later.tick()


def test_a_redis_that_lost_everything_repeats_no_day_but_goes_on_with_the_rest(new_ticker, rq_queue, at):
    one = new_ticker()
    at(4 * 3600)
    assert "recount" in one.tick()
    rq_queue.connection.flushdb()

    at(4 * 3600 + 30)
    assert set(one.tick()) == EVERY_30_S
    restarted = new_ticker().tick()
    assert "recount" not in restarted


def test_a_clock_that_is_set_back_repeats_no_day(new_ticker, at):
    one = new_ticker()
    at(3 * 3600 + 41 * 60)
    assert "recount" in one.tick()

    at(2 * 3600 + 41 * 60)
    assert "recount" not in one.tick()
    at(3 * 3600 + 42 * 60)
    assert "recount" not in one.tick()


# Hosts


@pytest.fixture
def daily_on_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daily job of each host's own, as the logs have one."""
    plans = dict(PLANS) | {
        "erase_logs": ticker.PLANS["erase_logs"].__class__("erase_logs", "Erases.", daily("03:10"), per_host=True)
    }
    monkeypatch.setattr(ticker, "PLANS", plans)


def test_a_job_of_the_hosts_own_is_put_on_the_queue_of_every_host(new_ticker, rq_queue):
    first, second = new_ticker("a"), new_ticker("b")

    won = (first.tick(), second.tick())

    due = PER_HOST - DAILY
    assert [PER_HOST & set(names) for names in won] == [due, due]
    for one in (first, second):
        assert queued(one._queues[True]) == sorted(due)
    assert not PER_HOST & set(queued(rq_queue))


def test_the_day_of_a_hosts_own_job_is_done_by_every_host_once(new_ticker, daily_on_hosts, at, rq_queue):
    change("erase_logs", every_s=None, at_time="03:10")
    first, second = new_ticker("a"), new_ticker("b")
    for one in (first, second):
        assert "erase_logs" not in one.tick(), "a new host has nothing to catch up"

    at(3 * 3600 + 600)
    assert "erase_logs" in first.tick()
    rq_queue.connection.flushdb()
    assert "erase_logs" not in first.tick()
    assert "erase_logs" not in new_ticker("a").tick(), "it is kept on the host's disk"

    at(2 * 24 * 3600)
    assert "erase_logs" in second.tick(), "caught up"
    assert "erase_logs" not in second.tick()


@pytest.mark.parametrize("damage", ["", "nonsense", "[1]", '{"erase_logs": null}'])
def test_a_damaged_note_of_the_hosts_days_is_made_anew(damage, tmp_path):
    path = tmp_path / "days.json"
    path.write_text(damage)

    days = ticker._Days(path)

    assert days.last("erase_logs", 740000) == 740000
    assert days.last("erase_logs", 740001) == 740000


# What an administrator changes


def test_a_job_that_was_switched_off_stops_and_one_that_was_changed_follows_at_the_next_tick(new_ticker, at):
    one = new_ticker()
    one.tick()
    change("expire_instances", is_enabled=False)
    change("send_notices", every_s=10)

    at(10)
    assert one.tick() == ["send_notices"]
    at(30)
    assert set(one.tick()) == EVERY_30_S - {"expire_instances"} | {"send_notices"}
    change("expire_instances", is_enabled=True)
    at(32)
    assert one.tick() == ["expire_instances"]


def test_a_schedule_that_can_not_be_read_stops_no_other_job_and_is_said_once(new_ticker, at, caplog):
    change("recount", at_time="soon")
    change("clean_up", every_s=None, at_time="03:10", timezone="Mars/Olympus")
    one = new_ticker()

    assert set(one.tick()) == SPANS - {"clean_up"}
    at(2)
    one.tick()

    assert caplog.text.count("the schedule of a job can not be read") == 2


# What is away


class _Away:
    """A door to the database that can be shut."""

    def __init__(self, begin: ticker.Begin) -> None:
        self.begin, self.is_shut = begin, False

    def __call__(self):
        if self.is_shut:
            raise OperationalError("SELECT", {}, Exception("away"))
        return self.begin()


def test_without_the_database_it_goes_on_with_what_it_knew_and_says_so_once(new_ticker, at, caplog):
    one = new_ticker()
    one._begin = door = _Away(one._begin)
    one.tick()
    door.is_shut = True

    for seconds in (30, 32, 90):
        at(seconds)
        assert set(one.tick()) == {30: EVERY_30_S, 32: set(), 90: EVERY_30_S | EVERY_60_S}[seconds]
    at(4 * 3600)
    assert "recount" in one.tick()
    at(4 * 3600 + 2)
    assert one.tick() == []
    assert caplog.text.count("can not read its schedule") == 1

    door.is_shut = False
    one.tick()
    db.session.rollback()
    row = db.session.get(Schedule, "recount", populate_existing=True)
    assert row and row.last_slot == MIDNIGHT.date().toordinal(), "told when the database is back"
    door.is_shut = True
    one.tick()
    assert caplog.text.count("can not read its schedule") == 2


class _Broken:
    """A queue whose Redis is away for some ticks."""

    name = queue.QUEUE

    def __init__(self, healthy: Queue, failures: int) -> None:
        self.healthy, self.failures = healthy, failures

    def enqueue(self, *arguments: object, **options: object) -> object:
        self.failures -= 1
        if self.failures >= 0:
            raise redis.ConnectionError("away")
        return self.healthy.enqueue(*arguments, **options)


def test_a_redis_that_is_away_delays_the_ticks_and_is_complained_about_once(
    new_ticker, rq_queue, at, monkeypatch, caplog
):
    one = new_ticker()
    at(4 * 3600)
    one._queues[False] = _Broken(rq_queue, 5)  # type: ignore[assignment]
    waits: list[float] = []
    stop = threading.Event()

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) > 8

    monkeypatch.setattr(stop, "wait", wait)

    ticker.run(one, stop)

    assert waits[:7] == [2.0, 4.0, 8.0, 10.0, 10.0, 10.0, 2.0]
    assert sorted(queued(rq_queue)) == sorted(set(PLANS) - PER_HOST)
    assert caplog.text.count("can not reach the queue") == 1


def test_without_redis_the_ticker_says_what_to_set(tmp_path: Path):
    with pytest.raises(Unavailable, match="MCPWEB_REDIS_URL"):
        ticker.main(Settings(home=tmp_path))


def test_the_ticker_stays_small_and_brings_neither_the_application_nor_its_services_along():
    script = "import sys, mcpweb.cli, mcpweb.jobs.ticker; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    assert not {"mcpweb.application", "mcpweb.gateway", "jsonschema_rs", "flask_wtf", "alembic"} & set(said)
