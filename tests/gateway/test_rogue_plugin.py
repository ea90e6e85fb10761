"""A plugin that does its worst, loaded like any other and served by a real gunicorn."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests import plugin_folder
from tests.served import Served, served
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("rogue plugin")  # one server, and the calls that hang come last

AT_ONCE = 4

TOOLS = '''\
import sys
import threading
from typing import Annotated

from mcpweb.plugin_api import Api, Progress, Result, tool


@tool("Misbehave", read_only=True)
def misbehave(api: Api, how: Annotated[str, "In which way."]) -> object:
    """Do it."""
    match how:
        case "raise":
            raise ZeroDivisionError("secret detail")
        case "exit":
            sys.exit(1)
        case "interrupt":
            raise KeyboardInterrupt
        case "exhaust":
            raise MemoryError
        case "flood":
            return "x" * 50_000_000
        case "flood of blocks":
            return Result([{"type": "text", "text": "x" * 900_000} for _ in range(60)])
        case "recurse":
            return misbehave.run(api, how="recurse")
    return "well"


@tool("Stream", read_only=True)
def stream(api: Api, flood: Annotated[bool, "Whether to."] = False) -> object:
    """Report, then end the program."""
    yield Progress(1)
    sys.exit(1)


@tool("Hang", read_only=True)
def hang(api: Api, name: Annotated[str, "Of the file that says that it hangs."]) -> object:
    """Never come back."""
    open(name, "w").close()
    threading.Event().wait()
'''


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Served]:
    """One worker, and Alice and Bob connected to the plugin."""
    folder = tmp_path_factory.mktemp("rogue")
    settings = plugin_folder.settings(folder, redis_url, TOOLS) | {
        "MCPWEB_WEB_THREADS": "26",
        "MCPWEB_CALLS_AT_ONCE": str(AT_ONCE),
    }
    with served(plugin_folder.NAME, "alice@example.com", "bob@example.com", **settings) as running:
        yield running


def _well(server: Served, instance: int = 0) -> bool:
    return bool(server.call("misbehave", {"how": "well"}, instance=instance).json()["result"] == WELL)


WELL = {"content": [{"type": "text", "text": "well"}]}


def test_whatever_it_raises_or_returns_is_an_error_result_and_the_worker_lives(server: Served) -> None:
    assert _well(server)
    workers = server.workers

    for how in ("raise", "exit", "interrupt", "exhaust", "flood", "flood of blocks", "recurse"):
        answer = server.call("misbehave", {"how": how})
        assert (answer.status_code, answer.json()["result"]["isError"]) == (200, True), how
        assert "secret" not in answer.text
        assert len(answer.content) < 1000
    assert server.call("stream").json()["result"]["isError"] is True

    assert _well(server)
    assert server.workers == workers, "no worker was started anew"


def test_a_flood_is_gone_from_memory_with_its_answer(server: Served) -> None:
    def peak_mb() -> float:
        rows = Path(f"/proc/{server.workers[0]}/status").read_text().splitlines()
        return next(int(row.split()[1]) for row in rows if row.startswith("VmRSS")) / 1024

    server.call("misbehave", {"how": "flood"})
    before = peak_mb()
    for _ in range(5):
        server.call("misbehave", {"how": "flood"})
    after = peak_mb()

    print(f"\nresident: {before:.0f} MB after one flood of 50 MB, {after:.0f} MB after six")
    assert after - before < 64


def test_calls_that_hang_for_ever_take_their_users_places_and_nobody_elses(server: Served, tmp_path: Path) -> None:
    def hang(number: int) -> None:
        try:
            server.call("hang", {"name": str(tmp_path / str(number))})
        except requests.RequestException:
            return  # the server was stopped

    for number in range(AT_ONCE):
        threading.Thread(target=hang, args=(number,), daemon=True).start()
    until(lambda: len(list(tmp_path.iterdir())) == AT_ONCE, "all of them hang")

    started = time.monotonic()
    refused = server.call("misbehave", {"how": "well"})
    bobs = [_well(server, instance=1) for _ in range(10)]
    health = requests.get(f"{server.url}/healthz", timeout=10)
    page = requests.get(f"{server.url}/sign-in", timeout=10)
    print(f"\nwith {AT_ONCE} calls that hang, 13 other requests took {time.monotonic() - started:.2f} s")

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert all(bobs)
    assert (health.status_code, page.status_code) == (200, 200)
