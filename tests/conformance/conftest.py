"""The whole program under gunicorn, serving the fixture plugin."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conformance.proxy import TokenProxy
from tests.waiting import until

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[str]:
    """An endpoint that needs no token, in front of the program under gunicorn."""
    with _serving(tmp_path_factory.mktemp("home"), redis_url) as url:
        yield url


@pytest.fixture
def url_of_five_calls(tmp_path: Path, redis_url: str) -> Iterator[str]:
    """The same, where an instance may make five calls a day, and none of them again."""
    with _serving(tmp_path, redis_url, MCPWEB_CALLS_PER_DAY="5", MCPWEB_IDENTICAL_CALLS="1") as url:
        yield url


@contextmanager
def _serving(home: Path, redis_url: str, **limits: str) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MCPWEB_")} | {
        **limits,
        "MCPWEB_HOME": str(home),
        "MCPWEB_BIND": f"127.0.0.1:{port}",
        "MCPWEB_REDIS_URL": redis_url,
        "MCPWEB_PLUGINS": str(HERE / "plugins"),
        "MCPWEB_PORTS_FILE": str(HERE / "ports.toml"),
    }
    prepared = subprocess.run(
        [sys.executable, "-m", "tests.conformance.prepare"], cwd=ROOT, env=environ, stdout=subprocess.PIPE, check=True
    )
    instance = json.loads(prepared.stdout.splitlines()[-1])
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "deploy" / "gunicorn.conf.py"), "wsgi:application"]
    server = subprocess.Popen(gunicorn, cwd=ROOT, env=environ)
    try:
        until(lambda: _listens(server, port), "gunicorn listens")
        with TokenProxy(port, instance["path"], instance["token"]) as proxy:
            yield proxy.url
    finally:
        server.terminate()
        server.wait(30)


def _listens(server: subprocess.Popen[bytes], port: int) -> bool:
    assert server.poll() is None, "gunicorn ended"
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
