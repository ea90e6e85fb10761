"""Starting the programs of the benchmark, and what the kernel says that they use."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from mcpweb import embedded_redis

ROOT = Path(__file__).resolve().parent.parent
WORKERS = 2
_TICKS = os.sysconf("SC_CLK_TCK")
_START_S = 30


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def get(port: int, path: str, timeout_s: float = 30) -> int:
    """Fetch a page of this machine; returns its status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        reply.read()
        return reply.status
    finally:
        connection.close()


class Program:
    """A process with a port, which ends with the `with` block."""

    def __init__(self, name: str, command: list[str], environ: Mapping[str, str], port: int, ready_path: str) -> None:
        self.name, self.port = name, port
        started = time.perf_counter()
        self._process = subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env={**os.environ, **environ})
        try:
            self._wait(ready_path)
        except BaseException:
            self._process.kill()
            raise
        self.ready_s = time.perf_counter() - started
        """From the start of the process to its first answer."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _wait(self, path: str) -> None:
        end = time.monotonic() + _START_S
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            try:
                get(self.port, path)
                return
            except OSError:
                time.sleep(0.01)
        raise SystemExit(f"{self.name} did not start")

    def cpu_s(self) -> float:
        """Processor seconds that the process and its children have used so far."""
        return sum(map(_cpu_s, [self._process.pid, *self._children()]))

    def worker_mb(self, kind: str) -> float:
        """Memory of the largest worker, in MB: `Rss`, or `Pss`, in which a page shared by n processes counts 1/n."""
        return max((_memory_mb(pid, kind) for pid in self._children()), default=0.0)

    def _children(self) -> list[int]:
        pid = self._process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gunicorn(name: str, application: str, environ: Mapping[str, str], ready_path: str) -> Program:
    """A web server under the shipped settings, with two workers."""
    port = free_port()
    ours = {"MCPWEB_BIND": f"127.0.0.1:{port}", "MCPWEB_WEB_WORKERS": str(WORKERS)}
    settings = ROOT / ("bench/bare_gunicorn.py" if application.startswith("bench.") else "deploy/gunicorn.conf.py")
    command = ["gunicorn", "-c", str(settings), application]
    return Program(name, command, {**environ, **ours}, port, ready_path)


def upstream() -> Program:
    """The pretended GitHub."""
    port = free_port()
    return Program("upstream", ["bench.upstream", str(port)], {}, port, "/-/delay/0")


@contextmanager
def valkey(home: Path) -> Iterator[str]:
    """The embedded server, as `mcpweb up` starts it: without one, every call asks the database."""
    (home / "redis").mkdir(exist_ok=True)
    socket = embedded_redis.socket_path(home)
    server = subprocess.Popen(
        embedded_redis.command(embedded_redis.find_server(), home / "redis", socket), stdout=subprocess.DEVNULL
    )
    try:
        while not socket.exists():
            time.sleep(0.02)
        yield embedded_redis.url(socket)
    finally:
        server.terminate()
        server.wait()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory_mb(pid: int, kind: str) -> float:
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith(f"{kind}:")) * 1024 / 1e6
