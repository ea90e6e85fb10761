"""The whole road, once for each database: everything started as a user starts it, real HTTP, a real MCP client."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.form_client import FormClient, OverHttp
from tests.installed import Installation, call, installed, new_database
from tests.nginx.front import front, public_settings, trust
from tests.spec_server import TOKENS, SpecServer
from tests.waiting import until

ROOT = Path(__file__).parent.parent
GITHUB_PORT = 8101

# All installations listen on the services' own ports, so they can not run at the same time.
pytestmark = pytest.mark.xdist_group("service ports")


@pytest.fixture(params=["sqlite", "postgresql", "nginx"])
def installation(request: pytest.FixtureRequest, tmp_path: Path, github: SpecServer) -> Iterator[Installation]:
    """`mcpweb up` in an empty home, with GitHub's double in GitHub's place, and the services' own ports; or nginx."""
    environ = {"MCPWEB_GITHUB_BASE_URL": github.url, "MCPWEB_SERVICE_PORTS": "1"}
    if request.param == "postgresql":
        environ["MCPWEB_DATABASE_URL"] = new_database(request.getfixturevalue("postgres_url"), "road")
    if request.param == "nginx":
        yield from _behind_nginx(tmp_path, environ, request.getfixturevalue("monkeypatch"))
    else:
        with installed(tmp_path, **environ) as running:
            yield running


def _behind_nginx(folder: Path, environ: dict[str, str], patch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """The same with nginx in front, whose logs may hold no key afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        environ |= {"MCPWEB_BIND": f"127.0.0.1:{free.getsockname()[1]}", **public_settings()}
    with installed(folder, **environ) as running, front(environ) as nginx:
        trust(patch, nginx.authority)
        yield running
        log = nginx.log()
        assert "/sign-in/- " in log and not re.search(r"sign-in/[^- ]|mcpw_", log)


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
    page = alice.get(until(lambda: installation.mailed_link(), "the mail is in the mailbox"))
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
        tools, result = asyncio.run(call(endpoint[0], token[0], mode))
        assert {"get_me", "list_issues"} <= tools
        assert json.loads(result.content[0].text)["login"] == "octocat"
    here = urlsplit(installation.url)
    own_port = f"{here.scheme}://{here.hostname}:{GITHUB_PORT}/{endpoint[0].rpartition('/')[2]}/mcp"
    tools, _ = asyncio.run(call(own_port, token[0], "2026-07-28"))
    assert "get_me" in tools

    page = alice.get(page.url)
    assert "Waiting for the first call" not in page.text
    assert "get_me" in page.text and "Last calls" in page.text
    assert github.seen[-1].headers["authorization"] == f"Bearer {TOKENS['github']['good']}"

    logged = installation.lines("logs/users/*/*/access-*.jsonl")
    calls = [line for line in logged if line.get("tool") == "get_me"]
    assert len(calls) == 3 and all(line["outcome"] == "ok" for line in calls)
    audited = [line["message"] for line in installation.lines("logs/system/audit-*.jsonl")]
    assert audited.count("instance.create") == 1
    assert _two_on_one_connection(installation.url, "/sign-in") == [413, 200], "the rest of a body is read past"

    secrets = (token[0], TOKENS["github"]["good"])
    for path in installation.home.rglob("*"):
        if path.is_file():
            assert not [secret for secret in secrets if secret.encode() in path.read_bytes()], path


def _two_on_one_connection(url: str, path: str) -> list[int]:
    """The statuses of a body that is too large, and of the next request on the same connection."""
    here = urlsplit(url)
    kind = http.client.HTTPSConnection if here.scheme == "https" else http.client.HTTPConnection
    connection = kind(here.netloc, timeout=10)
    statuses = []
    for method, target, body in (("POST", path, b"x" * 3_000_000), ("GET", "/healthz", None)):
        connection.request(method, target, body, {"Content-Type": "application/x-www-form-urlencoded"} if body else {})
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    return statuses
