"""Two hosts with two workers each, clients that call all the time: what was changed is changed for the next call.

A stale success is a call that started after a change was answered, ended before the next one began, and still succeeded
on the old state.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
import redis
import requests
from sqlalchemy.engine import make_url

from mcpweb import embedded_redis
from mcpweb.crypto import new_encryption_key
from mcpweb.instances.generations import Generations
from mcpweb.instances.propagation import Propagation
from tests.fault_proxy import FaultProxy
from tests.form_client import FormClient, OverHttp
from tests.instances.connecting import connect, shown_token
from tests.spec_server import TOKENS, SpecServer
from tests.waiting import until

ROOT = Path(__file__).parents[2]
EMAIL = "alice@example.com"
CLIENTS = 8
KEYS = [TOKENS["github"][name] for name in ("good", "oauth", "fine_grained", "installation")]
BODY = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_issues", "arguments": {}}}
BODY["params"]["arguments"] = {"owner": "octocat", "repo": "hello-world"}  # type: ignore[index]


@dataclass(frozen=True)
class Target:
    """What the clients call at the moment."""

    id: str
    token: str


@dataclass(frozen=True)
class Call:
    """One call of a client: `host` 0 or 1, times on the monotonic clock."""

    client: int
    host: int
    target: Target
    started: float
    ended: float
    status: int
    ok: bool


class Valkey:
    """A server on a TCP port that keeps nothing over a restart."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.client = redis.Redis(port=self.port, socket_timeout=1)
        self.start()

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command = [str(embedded_redis.find_server()), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(self._answers, "Valkey answers")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False


class Clients:
    """Eight clients, four a host, that call one after the other until stopped."""

    def __init__(self, urls: list[str], target: Target) -> None:
        self.urls, self.target = urls, target
        self.calls: list[Call] = []
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._go_on, args=(n,), daemon=True) for n in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join(60)

    def _go_on(self, number: int) -> None:
        host = number % 2
        while not self.stopped.wait(0.003):
            with requests.Session() as session:  # a new connection meets another worker
                for _ in range(3):
                    self.calls.append(self._call(session, number, host))

    def _call(self, session: requests.Session, number: int, host: int) -> Call:
        target, started = self.target, time.monotonic()
        headers = {"Authorization": f"Bearer {target.token}", "Accept": "application/json"}
        try:
            answer = session.post(f"{self.urls[host]}/mcp/{target.id}", json=BODY, headers=headers, timeout=20)
            status = answer.status_code
            ok = status == 200 and not answer.json().get("result", {"isError": True}).get("isError")
        except requests.RequestException:
            status, ok = 0, False
        return Call(number, host, target, started, time.monotonic(), status, ok)

    def since(self, moment: float) -> list[Call]:
        """The calls that started after the moment, and have ended."""
        return [call for call in self.calls[-3000:] if call.started > moment]

    def wait_for_each(self, moment: float, count: int = 1, ok: bool | None = None) -> None:
        """Until every client has made so many calls since the moment, with this outcome."""

        def done() -> bool:
            made = Counter(call.client for call in self.since(moment) if ok is None or call.ok == ok)
            return all(made[number] >= count for number in range(CLIENTS))

        until(done, f"each client has made {count} calls with ok={ok}", 40)


@dataclass
class Installation:
    """Two hosts, what they share, the owner's browser at each, and the ways that can be broken."""

    urls: list[str]
    folder: Path
    database: str
    browsers: list[FormClient]
    valkey: Valkey
    to_valkey: list[FaultProxy]
    to_database: FaultProxy
    github: SpecServer

    @property
    def hosts(self) -> list[Generations]:
        """What the processes of each host share."""
        return [Generations(self.folder / f"host{number}" / "run" / "generations") for number in (0, 1)]

    def post(self, host: int, path: str, **values: str) -> None:
        """Send a form at a host."""
        answer = self.browsers[host].open("POST", path, {"csrf_token": self.csrf, **values})
        assert answer.status == 303, (answer.status, path, re.sub(r"<[^>]+>|\s+", " ", answer.text)[:2000])

    def new_target(self, host: int = 0) -> Target:
        """Connect GitHub by its form."""
        page = connect(self.browsers[host], label="Work")
        token = shown_token(page)
        assert token, page.text
        self.csrf = dict(page.form("/deactivate").fields)["csrf_token"]
        return Target(page.path.rpartition("/")[2], token)


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, github: SpecServer
) -> Iterator[Installation]:
    """Two hosts on one PostgreSQL and one Valkey, each with a way of its own to Valkey that can be broken."""
    folder = tmp_path_factory.mktemp("fresh")
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS fresh")
        connection.execute("CREATE DATABASE fresh")
    direct = make_url(postgres_url).set(database="fresh")
    socket_folder = str(direct.query["host"])
    with ExitStack() as stack:
        valkey = Valkey()
        stack.callback(valkey.stop)
        to_valkey = [stack.enter_context(FaultProxy(("127.0.0.1", valkey.port))) for _ in range(2)]
        to_database = stack.enter_context(FaultProxy(f"{socket_folder}/.s.PGSQL.5432"))
        common = {
            "MCPWEB_DATABASE_URL": direct.set(host="127.0.0.1", port=to_database.port, query={}).render_as_string(
                False
            ),
            "MCPWEB_GITHUB_BASE_URL": github.url,
            "MCPWEB_SECRET_KEY": "a key that is only good for this test, but long",
            "MCPWEB_ENCRYPTION_KEYS": new_encryption_key(),
            "MCPWEB_WEB_WORKERS": "2",
            "MCPWEB_WEB_THREADS": "32",
            "MCPWEB_CALLS_PER_MINUTE": "0",
            "MCPWEB_IDENTICAL_CALLS": "0",
        }
        urls, environs = [], []
        for number, proxy in enumerate(to_valkey):
            with socket.create_server(("127.0.0.1", 0)) as free:
                bind = f"127.0.0.1:{free.getsockname()[1]}"
            urls.append(f"http://{bind}")
            own = {"MCPWEB_HOME": str(folder / f"host{number}"), "MCPWEB_BIND": bind}
            environs.append(common | own | {"MCPWEB_REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0"})
        base = {name: value for name, value in os.environ.items() if not name.startswith("MCPWEB_")}
        command = [sys.executable, "-m", "mcpweb"]
        subprocess.run([*command, "migrate"], cwd=ROOT, env=base | environs[0], check=True, stdout=subprocess.DEVNULL)
        servers: list[subprocess.Popen[bytes]] = []
        for environ in environs:
            server = subprocess.Popen([*command, "web"], cwd=ROOT, env=base | environ, stderr=subprocess.DEVNULL)
            stack.callback(server.wait)
            servers.append(server)
        for url in urls:
            until(lambda url=url: _answers(url), "a host answers", 40)
        transport = OverHttp()
        browsers = [FormClient(transport, url) for url in urls]
        asked = [*command, "sign-in-link", EMAIL]
        said = subprocess.run(
            asked, cwd=ROOT, env=base | environs[0], check=True, capture_output=True, text=True
        ).stdout
        link = re.search(r"/sign-in/\S+", said)
        assert link, said
        page = browsers[0].get(link[0])
        assert "/instances" in browsers[0].submit(page.form(link[0])).url
        shared = direct.set(drivername="postgresql").render_as_string(False)
        yield Installation(urls, folder, shared, browsers, valkey, to_valkey, to_database, github)
        transport.session.close()  # a server that is told to stop waits for its clients
        for server in servers:
            server.terminate()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=2).status_code == 200
    except requests.RequestException:
        return False


@pytest.fixture
def clients(installation: Installation) -> Iterator[Clients]:
    """Clients that have all been served by now."""
    running = Clients(installation.urls, installation.new_target())
    try:
        running.wait_for_each(0, count=2, ok=True)
        yield running
    finally:
        running.stop()


class Rounds:
    """Makes changes, one at a time, and counts what the clients get after the answer."""

    def __init__(self, installation: Installation, clients: Clients) -> None:
        self.installation, self.clients = installation, clients
        self.stale: Counter[str] = Counter()
        self.judged: Counter[str] = Counter()
        self.took: dict[str, list[float]] = {}
        self.rounds = 0
        self.key = 0
        # As a command on the first host would: its way to Valkey is never broken here.
        self.command = Propagation(
            installation.hosts[0], installation.valkey.client, installation.folder / "host0" / "run"
        )

    def change(self, name: str, change: Callable[[], object], refused: bool = True) -> None:
        """Make a change; whoever calls after its answer must (not) be refused."""
        started = time.monotonic()
        change()
        answered = time.monotonic()
        self.took.setdefault(name, []).append(answered - started)
        self.clients.wait_for_each(answered, count=2)
        self.judge(name, answered, refused)
        self.rounds += 1

    def judge(self, name: str, answered: float, refused: bool) -> None:
        """Count the calls since the answer, of which none may have (not) succeeded."""
        made = [call for call in self.clients.since(answered) if call.target == self.clients.target]
        self.judged[name] += len(made)
        self.stale[name] += sum(call.ok == refused for call in made)

    def off_and_on(self, host: int, name: str = "off") -> None:
        self.change(name, lambda: self.switch(host, "deactivate"))
        self.change(name.replace("off", "on"), lambda: self.switch(1 - host, "activate"), False)

    def switch(self, host: int, action: str) -> None:
        """Activate or deactivate."""
        self.installation.post(host, f"/instances/{self.clients.target.id}/{action}")

    def tools(self, host: int) -> None:
        path = f"/instances/{self.clients.target.id}/tools"
        self.change("tool off", lambda: self.installation.post(host, path, choice="picked", picked="get_me"))
        self.change("tool on", lambda: self.installation.post(host, path, choice="all"), False)

    def rekey(self, host: int) -> None:
        """Replace the key and let GitHub refuse the old one: then a call that still uses it fails."""
        old, self.key = KEYS[self.key], (self.key + 1) % len(KEYS)
        new, behaviours = KEYS[self.key], self.installation.github.behaviours
        kept = behaviours[old]

        def change() -> None:
            path = f"/instances/{self.clients.target.id}/credential"
            self.installation.post(host, path, **{"credential-token": new})
            behaviours[old] = "revoked"

        # A call that began before may still be on its way with the old key; only those after count.
        self.change("re-key", change, refused=False)
        behaviours[old] = kept

    def revoke(self, host: int) -> None:
        target = self.clients.target
        page = self.installation.browsers[host].get(f"/instances/{target.id}")
        form = next(form for form in page.forms if form.action.endswith("/revoke"))
        self.change("revoke", lambda: self.installation.post(host, form.action))
        self._make_token(host, target.id)

    def delete(self, host: int) -> None:
        path = f"/instances/{self.clients.target.id}/delete"
        self.change("delete", lambda: self.installation.post(host, path, label="Work"))
        self.key = 0
        self._go_to(self.installation.new_target(host))

    def disable_user(self) -> None:
        self.change("user disabled", lambda: self._enable(False))
        self.change("user enabled", lambda: self._enable(True), False)

    def _enable(self, is_enabled: bool) -> None:
        with psycopg.connect(self.installation.database, autocommit=True) as connection:
            connection.execute('UPDATE "user" SET is_enabled = %s WHERE email = %s', (is_enabled, EMAIL))
        self.command.changed(UUID(self.clients.target.id))

    def _make_token(self, host: int, id: str) -> None:
        browser = self.installation.browsers[host]
        page = browser.get(f"/instances/{id}")
        self._go_to(Target(id, shown_token(browser.submit(page.form("/tokens"), label="Next"))))

    def _go_to(self, target: Target) -> None:
        self.clients.target = target
        self.clients.wait_for_each(time.monotonic(), ok=True)

    def report(self, title: str) -> None:
        """Print the figures, and find fault with any stale success."""
        print(
            f"\n{title}: {self.rounds} changes, {CLIENTS} clients, {sum(self.judged.values())} calls judged, ", end=""
        )
        print(f"{sum(self.stale.values())} stale")
        for name, spans in self.took.items():
            longest_ms = max(spans) * 1000
            print(f"  {name}: {len(spans)} times, {self.judged[name]} calls, answered in at most {longest_ms:.0f} ms")
        assert +self.stale == Counter()


def test_after_the_answer_no_call_succeeds_on_the_old_state(installation, clients):
    rounds = Rounds(installation, clients)
    for round in range(4):
        host = round % 2
        rounds.off_and_on(host)
        rounds.tools(1 - host)
        rounds.rekey(host)
        rounds.revoke(host)
        rounds.delete(1 - host)
        rounds.disable_user()
    rounds.report("all well")
    assert max(max(spans) for spans in rounds.took.values()) < 3
    assert len({call.host for call in clients.calls if call.ok}) == 2


def test_while_valkey_restarts_or_is_flushed_no_call_succeeds_on_the_old_state(installation, clients):
    rounds = Rounds(installation, clients)
    for host in (0, 1):
        installation.valkey.client.flushall()
        rounds.off_and_on(host, "off when flushed")
    for host in (0, 1):
        installation.valkey.stop()
        installation.valkey.start()
        rounds.off_and_on(host, "off when restarted")
    installation.valkey.stop()
    rounds.change("off without Valkey", lambda: rounds.switch(0, "deactivate"))
    rounds.change("on without Valkey", lambda: rounds.switch(1, "activate"), False)
    assert all(call.ok for call in clients.calls[-CLIENTS:]), "calls ask the database"
    installation.valkey.start()
    rounds.off_and_on(1, "off when it is back")
    rounds.report("Valkey restarts, is flushed, is gone")


@pytest.mark.parametrize("mode", ["refuse", "half"])
def test_while_a_host_is_cut_from_valkey_no_call_succeeds_on_the_old_state(mode, installation, clients):
    rounds = Rounds(installation, clients)
    cut = 0 if mode == "refuse" else 1
    for changing in (cut, 1 - cut):
        installation.to_valkey[cut].set(mode)
        word = "the host that is cut off" if cut == changing else "the other"
        rounds.change(f"off at {word}", lambda host=changing: rounds.switch(host, "deactivate"))
        installation.to_valkey[cut].set("pass")
        healed = time.monotonic()
        _both_trust(installation)
        clients.wait_for_each(time.monotonic(), count=2)
        rounds.judge("after it healed", healed, True)
        rounds.change("on", lambda host=changing: rounds.switch(host, "activate"), False)
    rounds.report(f"one host is cut from Valkey ({mode})")


def _both_trust(installation: Installation) -> None:
    """Until both hosts remember again, so that what they remember can be judged."""
    hosts = installation.hosts
    until(lambda: all(host.is_trusted for host in hosts), "both hosts hear each other", 15)


def test_without_valkey_and_database_calls_are_refused_and_all_is_well_when_they_are_back(installation, clients):
    for proxy in installation.to_valkey:
        proxy.set("refuse")
    clients.wait_for_each(time.monotonic() + 2.5, ok=True)  # nobody trusts any longer, and all are served
    installation.to_database.set("refuse")
    gone = time.monotonic()
    clients.wait_for_each(gone, count=2)
    refused = clients.since(gone)
    print(f"\nno Valkey, no database: {len(refused)} calls, {sum(call.ok for call in refused)} succeeded, ", end="")
    print(f"{sorted({call.status for call in refused})}, at most {max(c.ended - c.started for c in refused):.2f} s")
    assert not any(call.ok for call in refused)
    assert {call.status for call in refused} == {503}
    assert max(call.ended - call.started for call in refused) < 3

    for proxy in (*installation.to_valkey, installation.to_database):
        proxy.set("pass")
    clients.wait_for_each(time.monotonic(), count=2, ok=True)
