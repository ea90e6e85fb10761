"""Real processes of two hosts on one database, as an administrator sees them."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from sqlalchemy import select, update

from mcpweb import clock, queue
from mcpweb.database import db, transaction
from mcpweb.hosts import host_id
from mcpweb.jobs import cleaning as _cleaning  # noqa: F401 - lists its job
from mcpweb.jobs.models import JobRun
from mcpweb.monitoring.models import HostRole, InstallationSample, ResourceSample
from tests.form_client import FormClient
from tests.waiting import until

ROOT = Path(__file__).parents[2]
FAST = "from mcpweb.monitoring import heartbeat, sampling; heartbeat.BEAT_S = 0.2; sampling._SETTLED_S = 0.0; "
OLD = "heartbeat.__version__ = '0.0.9'; "
AHEAD = (
    "from datetime import timedelta; from mcpweb import clock; now = clock.utcnow; "
    "clock.utcnow = lambda: now() + timedelta(seconds=120); "
)
RUN = "from mcpweb.cli import cli; cli(['{}'])"

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(environ: dict[str, str]) -> Iterator[Start]:
    """Starts a role of a host as a process of its own, with something done before."""
    started: list[subprocess.Popen[bytes]] = []
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MCPWEB_")}

    def begin(role: str, home: Path, first: str = "", **more: str) -> subprocess.Popen[bytes]:
        settings = {**environ, "MCPWEB_HOME": str(home), **more}
        command = [sys.executable, "-c", first + RUN.format(role)]
        started.append(subprocess.Popen(command, cwd=ROOT, env={**clean, **settings}))
        return started[-1]

    yield begin
    for process in started:
        process.terminate()
    for process in started:
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        process.kill()
        process.wait()


def present(host: str, role: str) -> set[int]:
    """The numbers of the processes that have a row."""
    db.session.rollback()
    return set(db.session.scalars(select(HostRole.process).where(HostRole.host == host, HostRole.role == role)))


def heard_before(process: int, span: timedelta) -> None:
    with transaction():
        row = db.session.scalars(select(HostRole).where(HostRole.process == process)).one()
        moved = row.seen_at - span
        db.session.execute(update(HostRole).where(HostRole.process == process).values(seen_at=moved))


def parts(person: FormClient) -> str:
    """The rows of the health list, without markup."""
    rows = re.findall(r'<tr><th scope="row">(.*?)</tr>', person.get("/admin").text, re.DOTALL)
    return "\n".join(unescape(" ".join(re.sub(r"<[^>]+>", " ", row).split())) for row in rows)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_two_homes_on_one_database_are_two_hosts_and_what_is_wrong_with_one_is_named(
    app, carol, environ, start, tmp_path
):
    alpha, beta = Path(environ["MCPWEB_HOME"]), tmp_path / "beta"
    ids = {home: host_id(home / "run") for home in (alpha, beta)}
    name = {home: f"{socket.gethostname()} ({ids[home][:4]})" for home in ids}
    start("ticker", alpha, FAST)
    start("ticker", beta, FAST + OLD + AHEAD)
    worker = start("worker", beta)
    until(lambda: present(ids[alpha], "ticker") and present(ids[beta], "ticker"), "both tickers are there")
    until(lambda: present(ids[beta], "worker") == {worker.pid}, "the worker is there")

    found = parts(carol)

    assert f"Ticker {name[alpha]} Good 1 process" in found and f"Ticker {name[beta]} Good 1 process" in found
    assert f"Worker {name[beta]} Good 1 process" in found and f"Worker {name[alpha]}" not in found
    assert f"Versions Look at it 0.0.9: ticker on {name[beta]}; 0.1.0: ticker on {name[alpha]}" in found
    assert f"Clock {name[beta]} Look at it 120 seconds ahead of the database's" in found

    # What is sampled
    until(lambda: _sampled() == set(ids.values()), "both hosts have a sample")
    db.session.rollback()
    for row in db.session.scalars(select(ResourceSample)):
        assert 0 < row.memory_used < row.memory_total and 0 < row.disk_used < row.disk_total
        assert 0 <= row.cpu_percent <= 100 and row.open_files > 3
    minutes = list(db.session.scalars(select(InstallationSample)))
    assert all((one.users, one.admins, one.instances) == (1, 1, 0) for one in minutes)
    page = carol.get("/admin/hosts").text
    assert all(f">{name[home]}</h2>" in page for home in ids) and page.count("Processor, last hour: ") >= 2

    # A job runs in a process of its own, which is not one more worker
    queue.enqueue("clean_up")
    until(lambda: _ran("clean_up", ids[beta]), "the job is done")
    assert present(ids[beta], "worker") == {worker.pid}

    # A worker that is killed is missed, until another one takes its place
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    heard_before(worker.pid, timedelta(minutes=5))
    assert f"Worker {name[beta]} Act Last heard 5 minutes ago 5 minutes ago Start mcpweb worker" in parts(carol)
    assert "Missing" in carol.get("/admin/hosts").text
    heir = start("worker", beta)
    until(lambda: heir.pid in present(ids[beta], "worker"), "another worker is there")
    assert f"Worker {name[beta]} Good 1 process" in parts(carol)

    # One that is stopped says so
    heir.terminate()
    assert heir.wait(15) == 0
    assert present(ids[beta], "worker") == {worker.pid}


def _sampled() -> set[str]:
    db.session.rollback()
    return set(db.session.scalars(select(ResourceSample.host)))


def _ran(job: str, host: str) -> bool:
    db.session.rollback()
    return bool(db.session.scalars(select(JobRun).where(JobRun.job == job, JobRun.host == host)).all())


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_each_worker_of_the_web_server_says_that_it_is_there_and_its_successor_too(app, carol, start, tmp_path):
    home = tmp_path / "web"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    web = start("web", home, MCPWEB_BIND=f"127.0.0.1:{port}", MCPWEB_WEB_WORKERS="2")
    host = host_id(home / "run")
    first = until(lambda: len(present(host, "web")) == 2 and present(host, "web"), "both workers are there")
    assert web.pid not in first, "the master serves nothing"

    killed = min(first)
    os.kill(killed, signal.SIGKILL)
    heard_before(killed, timedelta(minutes=1))
    until(lambda: len(present(host, "web")) == 3, "the successor is there")

    assert re.search(r"Web \S+ Good 2 processes, heard just now", parts(carol))
    web.terminate()
    web.wait(15)
    assert present(host, "web") == {killed}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_process_that_fell_silent_is_missed_unless_one_that_started_later_took_its_place(app, carol):
    at = clock.utcnow()

    def process(number: int, heard_s: float, started_s: float) -> HostRole:
        heard, started = (at - timedelta(seconds=span) for span in (heard_s, started_s))
        words = {"name": "<b>alpha</b>", "version": "1"}
        return HostRole(host="h", role="worker", process=number, started_at=started, seen_at=heard, figures={}, **words)

    with transaction():
        db.session.add_all([process(1, 1, 9000), process(2, 400, 9000), process(3, 300, 9000)])
    assert "Worker <b>alpha</b> Look at it 2 of 3 not heard since 5 minutes ago" in parts(carol)

    with transaction():
        db.session.add(process(4, 1, 200))
    assert "Look at it 1 of 3 not heard since 5 minutes ago" in parts(carol)
    with transaction():
        db.session.add(process(5, 1, 200))
    assert "Worker <b>alpha</b> Good 3 processes, heard just now" in parts(carol)
    assert "Missing" not in carol.get("/admin/hosts?range=nonsense").text
