"""A worker that may have few files and sockets open, and more clients than it can serve at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
import pytest
import requests
from sqlalchemy import make_url

from mcpweb.catalog.breakers import FAILURES
from mcpweb.web import static_files
from tests import bad_upstream, plugin_folder
from tests.parallel import at_once
from tests.served import Served, served
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("few descriptors")

DESCRIPTORS = 64

TOOLS = '''\
import os
import time
from typing import Annotated

from mcpweb.plugin_api import Api, tool


@tool("Ask", read_only=True)
def ask(api: Api) -> object:
    """Ask the service."""
    return api.request("GET", "/close").body.decode()


@tool("Hoard", read_only=True)
def hoard(api: Api, left: Annotated[int, "So many."], sign: Annotated[str, "A file, renamed then."]) -> str:
    """Hold all descriptors of the process but a few."""
    held = []
    while os.path.exists(sign):
        try:
            held.append(os.dup(0))
        except OSError:
            break
    for _ in range(left):
        os.close(held.pop())
    os.rename(sign, sign + ".held")
    while os.path.exists(sign + ".held"):
        time.sleep(0.01)
    for descriptor in held:
        os.close(descriptor)
    return "well"
'''


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, redis_url: str
) -> Iterator[Served]:
    """One worker, and Alice connected to a service that answers well and keeps no connection."""
    folder = tmp_path_factory.mktemp("descriptors")
    settings = plugin_folder.settings(folder, redis_url, TOOLS) | {
        "MCPWEB_IDENTICAL_CALLS": "0",
        "MCPWEB_CALLS_PER_MINUTE": "10000",
        "MCPWEB_CALLS_AT_ONCE": "0",
    }
    if request.param == "postgresql":
        url = str(request.getfixturevalue("postgres_url"))
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS descriptors")
            connection.execute("CREATE DATABASE descriptors")
        settings["MCPWEB_DATABASE_URL"] = make_url(url).set(database="descriptors").render_as_string(False)
    with bad_upstream.running() as upstream:
        settings["MCPWEB_WEATHER_BASE_URL"] = upstream.base_url
        with served(plugin_folder.NAME, "alice@example.com", descriptors=DESCRIPTORS, **settings) as running:
            until(lambda: running.workers, "a worker is there")  # gunicorn listens before
            yield running


def test_with_more_clients_than_descriptors_nobody_is_hung_up_on_and_no_worker_ends(server: Served) -> None:
    before = server.workers

    seen = Counter(answer for _ in range(3) for answer in at_once([partial(_visit, server, n) for n in range(48)]))

    print(f"\n48 clients on {DESCRIPTORS} descriptors: {dict(seen)}")
    assert set(seen) <= {200, 503}
    assert seen[200] > 48
    assert server.workers == before


def test_while_there_is_no_descriptor_clients_are_told_to_come_again_and_later_all_is_as_before(
    server: Served, tmp_path: Path
) -> None:
    """With one left, which the client's connection takes, and then with none; the service is not held to be down."""
    before = server.workers
    with _hoarded(server, tmp_path, left=1):
        refused = [server.call("ask") for _ in range(FAILURES + 1)]
        page = requests.get(f"{server.url}{static_files.address()}/logo.svg", timeout=20)
    with _hoarded(server, tmp_path, left=0), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.call, "ask")
        until(lambda: _waits(server), "somebody waits to be taken")
        (tmp_path / "0.held").unlink()
        late = waiting.result()

    assert {(one.status_code, one.headers["Retry-After"]) for one in [*refused, page]} == {(503, "2")}
    assert {json.dumps(one.json()["error"], sort_keys=True) for one in refused} == {
        '{"code": 1002, "message": "The server is busy. Try again in a moment."}'
    }
    assert "The server is busy." in page.text
    assert [late.status_code, _visit(server, 0), _visit(server, 3), _visit(server, 7)] == [200] * 4
    assert late.json()["result"] == {"content": [{"type": "text", "text": "last one"}]}
    assert server.workers == before


def _visit(server: Served, number: int) -> int | str:
    """The status of a call or a page; `lost` for a client who was hung up on."""
    try:
        if number % 4 == 3:
            return requests.get(server.url + ("/sign-in", "/readyz")[number % 8 // 4], timeout=20).status_code
        answer = server.call("ask")
    except requests.ConnectionError:
        return "lost"
    return answer.status_code if answer.status_code != 200 or "result" in answer.json() else answer.text


def _waits(server: Served) -> bool:
    """Whether a client is connected whom the worker has not taken; Linux keeps their number as what is to be read."""
    address = f"0100007F:{server.port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return any(line[1] == address and line[3] == "0A" and int(line[4].partition(":")[2], 16) for line in lines[1:])


@contextmanager
def _hoarded(server: Served, folder: Path, left: int) -> Iterator[None]:
    """The worker has only so many descriptors left, until the file `<left>.held` is gone."""
    sign, held = folder / str(left), folder / f"{left}.held"
    sign.touch()
    with ThreadPoolExecutor(1) as pool:
        hoarding = pool.submit(server.call, "hoard", {"left": left, "sign": str(sign)})
        try:
            until(held.exists, "the descriptors are taken")
            yield
        finally:
            held.unlink(missing_ok=True)
        assert hoarding.result().status_code == 200
