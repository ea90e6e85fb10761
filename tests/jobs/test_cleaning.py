"""What nobody can use any more goes; everything else stays."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

from mcpweb import clock, queue
from mcpweb.accounts.models import UserSession, UserToken
from mcpweb.database import db, transaction
from mcpweb.instances import notices
from mcpweb.instances.models import Notice, NoticeKind, TrafficMinute, UsageRollup
from mcpweb.jobs.cleaning import clean_up, erase_logs
from mcpweb.jobs.models import JobRun
from mcpweb.logs import events
from mcpweb.monitoring.models import HostRole, InstallationSample, ResourceSample
from tests.ageing import age


def _written(folder: Path, days_ago: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "access-2026-01-01.jsonl"
    path.write_text("{}\n")
    then = (clock.utcnow() - timedelta(days=days_ago)).timestamp()
    os.utime(path, (then, then))
    return folder


def test_the_logs_of_a_deleted_instance_go_after_thirty_days_and_those_of_others_stay(app, make_instance):
    instance, _ = make_instance()
    users = events.files().root / "users"
    old = _written(users / "user_1" / f"mcp_{uuid4()}", days_ago=31)
    recent = _written(users / "user_1" / f"mcp_{uuid4()}", days_ago=29)
    alive = events.files().instance_folder(instance.owner_id, instance.id)
    for path in _written(alive, days_ago=400).iterdir():
        os.utime(path, (0, 0))

    erase_logs()

    assert not old.exists()
    assert recent.exists()
    assert alive.exists()


def _left(model: type) -> int:
    db.session.rollback()
    return db.session.query(model).count()


def _count_a_call(instance_id: UUID, days_ago: float) -> None:
    hour = (clock.utcnow() - timedelta(days=days_ago)).replace(minute=0, second=0, microsecond=0)
    with transaction():
        db.session.add(UsageRollup(instance_id=instance_id, hour=hour, tool="x", host="h", calls=1))


def test_links_go_after_two_days_and_sessions_thirty_days_after_their_end(alice):
    clean_up()
    assert (_left(UserToken), _left(UserSession)) == (1, 1)

    age(UserToken, timedelta(days=3))
    age(UserSession, timedelta(days=14 + 29))
    clean_up()
    assert (_left(UserToken), _left(UserSession)) == (0, 1)

    age(UserSession, timedelta(days=2))
    assert clean_up()["sessions"] == 1
    assert _left(UserSession) == 0


def test_notices_go_thirty_days_after_they_were_sent_and_what_was_never_sent_after_sixty(make_instance):
    instance, _ = make_instance()
    for sent in (True, False):
        with transaction():
            notices.add(NoticeKind.EXPIRED, [(instance.id, instance.owner_id)])
        if sent:
            with transaction():
                db.session.query(Notice).update({"sent_at": clock.utcnow()})

    left = []
    for _ in range(3):
        age(Notice, timedelta(days=29))
        clean_up()
        left.append(_left(Notice))

    assert left == [2, 1, 0]


def test_counts_go_after_four_hundred_days_and_of_deleted_instances_after_thirty(make_instance):
    alive = make_instance()[0].id
    for days_ago in (1, 399, 401):
        _count_a_call(alive, days_ago)
    just_deleted, long_gone = uuid4(), uuid4()
    for instance_id, days in ((just_deleted, (1, 100)), (long_gone, (31, 100))):
        for days_ago in days:
            _count_a_call(instance_id, days_ago)

    done = clean_up()

    assert (done["counts"], done["counts_of_deleted"]) == (1, 2)
    db.session.rollback()
    left = [row.instance_id for row in db.session.query(UsageRollup)]
    assert sorted(left) == sorted([alive] * 2 + [just_deleted] * 2)


def test_samples_go_after_eight_days_and_processes_that_fell_silent_after_one(app):
    at = clock.utcnow()
    sizes = dict.fromkeys(("memory_used", "memory_total", "disk_used", "disk_total", "index_behind"), 1)
    counts = dict.fromkeys(("users", "admins", "instances", "active_instances", "cache_hits", "cache_misses"), 1)
    with transaction():
        db.session.add(ResourceSample(host="h", at=at, cpu_percent=1.0, open_files=1, connections=1, **sizes))
        db.session.add(InstallationSample(minute=at, waiting=None, details={}, **counts))
        db.session.add(TrafficMinute(host="h", minute=at, service="github", calls=1))
        db.session.add(
            HostRole(host="h", role="web", process=1, name="h", version="1", started_at=at, seen_at=at, figures={})
        )
    kept = (ResourceSample, InstallationSample, TrafficMinute)

    age(HostRole, timedelta(hours=23))
    assert clean_up()["processes"] == 0
    age(HostRole, timedelta(hours=2))
    for model in kept:
        age(model, timedelta(days=7))
    done = clean_up()
    assert (done["processes"], [_left(model) for model in kept]) == (1, [1, 1, 1])

    for model in kept:
        age(model, timedelta(days=2))
    assert clean_up()["items"] == 3
    assert [_left(model) for model in kept] == [0, 0, 0]


def test_old_runs_go_and_what_was_lost_is_marked(app):
    with transaction():
        for _ in range(203):
            db.session.add(JobRun(job="recount", state="done", started_at=clock.utcnow(), report={}))
        db.session.add(JobRun(job="recount", state="running", started_at=clock.utcnow(), report={}))
    age(JobRun, timedelta(hours=1))

    assert clean_up()["runs"] == 4

    db.session.rollback()
    newest = db.session.query(JobRun).order_by(JobRun.id.desc()).first()
    assert newest and newest.state == "lost"


def test_failed_jobs_are_forgotten_after_a_week(app, settings, run_jobs, monkeypatch):
    monkeypatch.setattr(queue, "_functions", dict(queue._functions))

    @queue.job("probe")
    def probe() -> None:
        raise RuntimeError

    rq_queue = queue.open_queue(queue.connect(settings.redis_url))
    queue.enqueue("probe")
    run_jobs()
    clean_up()
    failed = rq_queue.failed_job_registry
    assert len(failed.get_job_ids(cleanup=False)) == 1
    assert rq_queue.connection.zscore(failed.key, failed.get_job_ids(cleanup=False)[0]) < clock.utcnow().timestamp() + (
        7 * 24 * 3600 + 60
    )

    rq_queue.connection.zadd(failed.key, {failed.get_job_ids(cleanup=False)[0]: 1})
    clean_up()

    assert failed.get_job_ids(cleanup=False) == []


def test_it_may_run_twice_and_without_redis(app, monkeypatch):
    monkeypatch.setattr(queue, "_queue", queue.open_queue(queue.connect("redis://127.0.0.1:1/0")))

    for _ in range(2):
        assert clean_up()["items"] == 0
