"""The heartbeat of a process, and what a ticker samples."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select

from mcpweb import clock, queue
from mcpweb.database import Base, db
from mcpweb.monitoring import limits, sampling
from mcpweb.monitoring.heartbeat import Heartbeat
from mcpweb.monitoring.models import HostRole, InstallationSample, PartState, ResourceSample
from mcpweb.monitoring.sampling import Sampler
from mcpweb.web.current import settings
from tests.parallel import at_once


def test_a_database_that_is_away_is_complained_about_once_and_found_again(tmp_path, caplog):
    url = f"sqlite:///{tmp_path / 'later.sqlite3'}"
    heartbeat = Heartbeat(url, tmp_path / "run", "worker")

    assert [heartbeat.beat() for _ in range(4)] == [False] * 4
    assert caplog.text.count("can not say that it is there") == 1

    engine = create_engine(url)
    Base.metadata.create_all(engine, [HostRole.__table__])  # type: ignore[list-item]
    assert heartbeat.beat()
    with engine.connect() as connection:
        assert connection.execute(select(HostRole.role, HostRole.clock_offset_ms)).all() == [("worker", None)]
    heartbeat.stop()
    with engine.connect() as connection:
        assert connection.execute(select(HostRole.role)).all() == []


@pytest.fixture
def web(app):
    """A web process whose cache can be set."""
    cache = {"hits": 0, "misses": 0}
    heartbeat = Heartbeat(settings().database, settings().home / "run", "web", lambda: cache)
    return heartbeat, cache


@pytest.fixture
def new_sampler(app, monkeypatch):
    """Tickers' samplers, which need not wait."""
    monkeypatch.setattr(sampling, "_SETTLED_S", -1.0)
    client = queue.connect(settings().redis_url)
    return lambda redis=client: Sampler(settings().home, redis)


def minutes() -> list[InstallationSample]:
    db.session.rollback()
    return list(db.session.scalars(select(InstallationSample).order_by(InstallationSample.minute)))


def test_of_several_tickers_one_notes_the_installation_and_each_its_host(new_sampler, web):
    engine, moment = db.engine, clock.utcnow()
    samplers = [new_sampler() for _ in range(3)]

    at_once(
        [lambda one=one, n=n: one.sample(engine, moment + timedelta(microseconds=n)) for n, one in enumerate(samplers)]
    )
    samplers[0].sample(engine, moment)

    assert len(minutes()) == 1
    assert len(list(db.session.scalars(select(ResourceSample)))) == 3


def test_a_minute_holds_what_the_caches_did_since_the_one_before(new_sampler, web):
    (heartbeat, cache), sampler, moment = web, new_sampler(), clock.utcnow()
    for hits, misses in ((10, 2), (25, 3), (25, 3)):
        cache.update(hits=hits, misses=misses)
        heartbeat.beat()
        sampler.sample(db.engine, moment)
        moment += timedelta(minutes=1)
    cache.update(hits=4, misses=4)
    heartbeat._started_at = moment  # another process, which has the same number
    heartbeat.beat()
    sampler.sample(db.engine, moment)

    assert [(one.cache_hits, one.cache_misses) for one in minutes()] == [(10, 2), (15, 1), (0, 0), (4, 4)]


def test_a_redis_that_is_away_is_noted_and_the_sample_is_taken(new_sampler):
    new_sampler(queue.connect("redis://127.0.0.1:1/0")).sample(db.engine, clock.utcnow())

    assert [one.waiting for one in minutes()] == [None]
    assert [(one.part, one.state) for one in db.session.scalars(select(PartState))] == [("Redis", "bad")]


def test_in_a_container_its_limits_are_what_there_is(tmp_path: Path, monkeypatch):
    files = {"memory.max": "1000000", "memory.current": "700000", "memory.stat": "anon 5\ninactive_file 200000\n"}
    files |= {"cpu.max": "50000 100000", "cpu.stat": "usage_usec 3000000\nuser_usec 1\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    assert limits.memory(tmp_path) == (500_000, 1_000_000)
    before = limits.cpu(tmp_path)
    assert (before.used_s, before.processors) == (3.0, 0.5)
    after = limits.Cpu(before.used_s + 1, 0.5, before.at + 10)
    assert limits.percent(before, after) == 20.0, "one of the five seconds that it may have"
    assert limits.percent(after, after) == 0.0


@pytest.mark.parametrize("folder", ["absent", "unlimited"])
def test_without_limits_the_machine_is_what_there_is(folder, tmp_path):
    root = tmp_path / folder
    if folder == "unlimited":
        root.mkdir()
        for name, text in {"memory.max": "max", "cpu.max": "max 100000"}.items():
            (root / name).write_text(text)

    used, total = limits.memory(root)
    assert 100_000_000 < used < total
    assert limits.cpu(root).processors >= 1
