"""`mcpweb up` as a user starts it, and what can be seen of it from outside: pages, mails, calls, files."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from mcp.client import Client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

from tests.form_client import FormClient, OverHttp, Page
from tests.waiting import until

ROOT = Path(__file__).parent.parent


@dataclass
class Installation:
    """A running `mcpweb up`: where it is, what it printed, and its database's address (empty for SQLite)."""

    url: str
    setup_link: str
    home: Path
    database_url: str

    def lines(self, pattern: str) -> list[dict[str, Any]]:
        """All lines of the log files that fit."""
        return [json.loads(line) for path in self.home.glob(pattern) for line in path.read_text().splitlines()]

    def mailed_link(self, holding: str = "/sign-in/") -> str | None:
        """The first link of this kind in the newest mail."""
        reader = FormClient(OverHttp(), self.url)
        mails = [link for link in reader.get("/dev/mailbox").links if re.fullmatch(r"/dev/mailbox/.+", link)]
        if not mails:
            return None
        page: Page = reader.get(mails[0])
        return next((link for link in page.links if holding in link), None)


@contextmanager
def installed(folder: Path, **environ: str) -> Iterator[Installation]:
    """One in an empty home, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MCPWEB_")}
    environ = {"MCPWEB_HOME": str(folder / "home"), "MCPWEB_BIND": f"127.0.0.1:{port}"} | environ
    command = [sys.executable, "-m", "mcpweb", "up"]
    with (folder / "said").open("w+") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=clean | environ, stdout=out, stderr=subprocess.STDOUT)
        try:
            said = until(lambda: _block(process, folder / "said"), "mcpweb is ready", 60)
            url = re.search(r"is ready: (\S+)", said)
            link = re.search(r"First administrator\s+(\S+)", said)
            assert url and link, said
            yield Installation(url[1], link[1], folder / "home", environ.get("MCPWEB_DATABASE_URL", ""))
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0, (folder / "said").read_text()


def _block(process: subprocess.Popen[bytes], said: Path) -> str | None:
    text = said.read_text()
    assert process.poll() is None, text
    return text if "To stop" in text else None


def new_database(url: str, name: str) -> str:
    """An empty database beside the one that this address leads to; returns its address."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(f"CREATE DATABASE {name}")
    return re.sub(r"/postgres(\?|$)", rf"/{name}\1", url)


async def call(url: str, token: str, mode: Any, tool: str = "get_me") -> tuple[set[str], Any]:
    """The names of the tools, and the result of calling one, as the official client has them."""
    wire = create_mcp_http_client(headers={"Authorization": f"Bearer {token}"})
    async with wire, Client(streamable_http_client(url, http_client=wire), mode=mode) as client:
        listed = await client.list_tools()
        return {tool.name for tool in listed.tools}, await client.call_tool(tool, {})
