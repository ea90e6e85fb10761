"""The whole program under gunicorn, with a plugin of a test's own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.waiting import until

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Served:
    """A running server: its address and process, and an instance of each owner as (path, token)."""

    url: str
    port: int
    process: subprocess.Popen[bytes]
    instances: list[tuple[str, str]]

    def call(self, tool: str, arguments: dict[str, Any] | None = None, *, instance: int = 0) -> requests.Response:
        """Call a tool of an owner's instance, on a connection of its own."""
        path, token = self.instances[instance]
        params = {"name": tool, "arguments": arguments or {}}
        return requests.post(
            self.url + path,
            json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params},
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )

    @property
    def workers(self) -> list[int]:
        """The process numbers of the workers."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def prepared(service: str, *emails: str, **settings: str) -> list[tuple[str, str]]:
    """Path and token of an instance for each address, made in the installation that the settings describe."""
    command = [sys.executable, "-m", "tests.prepare", service, *emails]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MCPWEB_")}
    done = subprocess.run(command, cwd=ROOT, env={**clean, **settings}, stdout=subprocess.PIPE, check=True)
    made = [json.loads(line) for line in done.stdout.splitlines()[-len(emails) :]]
    return [(one["path"], one["token"]) for one in made]


@contextmanager
def served(service: str, *emails: str, descriptors: int = 0, **settings: str) -> Iterator[Served]:
    """Prepare an installation with these settings, and serve it; MCPWEB_HOME must be one of them.

    With `descriptors`, no process of the server may have more files and sockets open.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MCPWEB_")}
    environ |= {"MCPWEB_BIND": f"127.0.0.1:{port}", **settings}
    instances = prepared(service, *emails, **environ)
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "deploy" / "gunicorn.conf.py"), "wsgi:application"]
    if descriptors:
        gunicorn = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *gunicorn]
    process = subprocess.Popen(gunicorn, cwd=ROOT, env=environ)
    try:
        until(lambda: is_listening(process, f"127.0.0.1:{port}"), "gunicorn listens")
        yield Served(f"http://127.0.0.1:{port}", port, process, instances)
    finally:
        process.kill()  # its workers die with it, whatever a tool does that hangs
        process.wait()


def is_listening(process: subprocess.Popen[bytes], address: str) -> bool:
    """Whether gunicorn can be reached at this address; it must not have ended."""
    assert process.poll() is None, "gunicorn ended"
    host, _, port = address.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
