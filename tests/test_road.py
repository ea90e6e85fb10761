"""The whole road, once for each database: everything started as a user starts it, real HTTP, a real MCP client."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from mcp.client import Client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

from tests.form_client import FormClient, OverHttp, Page
from tests.spec_server import TOKENS, SpecServer
from tests.waiting import until

ROOT = Path(__file__).parent.parent
GITHUB_PORT = 8101

# Both installations listen on the services' own ports, so they can not run at the same time.
pytestmark = pytest.mark.xdist_group("service ports")


@dataclass
class Installation:
    """A running `mcpweb up`: where it is, and what it printed."""

    url: str
    setup_link: str
    home: Path


@pytest.fixture(params=["sqlite", "postgresql"])
def installation(request: pytest.FixtureRequest, tmp_path: Path, github: SpecServer) -> Iterator[Installation]:
    """`mcpweb up` in an empty home, with GitHub's double in GitHub's place."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MCPWEB_")} | {
        "MCPWEB_HOME": str(tmp_path / "home"),
        "MCPWEB_BIND": f"127.0.0.1:{port}",
        "MCPWEB_GITHUB_BASE_URL": github.url,
        "MCPWEB_SERVICE_PORTS": "1",
    }
    if request.param == "postgresql":
        environ["MCPWEB_DATABASE_URL"] = _new_database(request.getfixturevalue("postgres_url"))
    command = [sys.executable, "-m", "mcpweb", "up"]
    with (tmp_path / "said").open("w+") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=out, stderr=subprocess.STDOUT)
        try:
            said = until(lambda: _block(process, tmp_path / "said"), "mcpweb is ready", 60)
            url = re.search(r"is ready: (\S+)", said)
            link = re.search(r"First administrator\s+(\S+)", said)
            assert url and link, said
            yield Installation(url[1], link[1], tmp_path / "home")
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0, (tmp_path / "said").read_text()


def test_from_an_empty_home_to_a_logged_call_of_an_mcp_client(installation: Installation, github: SpecServer) -> None:
    admin = FormClient(OverHttp(), installation.url)
    page = admin.get(installation.setup_link)
    page = admin.submit(page.form(holding="email"), email="carol@example.com")
    assert "Administrator" in admin.get("/account").text
    assert FormClient(OverHttp(), installation.url).get(installation.setup_link).status == 410

    alice = FormClient(OverHttp(), installation.url)
    page = alice.get("/services/github/connect")
    page = alice.submit(page.form("/sign-in"), email="alice@example.com")
    assert page.path == "/sign-in/sent"
    page = alice.get(until(lambda: _mailed_link(installation.url), "the mail is in the mailbox"))
    page = alice.submit(page.form(page.path))
    assert page.path == "/services/github/connect", "signing in leads where she wanted to go"

    page = alice.submit(page.form("/connect"), credential_token=TOKENS["github"]["good"], label="Work")
    assert page.status == 200, page.text
    assert "octocat" in page.text, "the page says whose key it is"
    token = re.search(r"mcpw_[0-9A-Za-z]{38}", page.text)
    endpoint = re.search(rf"{installation.url}/mcp/[0-9a-f-]{{36}}", page.text)
    assert token and endpoint
    assert "Waiting for the first call" in page.text
    assert token[0] not in alice.get(page.url).text, "the token is shown once"

    for mode in ("legacy", "2026-07-28"):
        tools, result = asyncio.run(_call(endpoint[0], token[0], mode))
        assert {"get_me", "list_issues"} <= tools
        assert json.loads(result.content[0].text)["login"] == "octocat"
    own_port = f"http://127.0.0.1:{GITHUB_PORT}/{endpoint[0].rpartition('/')[2]}/mcp"
    tools, _ = asyncio.run(_call(own_port, token[0], "2026-07-28"))
    assert "get_me" in tools

    page = alice.get(page.url)
    assert "Waiting for the first call" not in page.text
    assert "get_me" in page.text and "First call" in page.text
    assert github.seen[-1].headers["authorization"] == f"Bearer {TOKENS['github']['good']}"

    logged = _lines(installation.home, "logs/users/*/*/access-*.jsonl")
    calls = [line for line in logged if line.get("tool") == "get_me"]
    assert len(calls) == 3 and all(line["outcome"] == "ok" for line in calls)
    audited = [line["message"] for line in _lines(installation.home, "logs/system/audit-*.jsonl")]
    assert audited.count("instance.create") == 1
    assert _two_on_one_connection(installation.url, "/sign-in") == [413, 200], "the rest of a body is read past"

    secrets = (token[0], TOKENS["github"]["good"])
    for path in installation.home.rglob("*"):
        if path.is_file():
            assert not [secret for secret in secrets if secret.encode() in path.read_bytes()], path


def _two_on_one_connection(url: str, path: str) -> list[int]:
    """The statuses of a body that is too large, and of the next request on the same connection."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    statuses = []
    for method, target, body in (("POST", path, b"x" * 3_000_000), ("GET", "/healthz", None)):
        connection.request(method, target, body, {"Content-Type": "application/x-www-form-urlencoded"} if body else {})
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    return statuses


async def _call(url: str, token: str, mode: Any) -> tuple[set[str], Any]:
    wire = create_mcp_http_client(headers={"Authorization": f"Bearer {token}"})
    async with wire, Client(streamable_http_client(url, http_client=wire), mode=mode) as client:
        listed = await client.list_tools()
        return {tool.name for tool in listed.tools}, await client.call_tool("get_me", {})


def _mailed_link(url: str) -> str | None:
    reader = FormClient(OverHttp(), url)
    mails = [link for link in reader.get("/dev/mailbox").links if re.fullmatch(r"/dev/mailbox/.+", link)]
    if not mails:
        return None
    page: Page = reader.get(mails[0])
    return next(link for link in page.links if "/sign-in/" in link)


def _block(process: subprocess.Popen[bytes], said: Path) -> str | None:
    text = said.read_text()
    assert process.poll() is None, text
    return text if "To stop" in text else None


def _lines(home: Path, pattern: str) -> list[dict[str, Any]]:
    return [json.loads(line) for path in home.glob(pattern) for line in path.read_text().splitlines()]


def _new_database(url: str) -> str:
    import psycopg

    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS road")
        connection.execute("CREATE DATABASE road")
    return re.sub(r"/postgres(\?|$)", r"/road\1", url)
