"""Everything is killed at one moment, while it is used, and started again: the real programs, on both databases."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psutil
import pytest
import requests
from redis import Redis
from rq import Worker
from sqlalchemy import Connection, create_engine, select, text, update

from mcpweb import clock, config, embedded_redis, queue
from mcpweb.accounts import links
from mcpweb.accounts.models import Role, User
from mcpweb.database import db, transaction
from mcpweb.instances import creation
from mcpweb.instances.house import house
from mcpweb.instances.models import Instance, Notice
from mcpweb.jobs import expiry as _expiry  # noqa: F401 - lists its job
from mcpweb.logs.models import AuditEvent
from mcpweb.logs.verifying import verify
from mcpweb.web.current import settings
from tests import plugin_folder
from tests.backup.installation import Installation, of_kind
from tests.form_client import FormClient, OverHttp
from tests.instances.living import drift
from tests.jobs.seeding import seed
from tests.supervisor.conftest import StartUp
from tests.supervisor.running import REAL, ROOT, Up, all_gone, an_unused_port
from tests.waiting import until

ROUNDS = 1
"""Twenty pass, too; each takes some seconds."""
ALICE = "alice@example.com"
CALLERS = 4
DUE = 8_000
HALF_A_LINE = b'{"time":"2026-11-26T04:00:00.000Z","level":"in'


@dataclass
class Used:
    """An installation that is called and changed from several sides, and what its users were answered."""

    here: Installation
    url: str
    link: str
    """Signs the owner in, once."""
    endpoints: list[tuple[str, str]]
    """Path and token of each."""
    browser: FormClient
    answered: Counter[str] = field(default_factory=Counter)
    """Successful calls, by path."""
    asked: list[str] = field(default_factory=lambda: ["Work"])
    """The names that the owner gave the first instance."""
    confirmed: list[str] = field(default_factory=list)
    """Those of them that were answered."""

    def call(self, number: int, argument: int = 0) -> int:
        """The status of a call at one of the endpoints."""
        path, token = self.endpoints[number]
        params = {"name": "well", "arguments": {"number": argument}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        headers = {"Authorization": f"Bearer {token}"}
        status = requests.post(self.url + path, json=body, headers=headers, timeout=20).status_code
        self.answered[path] += status == 200
        return status

    def sign_in(self) -> None:
        """The owner, in her browser."""
        page = self.browser.get(self.link)
        assert self.browser.submit(page.form(self.link)).path == "/instances"

    def rename(self) -> None:
        """Give the first instance its next name."""
        page = self.browser.get(self.endpoints[0][0].replace("/mcp/", "/instances/"))
        self.asked.append(label := f"Work {len(self.asked)}")
        page = self.browser.submit(page.form("/rename"), label=label)
        assert page.status == 200 and label in page.text
        self.confirmed.append(label)

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        """What the database says."""
        with self._database() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    @property
    def left(self) -> int:
        """How many instances are to be marked as expired."""
        return int(str(self.rows("SELECT count(*) FROM instance WHERE status <> 'expired'")[0][0])) - CALLERS

    @property
    def counted(self) -> dict[str, int]:
        """The use of each endpoint."""
        told = self.rows("SELECT id, usage_count FROM instance WHERE usage_count > 0")
        return {str(id).replace("-", ""): int(str(count)) for id, count in told}

    @property
    def redis(self) -> Redis:
        """The installation's own."""
        return queue.connect(embedded_redis.url(embedded_redis.socket_path(self.here.home / "run")))

    def end(self) -> None:
        """Let the end of those with a number come."""
        past = clock.utcnow() - timedelta(seconds=1)
        with self._database() as connection:
            connection.execute(update(Instance).where(Instance.label.like("Number %")).values(expires_at=past))

    def sweep(self) -> None:
        """What the ticker asks for every 30 seconds."""
        queue.open_queue(self.redis).enqueue("expire_instances")

    @contextmanager
    def _database(self) -> Iterator[Connection]:
        engine = create_engine(config.load(self.here.environ).database)
        with engine.begin() as connection:
            yield connection
        engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def used(request: pytest.FixtureRequest, tmp_path: Path, process_state: None) -> Used:
    """With four instances that work, and many whose end is to come."""
    port = an_unused_port()
    environ = plugin_folder.settings(tmp_path, "", plugin_folder.WELL) | {
        "MCPWEB_BIND": f"127.0.0.1:{port}",
        "MCPWEB_CALLS_PER_MINUTE": "0",
    }
    with Path(environ["MCPWEB_PORTS_FILE"]).open("a") as ports:  # those of the services that `seed` knows
        ports.write((ROOT / "deploy" / "ports.toml").read_text())
    here = of_kind(request.param, lambda: str(request.getfixturevalue("postgres_url")), tmp_path / "home", **environ)
    here.prepare()
    with here.app():
        link = links.direct_link(ALICE, Role.USER, links.Links.of(settings()))
        with transaction():
            alice = User(email=ALICE, role=Role.USER, created_at=clock.utcnow())
            db.session.add(alice)
        wishes = [
            creation.Wish("Work", {"key": "0a1b2c3d", "region": "x"}, clock.utcnow() + timedelta(days=1), uuid4())
            for _ in range(CALLERS)
        ]
        service = house().registry.services[plugin_folder.NAME]
        made = [creation.create(alice, service, wish, None, house().keyring, 100) for wish in wishes]
        seed(DUE, clock.utcnow() + timedelta(days=20), owners=3)
    endpoints = [(f"/mcp/{instance.id}", token) for instance, token in made]
    url = f"http://127.0.0.1:{port}"
    return Used(here, url, f"/sign-in/{link}", endpoints, FormClient(OverHttp(), url))


@contextmanager
def busy(used: Used) -> Iterator[None]:
    """Callers, and an owner who changes something, go on until nothing answers any more."""

    def until_cut_off(act: Callable[[int], object]) -> None:
        with suppress(OSError, requests.RequestException):
            for number in itertools.count():
                act(number)

    acts: list[Callable[[int], object]] = [lambda n, number=number: used.call(number, n) for number in range(CALLERS)]
    acts.append(lambda _: used.rename())
    threads = [threading.Thread(target=until_cut_off, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()


def kill_everything(one: Up) -> list[psutil.Process]:
    """At one moment: nobody notices the end of another."""
    family = [psutil.Process(one.process.pid)]
    for process in family:
        process.suspend()
        family += [child for child in process.children() if child not in family]
    for process in family:
        process.kill()
    return family


def torn(logs: Path) -> list[Path]:
    """Leaves half a line in every file, as a crash may; returns the files."""
    files = sorted(logs.glob("**/*.jsonl"))
    for path in files:
        with path.open("ab") as file:
            file.write(HALF_A_LINE)
    return files


def read(path: Path) -> list[dict[str, object]]:
    """The lines of a log file. What was written behind half a line must stand there once more, as a line of its own."""
    raws = path.read_bytes().splitlines()
    halves = [raw for raw in raws if raw.startswith(HALF_A_LINE)]
    assert {raw.replace(HALF_A_LINE, b"") for raw in halves} <= {b"", *raws}, path
    return [json.loads(raw) for raw in raws if raw not in halves]


def test_after_kill_9_of_everything_what_was_answered_is_there_and_nothing_is_half_done(
    used: Used, up: StartUp
) -> None:
    here, logs = used.here, used.here.home / "logs"

    def start() -> Up:
        began = time.monotonic()
        one = up(here.home, int(used.url.rpartition(":")[2]), here.environ, commands=REAL).ready(60)
        print(f"\nready {time.monotonic() - began:.1f} s after the start")
        assert [used.call(number) for number in range(CALLERS)] == [200] * CALLERS, "calls work at once"
        until(lambda: Worker.count(used.redis), "the worker is there, so that nobody is busy while it starts", 60)
        return one

    one = start()
    used.sign_in()
    used.rename()
    for _ in range(ROUNDS):
        with busy(used):
            before, answered = used.left, used.answered.total()
            until(lambda answered=answered: used.answered.total() > answered + 40, "calls are answered")
            used.end()
            used.sweep()
            until(lambda before=before: used.left < before, "the sweep is under way", 60)
            family = kill_everything(one)
        assert all_gone(family)
        assert used.left > 0, "it was over before it was killed"
        files = torn(logs)
        one = start()
    used.rename()
    used.sweep()
    until(lambda: used.left == 0, "the next sweep does the rest", 60)

    answered = {path[5:].replace("-", ""): calls for path, calls in used.answered.items()}
    lines = {path: read(path) for path in files}
    calls = Counter(
        str(line["instance_id"]).replace("-", "")
        for path, found in lines.items()
        if path.name.startswith("performance-")
        for line in found
        if line.get("method") == "tools/call"
    )
    assert all(0 <= calls[id] - answered[id] <= ROUNDS for id in answered), "but for those that were under way"
    until(lambda: used.counted == calls, "each is counted once", 60)
    assert all_gone(kill_everything(one))
    check(used)


def check(used: Used) -> None:
    """What the database and the audit trail say: of each change all or nothing, and once."""
    with used.here.app():
        verdict = verify(used.here.home / "logs")
        assert verdict.is_whole, verdict
        expired = Counter(db.session.scalars(select(AuditEvent.subject).where(AuditEvent.action == "instance.expire")))
        told = Counter(db.session.scalars(select(Notice.instance_id)))
        assert (len(expired), set(expired.values())) == (len(told), set(told.values())) == (DUE, {1})
        assert drift() == {}
        changes = select(AuditEvent).where(AuditEvent.action == "instance.rename").order_by(AuditEvent.seq)
        names = ["Work", *(str(event.details["after"]) for event in db.session.scalars(changes))]
        assert [event.details["before"] for event in db.session.scalars(changes)] == names[:-1]
        assert set(used.confirmed) <= set(names) <= set(used.asked), "what was answered is there"
        assert db.session.get(Instance, UUID(used.endpoints[0][0][5:])).label == names[-1]
        if db.engine.dialect.name == "sqlite":
            assert db.session.scalar(text("PRAGMA integrity_check")) == "ok"
