"""A worker that ends while a proxy keeps connections to it."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import until

ROOT = Path(__file__).parents[1]
WORKER = "mcpweb.web_worker.WebWorker"


@pytest.fixture
def port() -> Iterator[int]:
    """gunicorn's, with one worker of the kind that we ship, and the application that ends it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        found = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{found}", "--worker-class", WORKER),
        *("--threads", "4", "--keep-alive", "75", "--no-control-socket", "tests.ending:application"),
    ]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        until(lambda: _listens(found), "gunicorn listens")
        yield found
    finally:
        process.terminate()
        process.wait(40)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_whoever_was_told_that_the_connection_stays_gets_one_more_answer_from_a_worker_that_ends(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/last")
    first = connection.getresponse()
    worker = first.read()
    assert first.headers["Connection"] == "keep-alive"

    connection.request("POST", "/", body=b"")
    second = connection.getresponse()

    assert (second.status, second.read()) == (200, worker)
    assert second.headers["Connection"] == "close"
    connection.close()
