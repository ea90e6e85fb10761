"""The queue: jobs by name, as JSON, and nothing that anybody else puts there, for whoever writes Redis is not us."""

from __future__ import annotations

import json
import os
import pickle
import zlib
from pathlib import Path

import pytest
from rq import Queue
from rq.job import Job

from mcpweb import queue
from mcpweb.web.current import settings
from tests.waiting import until

ran: list[object] = []


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch):
    """Lists a function as a job for the test."""
    monkeypatch.setattr(queue, "_functions", dict(queue._functions))
    ran.clear()
    return queue.job


@pytest.fixture
def foreign(app: object, redis_url: str) -> Queue:
    """The same queue, opened by somebody who can write to Redis and does not use our code."""
    return Queue(queue.QUEUE, connection=queue.connect(redis_url), serializer="json")


def test_a_listed_job_is_run_with_its_arguments_in_the_applications_context(listed, run_jobs, app):
    @listed("probe")
    def probe(*arguments: object) -> None:
        ran.append((arguments, settings().public_url))

    queue.enqueue("probe", 7, "text")
    run_jobs()

    assert ran == [((7, "text"), "http://localhost:8080")]


def touch(path: str) -> None:
    """What an attacker would have called."""
    Path(path).touch()


@pytest.mark.parametrize(
    "name", ["os.system", "os.mkdir", "subprocess.call", "tests.test_queue.touch", "builtins.exec"]
)
def test_a_function_that_is_not_listed_is_not_called(name, foreign, run_jobs, tmp_path):
    target = tmp_path / "made"
    job = foreign.enqueue(name, str(target))

    run_jobs()

    assert not target.exists()
    assert job.get_status(refresh=True) == "failed"


def make_folder(job: Job, connection: object, *_: object) -> None:
    """A callback that an attacker would have called."""
    Path(job.meta["where"]).mkdir()


@pytest.mark.parametrize("kind", ["success_callback_name", "failure_callback_name", "stopped_callback_name"])
@pytest.mark.parametrize("name", ["expire_instances", "no_such_job"])
def test_callbacks_that_somebody_put_into_a_job_are_not_called(kind, name, foreign, run_jobs, tmp_path):
    target = tmp_path / "made"
    job = foreign.enqueue(name)
    job.meta["where"] = str(target)
    job.save_meta()
    foreign.connection.hset(job.key, kind, "tests.test_queue.make_folder")

    run_jobs()

    assert not target.exists()


def test_a_job_that_was_pickled_is_not_unpickled(foreign, run_jobs, tmp_path):
    target = tmp_path / "made"

    class Bomb:
        def __reduce__(self) -> object:
            return os.mkdir, (str(target),)

    job = foreign.enqueue("expire_instances")
    foreign.connection.hset(job.key, "data", zlib.compress(pickle.dumps(Bomb())))

    run_jobs()

    assert not target.exists()


@pytest.mark.parametrize("damage", [b"", b"\xff", zlib.compress(b"not json"), zlib.compress(b'{"a": 1}')])
def test_a_damaged_job_does_not_stop_the_next(damage, foreign, listed, run_jobs):
    @listed("probe")
    def probe() -> None:
        ran.append("probe")

    job = foreign.enqueue("expire_instances")
    foreign.connection.hset(job.key, "data", damage)
    queue.enqueue("probe")

    run_jobs()
    run_jobs()

    assert ran == ["probe"]


def test_a_job_that_fails_is_kept_for_a_week_and_the_next_is_done(listed, run_jobs, foreign):
    @listed("fail")
    def fail() -> None:
        raise RuntimeError("it broke")

    @listed("probe")
    def probe() -> None:
        ran.append("probe")

    queue.enqueue("fail")
    queue.enqueue("probe")
    run_jobs()

    assert ran == ["probe"]
    [job_id] = foreign.failed_job_registry.get_job_ids()
    assert 0 < foreign.connection.ttl(f"rq:job:{job_id}") <= 7 * 24 * 3600


def test_an_unknown_name_is_a_mistake_of_ours_and_said_at_once(app):
    with pytest.raises(ValueError, match="there is no job no_such_job"):
        queue.enqueue("no_such_job")


def test_only_ids_and_plain_values_go_into_redis_as_json(app, foreign, listed):
    listed("probe")(lambda *_: None)

    queue.enqueue("probe", 5, "x")

    [job] = foreign.get_jobs()
    raw = zlib.decompress(foreign.connection.hget(job.key, "data"))
    assert json.loads(raw) == ["probe", None, [5, "x"], {}]


def test_without_redis_a_job_runs_here_and_a_failing_one_harms_nobody(app, listed, monkeypatch, caplog):
    monkeypatch.setattr(queue, "_queue", queue.open_queue(queue.connect("redis://127.0.0.1:1/0")))

    @listed("probe")
    def probe() -> None:
        ran.append("probe")

    @listed("fail")
    def fail() -> None:
        ran.append("fail")
        raise RuntimeError("it broke")

    queue.enqueue("fail")
    queue.enqueue("probe")

    until(lambda: len(ran) == 2, "both have run")
    assert "the job runs in this process" in caplog.text
    until(lambda: "a job failed" in caplog.text, "the failure is noted")


def test_a_slot_is_put_on_the_queue_once(app, redis_url):
    rq_queue = queue.open_queue(queue.connect(redis_url))

    won = [queue.enqueue_slot(rq_queue, "clean_up", 7, 3600) for _ in range(3)]

    assert won == [True, False, False]
    assert queue.enqueue_slot(rq_queue, "clean_up", 8, 3600)


def test_what_somebody_waits_for_comes_before_the_periodic_jobs(app, listed, redis_url):
    listed("probe")(lambda: None)
    rq_queue = queue.open_queue(queue.connect(redis_url))
    queue.enqueue_slot(rq_queue, "clean_up", 7, 3600)

    queue.enqueue("probe")

    assert [job.func_name for job in rq_queue.get_jobs()] == ["probe", "clean_up"]


@pytest.mark.parametrize(
    "url, is_open",
    [
        ("redis://127.0.0.1:6379/0", True),
        ("rediss://redis.example.com:6379/0", True),
        ("redis://:secret@127.0.0.1:6379/0", False),
        ("redis://mcpweb:secret@redis.example.com/0", False),
        ("unix:///run/redis.sock?db=0", False),
        ("", False),
    ],
)
def test_a_redis_without_a_password_is_warned_about_at_the_start(url, is_open, other_app, tmp_path):
    other_app(redis_url=url, home=tmp_path, secret_key="k" * 32)
    said = "".join(path.read_text() for path in (tmp_path / "logs").rglob("*.jsonl"))
    assert ("Redis asks for no password" in said) == is_open
    assert "secret" not in said
