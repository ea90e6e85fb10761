"""Three hosts on one PostgreSQL and one Valkey: real programs, each host with a home, a name and ways of its own.

The ways can be broken one by one. Where libfaketime is there, the clock of the second host is two minutes late and that
of the third one two minutes early, in every test.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import psycopg
import redis
import requests
from sqlalchemy.engine import make_url

from mcpweb import embedded_redis
from mcpweb.crypto import mint_token, new_encryption_key
from mcpweb.hosts import host_id
from mcpweb.instances.generations import Generations
from tests.fault_proxy import FaultProxy
from tests.form_client import FormClient, OverHttp, Page
from tests.instances.connecting import connect, shown_token
from tests.mail_server import MailServer
from tests.spec_server import SpecServer
from tests.waiting import until

ROOT = Path(__file__).parents[2]
ROLES = ("web", "worker", "ticker")
NAMES = ("ada", "ben", "cleo")
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
CLOCKS_S = (0, -120, 120) if FAKETIME else (0, 0, 0)
"""How many seconds the clocks of the hosts are ahead."""
ALICE, CAROL = "alice@example.com", "carol@example.com"
COMMAND = [sys.executable, "-m", "mcpweb"]
BODY: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "list_issues", "arguments": {"owner": "octocat", "repo": "hello-world"}},
}


@dataclass(frozen=True)
class Target:
    """An instance as its client knows it."""

    id: str
    token: str


class Valkey:
    """A server on a TCP port that keeps nothing over a restart."""

    def __init__(self) -> None:
        self.port = free_port()
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


@dataclass
class Host:
    """A web server with two workers, a worker and a ticker, and their ways to what the hosts share."""

    name: str
    home: Path
    port: int
    environ: Mapping[str, str]
    to_valkey: FaultProxy
    to_database: FaultProxy
    programs: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def id(self) -> str:
        return host_id(self.home / "run")

    @property
    def remembers(self) -> bool:
        """Whether it hears the others, and so trusts what it remembers."""
        return Generations(self.home / "run" / "generations").is_trusted

    def start(self, *roles: str, **environ: str) -> None:
        """Start programs; the environment may differ from the host's."""
        for role in roles:
            self.programs[role] = subprocess.Popen(
                [*COMMAND, role], cwd=ROOT, env={**self.environ, **environ}, stderr=subprocess.DEVNULL
            )

    def start_again(self) -> None:
        """Start what has ended by itself, as systemd does: a worker ends when Redis goes at a bad moment."""
        self.start(*(role for role, program in self.programs.items() if program.poll() is not None))

    def kill(self, *roles: str) -> None:
        """End these programs, or all, without a word, and whatever they have started."""
        programs = [self.programs.pop(role) for role in roles or tuple(self.programs)]
        killed = [psutil.Process(program.pid) for program in programs if program.poll() is None]
        killed += [child for one in killed for child in one.children(recursive=True)]
        for one in killed:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(killed, timeout=10)
        for program in programs:
            program.wait()

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def call(self, target: Target, session: Any = requests) -> tuple[int, str]:
        """Call a tool on a connection of its own, or of the session: the status, and the text if it did not succeed."""
        headers = {"Authorization": f"Bearer {target.token}", "Accept": "application/json"}
        answer = session.post(f"{self.url}/mcp/{target.id}", json=BODY, headers=headers, timeout=20)
        if answer.status_code != 200:
            return answer.status_code, answer.text
        result = answer.json().get("result", {"isError": True, "content": [{"text": answer.text}]})
        return 200, str(result["content"][0]["text"]) if result.get("isError") else ""


@dataclass
class Installation:
    """The hosts, what they share, and the browsers of an owner and of an administrator at each."""

    hosts: list[Host]
    valkey: Valkey
    database: str
    github: SpecServer
    mail_server: MailServer
    alice: list[FormClient] = field(default_factory=list)
    carol: list[FormClient] = field(default_factory=list)

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask PostgreSQL directly."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            cursor = connection.execute(statement, values)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def user_id(self, email: str) -> int:
        """Of whoever has signed in before."""
        return int(self.sql('SELECT id FROM "user" WHERE email = %s', email)[0][0])

    def browsers(self) -> list[FormClient]:
        """One person's browser, seen from each host: the cookies are the same."""
        transport = OverHttp()
        return [FormClient(transport, host.url) for host in self.hosts]

    def sign_in(self, email: str) -> list[FormClient]:
        """Ask for a link at the third host, whose clock is early, use it at the second, and go on anywhere."""
        browsers = self.browsers()
        before = len(self.mails(email))
        page = browsers[2].get("/sign-in")
        assert browsers[2].submit(page.form("/sign-in"), email=email).path == "/sign-in/sent"
        until(lambda: len(self.mails(email)) > before, "the mail with the link has come")
        use_link(browsers[1], self.mails(email)[-1].link)
        return browsers

    def mails(self, email: str) -> list[Any]:
        """What this address was sent."""
        return [mail for mail in self.mail_server.mails if mail.to == [email]]

    def new_target(self, host: int = 0) -> Target:
        """Connect GitHub by its form."""
        page = connect(self.alice[host], label="Work")
        token = shown_token(page)
        assert token, page.text
        return Target(page.path.rpartition("/")[2], token)

    def post(self, browser: FormClient, path: str, **values: str) -> Page:
        """Send a form that a person has seen before; it must have been accepted."""
        answer = browser.open("POST", path, {"csrf_token": csrf_of(browser), **values})
        assert answer.status == 303, (answer.status, path, re.sub(r"<[^>]+>|\s+", " ", answer.text)[:2000])
        return answer

    def settle(self) -> None:
        """Start what does not run, and wait until all hosts hear each other; one begins to listen at its first call."""
        for host in self.hosts:
            host.start(*(role for role in ROLES if role not in host.programs))
            host.start_again()
        for host in self.hosts:
            until(host.answers, f"{host.name} answers", 60)
            until(lambda host=host: self._refuses_strangers(host), f"both processes of {host.name} answer", 40)
        until(lambda: all(host.remembers for host in self.hosts), "the hosts hear each other", 40)

    def _refuses_strangers(self, host: Host) -> bool:
        """A process whose database was away a moment ago refuses everybody until it has asked again."""
        return {host.call(Target(str(uuid4()), mint_token()))[0] for _ in range(4)} == {401}


def csrf_of(browser: FormClient) -> str:
    """What stands in every form of a session; read once."""
    found = getattr(browser.transport, "csrf", "") or dict(browser.get("/account").form("").fields).get("csrf_token")
    browser.transport.csrf = found  # type: ignore[attr-defined]
    return str(found)


def use_link(browser: FormClient, link: str) -> None:
    """Open a sign-in link, and confirm."""
    page = browser.get(link)
    assert "/instances" in browser.submit(page.form(link)).url


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@contextmanager
def installation(
    folder: Path, postgres_url: str, github: SpecServer, mail_server: MailServer
) -> Iterator[Installation]:
    """All of it, running, with both people signed in."""
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS several")
        connection.execute("CREATE DATABASE several")
    direct = make_url(postgres_url).set(database="several")
    shared = direct.set(drivername="postgresql").render_as_string(False)
    with ExitStack() as stack:
        valkey = Valkey()
        stack.callback(valkey.stop)
        common = _common(github, mail_server)
        hosts = []
        for number in range(len(NAMES)):
            to_valkey = stack.enter_context(FaultProxy(("127.0.0.1", valkey.port)))
            to_database = stack.enter_context(FaultProxy(f"{direct.query['host']}/.s.PGSQL.5432"))
            url = direct.set(host="127.0.0.1", port=to_database.port, query={}).render_as_string(False)
            port = free_port()
            environ = common | _own(number, folder, port) | {"MCPWEB_DATABASE_URL": url}
            environ["MCPWEB_REDIS_URL"] = f"redis://127.0.0.1:{to_valkey.port}/0"
            home = folder / NAMES[number]
            hosts.append(Host(NAMES[number], home, port, environ, to_valkey, to_database))
        made = Installation(hosts, valkey, shared, github, mail_server)
        first = hosts[0].environ
        subprocess.run([*COMMAND, "migrate"], cwd=ROOT, env=first, check=True, stdout=subprocess.DEVNULL)
        for host in hosts:
            stack.callback(host.kill)
            host.start(*ROLES)
        asked = [*COMMAND, "sign-in-link", CAROL, "--admin"]
        said = subprocess.run(asked, cwd=ROOT, env=first, check=True, capture_output=True, text=True).stdout
        for host in hosts:
            until(host.answers, f"{host.name} answers", 60)
        made.carol = made.browsers()
        link = re.search(r"/sign-in/\S+", said)
        assert link, said
        use_link(made.carol[0], link[0])
        made.alice = made.sign_in(ALICE)
        yield made


def _common(github: SpecServer, mail_server: MailServer) -> dict[str, str]:
    base = {name: value for name, value in os.environ.items() if not name.startswith("MCPWEB_")}
    return base | {
        "PYTHONPATH": f"{Path(__file__).parent / 'site'}:{ROOT}",
        "MCPWEB_GITHUB_BASE_URL": github.url,
        "MCPWEB_SECRET_KEY": "a key that is only good for this test, but long",
        "MCPWEB_ENCRYPTION_KEYS": new_encryption_key(),
        "MCPWEB_WEB_WORKERS": "2",
        "MCPWEB_WEB_THREADS": "32",
        "MCPWEB_CALLS_PER_MINUTE": "0",
        "MCPWEB_IDENTICAL_CALLS": "0",
        "MCPWEB_MAIL_SERVER": mail_server.host,
        "MCPWEB_MAIL_PORT": str(mail_server.port),
        "MCPWEB_MAIL_SECURITY": "none",
    }


def _own(number: int, folder: Path, port: int) -> dict[str, str]:
    own = {"MCPWEB_HOME": str(folder / NAMES[number]), "MCPWEB_BIND": f"127.0.0.1:{port}", "HOST_NAME": NAMES[number]}
    if CLOCKS_S[number]:
        # The wall clock only. With the monotonic clock moved too, Python 3.11 would wait for Events two minutes longer,
        # or not at all; gunicorn compares the times of files with that clock.
        own |= {"LD_PRELOAD": str(FAKETIME), "FAKETIME": f"{CLOCKS_S[number]:+d}s"}
        own |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
    return own
