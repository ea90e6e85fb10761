"""The real programs, `mcpweb ticker` and `mcpweb worker`, on real databases: many due at once, and killed half-way."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select

from mcpweb import clock, queue
from mcpweb.crypto import derive
from mcpweb.database import db, transaction
from mcpweb.instances.house import house
from mcpweb.instances.models import Instance, Notice, Status
from mcpweb.jobs import timetable
from mcpweb.jobs import worker as _worker  # noqa: F401 - lists all jobs
from mcpweb.jobs.models import JobRun
from mcpweb.logs.models import AuditEvent
from mcpweb.logs.writing import turn
from mcpweb.web.current import settings as current_settings
from tests.instances.living import drift, end, refusal
from tests.jobs.seeding import seed
from tests.logs.test_audit import chain_is_whole
from tests.waiting import until

ROOT = Path(__file__).parents[2]
MANY = 10_000

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(environ: dict[str, str]) -> Iterator[Start]:
    """Starts `mcpweb <role>`, or some other code, as a process of its own with the test's settings."""
    started: list[subprocess.Popen[bytes]] = []
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MCPWEB_")}

    def begin(role: str = "", code: str = "") -> subprocess.Popen[bytes]:
        command = [sys.executable, *(("-c", code) if code else ("-m", "mcpweb", role))]
        started.append(subprocess.Popen(command, cwd=ROOT, env={**clean, **environ}))
        return started[-1]

    yield begin
    for process in started:
        process.terminate()
    for process in started:
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        process.kill()
        process.wait()


def count(model: type, *where: object) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(model).where(*where)) or 0  # type: ignore[arg-type]


def left() -> int:
    return count(Instance, Instance.status != Status.EXPIRED)


def check_each_was_expired_once(instances: int) -> None:
    """One audit entry and one notice for each, the counters true, and the chain whole."""
    db.session.rollback()
    subjects = Counter(db.session.scalars(select(AuditEvent.subject).where(AuditEvent.action == "instance.expire")))
    assert len(subjects) == instances
    assert set(subjects.values()) == {1}
    told = Counter(db.session.scalars(select(Notice.instance_id)))
    assert len(told) == instances
    assert set(told.values()) == {1}
    assert drift() == {}
    db.session.expire_all()
    assert chain_is_whole(derive(current_settings().secret_key, "audit chain"))


def test_ten_thousand_that_end_at_once_are_expired_once_each_by_two_tickers_and_two_workers(
    app, make_instance, start, database_url, mail_server
):
    first, token = make_instance(owner="owner0@example.com")
    end(first.id, marked=False)
    assert "ended" in refusal(app, first.id, token), "refused at its second, before anything marks it"
    seed(MANY - 1, clock.utcnow() - timedelta(seconds=1), owners=20)
    with transaction():
        timetable.insert_missing(db.session.connection(), clock.utcnow())
    for _ in range(2):  # so that both workers are at it at the same time
        queue.enqueue("expire_instances")

    began = time.monotonic()
    for role in ("worker", "worker", "ticker", "ticker"):
        start(role)
    until(lambda: left() == 0, "all are marked", 60)
    marked_s = time.monotonic() - began
    until(lambda: not count(Notice, Notice.sent_at.is_(None)), "all owners are told", 60)

    check_each_was_expired_once(MANY)
    assert count(Notice, Notice.tries == 1) == MANY
    assert {mail.to[0] for mail in mail_server.mails} == {f"owner{number}@example.com" for number in range(20)}
    runs = db.session.scalars(select(JobRun).where(JobRun.job == "expire_instances", JobRun.state == "done")).all()
    at_work = [run for run in runs if run.items]
    assert sum(run.items or 0 for run in runs) == MANY
    print(
        f"\n{database_url.partition(':')[0]}: {MANY} marked {marked_s:.1f} s after the start of the programs, by "
        f"{len(at_work)} runs of {[run.items for run in at_work]}; duplicates 0; longest transaction "
        f"{max(run.report['longest_ms'] for run in at_work)} ms; {len(mail_server.mails)} mails to 20 owners"
    )


SLOW_WORKER = """
from mcpweb.application import create_app
from mcpweb.jobs import expiry, worker
expiry._BATCH = 5
worker.run(create_app())
"""


def test_a_worker_that_is_killed_again_and_again_leaves_nothing_half_done_and_nothing_twice(app, start):
    kills, horses_killed = 14, 0
    seed(kills * 40, clock.utcnow() - timedelta(seconds=1), owners=3)
    worker = start(code=SLOW_WORKER)

    def horse() -> psutil.Process | None:
        return next(iter(psutil.Process(worker.pid).children()), None)

    for number in range(kills):
        before = left()
        queue.enqueue("expire_instances")
        until(lambda before=before: left() < before, "the sweep is under way")
        assert left() > 0, "it was over before it could be killed"
        if number % 7 == 3:
            worker.kill()  # its horse dies with it
            worker.wait()
            worker = start(code=SLOW_WORKER)
        elif victim := until(horse, "the horse"):
            horses_killed += 1
            with suppress(psutil.NoSuchProcess):
                os.kill(victim.pid, signal.SIGKILL)
            until(lambda victim=victim: not victim.is_running(), "it is gone")

    queue.enqueue("expire_instances")
    until(lambda: left() == 0, "the next sweep does the rest")
    assert horses_killed == 12
    check_each_was_expired_once(kills * 40)


def test_while_the_logs_are_maintained_ends_are_marked_and_mails_go_out_and_no_process_stays(
    app, make_instance, start, browser, mail_server
):
    logs, host = current_settings().home / "logs", house().propagation.host
    first, _ = make_instance()
    finished = logs / "system" / "app-2020-01-01.jsonl"
    finished.parent.mkdir(parents=True, exist_ok=True)

    def maintain() -> None:
        finished.write_text('{"time":"2020-01-01T00:00:00.000Z"}\n')
        queue.enqueue_on(host, "maintain_logs", timeout_s=3600)

    def states(job: str) -> list[str]:
        db.session.rollback()
        return list(db.session.scalars(select(JobRun.state).where(JobRun.job == job).order_by(JobRun.id)))

    def family() -> list[psutil.Process]:
        children = psutil.Process(worker.pid).children(recursive=True)
        return [child for child in children if child.status() != psutil.STATUS_ZOMBIE]

    with turn(logs, fcntl.LOCK_SH):  # a line that came late is being written: the maintenance waits for it
        maintain()
        worker = start("worker")
        until(lambda: states("maintain_logs") == ["running"], "the maintenance is under way", 60)
        end(first.id, marked=False)
        queue.enqueue_on(host, "verify_audit", timeout_s=3600)
        queue.enqueue("expire_instances")
        until(lambda: left() == 0, "the end is marked")
        browser.submit(browser.get("/sign-in").form("/sign-in"), email="bob@example.com")
        until(lambda: "bob@example.com" in [mail.to[0] for mail in mail_server.mails], "the link is mailed")
        assert states("maintain_logs") == ["running"] and states("verify_audit") == [], "one long job at a time"
    until(lambda: states("maintain_logs") == states("verify_audit") == ["done"], "both come to their end")
    until(lambda: family() == [], "nothing is left beside the worker")

    with turn(logs, fcntl.LOCK_SH):
        maintain()
        until(lambda: states("maintain_logs") == ["done", "running"], "the next one is under way")
        queue.enqueue_on(host, "verify_audit", timeout_s=3600)
        waiting = queue.open_long_queue(queue.connect(current_settings().redis_url), host)
        until(lambda: len(waiting) == 1, "one waits for it")
        processes = family()
        worker.kill()
        assert len(processes) == 2 and not psutil.wait_procs(processes, 20)[1], "none survives its worker"
    start("worker")
    queue.enqueue("expire_instances")
    until(lambda: states("verify_audit") == ["done", "done"], "what waited is done by the next worker", 60)
    finished.unlink()
