"""A running `mcpweb up` in an empty home, and what people do with it outside of the browser under test."""

from __future__ import annotations

import itertools
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import requests

from tests import loopback
from tests.form_client import FormClient, OverHttp
from tests.spec_server import TOKENS, SpecServer
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
_DATETIME = """
CREATE FUNCTION datetime(at timestamptz, shift text) RETURNS timestamptz LANGUAGE sql AS 'SELECT at + shift::interval';
CREATE FUNCTION datetime(at text, shift text) RETURNS timestamptz LANGUAGE sql AS 'SELECT now() + shift::interval';
CREATE FUNCTION datetime(at text) RETURNS timestamptz LANGUAGE sql AS 'SELECT now()';
"""
"""SQLite's function, for the statements of these tests."""


@dataclass(frozen=True)
class Connected:
    """An instance: its page, its endpoint, and its token."""

    path: str
    endpoint: str
    token: str

    def call(self, tool: str, **arguments: Any) -> None:
        """Call a tool as a client would; whatever the tool says is fine."""
        answer = requests.post(
            self.endpoint,
            json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}},
            headers={"Authorization": f"Bearer {self.token}", "Accept": "application/json, text/event-stream"},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text


@dataclass
class Live:
    """An installation. Everybody comes from an address of their own, so that nobody meets the limits of one source."""

    url: str
    setup_link: str
    home: Path
    database_url: str = ""
    """Of PostgreSQL; empty for SQLite in the home."""
    environ: dict[str, str] = field(default_factory=dict)
    """The settings that its command line needs besides."""
    addresses: Iterator[str] = field(
        default_factory=lambda: (f"127.1.{n // 250}.{n % 250 + 1}" for n in itertools.count())
    )

    def visitor(self, agent: str = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Firefox/142.0") -> FormClient:
        """Somebody who is not signed in, in a browser without JavaScript."""
        visitor = FormClient(OverHttp(), self.url, agent)
        visitor.headers["X-Forwarded-For"] = next(self.addresses)
        return visitor

    def asks(self, email: str) -> FormClient:
        """A visitor who has asked for a link, which has arrived."""
        asker, before = self.visitor(), len(self.mails(email))
        asker.submit(asker.get("/sign-in").form("/sign-in"), email=email)
        until(lambda: len(self.mails(email)) > before, "the mail is in the mailbox")
        return asker

    def signed_in(self, email: str) -> FormClient:
        """Somebody who signed in through the mailbox, and has seen the greeting."""
        asker = self.asks(email)
        self.use_link(asker, self.mailed(email)[0])
        return asker

    def administrator(self, email: str) -> FormClient:
        """Somebody who signed in with an administrator's link from the command line."""
        said = self.command("sign-in-link", email, "--admin")
        visitor = self.visitor()
        self.use_link(visitor, urlsplit(said.strip()).path)
        return visitor

    def command(self, *arguments: str) -> str:
        """Run `mcpweb` in the home of the installation; returns what it says."""
        command = [sys.executable, "-m", "mcpweb", *arguments]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("MCPWEB_")}
        environ |= {"MCPWEB_HOME": str(self.home), "MCPWEB_BIND": urlsplit(self.url).netloc, **self.environ}
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def use_link(self, visitor: FormClient, path: str) -> None:
        """Sign in with a mailed link."""
        page = visitor.submit(visitor.get(path).form(path))
        assert "You are signed in" in page.text

    def mails(self, email: str) -> list[str]:
        """The paths of an address's mails in the mailbox, newest first."""
        page = self.visitor().get("/dev/mailbox")
        rows = re.findall(r'href="(/dev/mailbox/[^"]+)".*?data-label="To">([^<]*)<', page.text, re.DOTALL)
        return [path for path, to in rows if to == email]

    def mailed(self, email: str) -> tuple[str, str]:
        """The path of the link in an address's newest mail, and the code."""
        page = self.visitor().get(self.mails(email)[0])
        code = re.search(r"\b[A-Z0-9]{4}-[A-Z0-9]{4}\b", page.text)
        assert code
        return next(urlsplit(link).path for link in page.links if "/sign-in/" in link), code[0]

    def connect(self, person: FormClient, label: str, behaviour: str = "good", lifetime: str = "30") -> Connected:
        """An instance for GitHub, with a key that behaves so; saved anyway when GitHub can not be reached."""
        form = person.get("/services/github/connect").form("/connect")
        key = TOKENS["github"][behaviour]
        page = person.submit(form, credential_token=key, label=label, lifetime=lifetime)
        if "Save anyway" in page.text:
            page = person.submit(page.form("/connect"), "save_unverified", credential_token=key)
        endpoint = re.search(rf"{self.url}/mcp/[0-9a-f-]{{36}}", page.text)
        token = re.search(r"mcpw_[0-9A-Za-z]{38}", page.text)
        assert endpoint and token, page.text
        return Connected(page.path, endpoint[0], token[0])

    def write(self, statement: str, *values: str | float | None) -> None:
        """Change rows behind the program's back: time that has passed, or what only a job finds out."""
        if self.database_url:
            with psycopg.connect(self.database_url) as connection:
                assert connection.execute(statement.replace("?", "%s"), values).rowcount > 0, statement
            return
        with closing(sqlite3.connect(self.home / "mcpweb.sqlite3", timeout=10)) as database, database:
            assert database.execute(statement, values).rowcount > 0, statement


@contextmanager
def running(folder: Path, github: SpecServer) -> Iterator[Live]:
    """`mcpweb up`, or `deploy/loopback` where that is wanted, with GitHub's double in GitHub's place."""
    if loopback.IS_WANTED:
        with loopback.loopback(MCPWEB_GITHUB_BASE_URL=github.url) as one:
            with psycopg.connect(one.database_url) as connection:
                connection.execute(_DATETIME)
            link = urlsplit(one.setup_link).path
            yield Live(one.url, link, one.folder / "home", one.database_url, one.settings)
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MCPWEB_")} | {
        "MCPWEB_HOME": str(folder / "home"),
        "MCPWEB_BIND": f"127.0.0.1:{port}",
        "MCPWEB_GITHUB_BASE_URL": github.url,
        "MCPWEB_TRUSTED_PROXIES": "127.0.0.1/32",
    }
    said = folder / "said"
    with said.open("w") as out:
        command = [sys.executable, "-m", "mcpweb", "up"]
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=out, stderr=subprocess.STDOUT)
        try:
            text = until(lambda: _said(process, said), "mcpweb is ready", 60)
            url = re.search(r"is ready: (\S+)", text)
            link = re.search(r"First administrator\s+(\S+)", text)
            assert url and link, text
            yield Live(url[1], urlsplit(link[1]).path, folder / "home")
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


def _said(process: subprocess.Popen[bytes], said: Path) -> str:
    text = said.read_text()
    assert process.poll() is None, text
    return text if "To stop" in text else ""
