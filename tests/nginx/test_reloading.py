"""Workers that end while clients call through nginx: new settings, a new version, one host of two taken away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.nginx.front import ROOT, Front, front, public_settings
from tests.served import Served, is_listening
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("service ports")
CLIENTS = 6
AT_LEAST = int(os.environ.get("MCPWEB_TEST_REQUESTS", "600"))
"""Requests between the first signal and the last answer; more by hand, as it takes its time."""


class Load:
    """Clients that call a tool and open a page in turns, over connections that they keep, until told to stop."""

    def __init__(self, url: str, authority: Path, server: Served) -> None:
        self.outcomes: Counter[str] = Counter()
        self._where = (url, authority, server)
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._client) for _ in range(CLIENTS)]

    @property
    def done(self) -> int:
        return sum(self.outcomes.values())

    @contextmanager
    def running(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._ends.set()
            for thread in self._threads:
                thread.join(60)

    def _client(self) -> None:
        url, authority, server = self._where
        path, token = server.instances[0]
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "test_simple_text"}}
        with requests.Session() as session:
            session.trust_env, session.verify = False, str(authority)
            while not self._ends.is_set():
                try:
                    called = session.post(
                        url + path, json=call, headers={"Authorization": f"Bearer {token}"}, timeout=30
                    )
                    seen = session.get(f"{url}/help", timeout=30)
                    self.outcomes.update([f"call {called.status_code}", f"page {seen.status_code}"])
                except requests.RequestException as error:
                    self.outcomes.update([type(error).__name__])


def test_a_reload_under_load_loses_no_request(nginx: Front, server: Served) -> None:
    load = Load(nginx.url, nginx.authority, server)
    with load.running():
        for _ in range(2):
            _signal(server, load, signal.SIGHUP, server.process.pid, set(server.workers))
        one = min(server.workers)
        _signal(server, load, signal.SIGTERM, one, {one})

    print(f"\n2 x HUP, TERM of a worker: {dict(load.outcomes)}")
    assert set(load.outcomes) == {"call 200", "page 200"} and load.done >= AT_LEAST


def _signal(server: Served, load: Load, number: signal.Signals, pid: int, leaving: set[int]) -> None:
    """Send it, and wait for these workers' end and some answers of the others."""
    start = load.done
    os.kill(pid, number)
    until(lambda: not leaving & set(server.workers), "they have ended", 60)
    until(lambda: load.done >= start + AT_LEAST // 3, "the others have answered", 60)


def test_one_of_two_hosts_may_be_taken_away_under_load(
    server: Served, apart: dict[str, str], second_host: tuple[subprocess.Popen[bytes], str]
) -> None:
    process, address = second_host
    with front(apart, "--web", f"127.0.0.1:{server.port}", "--web", address) as nginx:
        load = Load(nginx.url, nginx.authority, server)
        with load.running():
            until(lambda: load.done >= AT_LEAST // 3, "both have answered", 60)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
            start = load.done
            until(lambda: load.done >= start + AT_LEAST // 3, "the other has answered", 60)

    print(f"\nTERM of one host of two: {dict(load.outcomes)}")
    assert set(load.outcomes) == {"call 200", "page 200"}


@pytest.fixture
def apart(settings: dict[str, str]) -> dict[str, str]:
    """The same installation at another address."""
    return {**settings, **public_settings()}


@pytest.fixture
def second_host(apart: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """gunicorn once more, for the same installation."""
    address = apart["MCPWEB_PUBLIC_URL"].replace("https://127.0.0.2", "127.0.0.3")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MCPWEB_")}
    conf = str(ROOT / "deploy" / "gunicorn.conf.py")
    command = [sys.executable, "-m", "gunicorn", "-c", conf, "wsgi:application"]
    process = subprocess.Popen(command, cwd=ROOT, env={**environ, **apart, "MCPWEB_BIND": address})
    try:
        until(lambda: is_listening(process, address), "gunicorn listens")
        yield process, address
    finally:
        process.kill()
        process.wait()
