"""What the machine gives us: the home folder with its rights, and the ports."""

from __future__ import annotations

import fcntl
import http.client
import os
import re
import socket
import tomllib
from pathlib import Path

from mcpweb.application import ports_file
from mcpweb.monitoring.check import Check
from mcpweb.settings import Settings

_PRIVATE = ("keys", "run", "redis", "logs", "mail")
_TIMEOUT_S = 3.0


def home(settings: Settings) -> Check:
    """Only we may read the home folder and what is in it, and we can write there."""
    folder = settings.home
    open_ones = [path for path in (folder, *(folder / name for name in _PRIVATE)) if path.is_dir() and _is_open(path)]
    open_ones += [path for path in (folder / "keys").glob("*") if _is_open(path)]
    if open_ones:
        names = ", ".join(map(str, open_ones[:3])) + (" and more" if len(open_ones) > 3 else "")
        advice = f"Run `chmod -R go-rwx {folder}`: keys and the customers' logs are in there."
        return Check("Home folder", "bad", f"Others on this machine may read {names}", advice)
    if not os.access(folder, os.W_OK | os.X_OK):
        return Check("Home folder", "bad", f"{folder} can not be written", "Give it to the user that runs mcpweb.")
    return Check("Home folder", "good", f"{folder}, for its owner alone")


def ports(settings: Settings) -> list[Check]:
    """Who listens where we should: us, nobody, or somebody else."""
    host, port = settings.bind
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    found = [_port("Web port", local, port, "/healthz", b'{"status":"ok"}')]
    if settings.service_ports:
        for name, number in tomllib.loads(ports_file(settings).read_text(encoding="utf-8")).items():
            found.append(_port(f"Port of {name}", local, number, "/", b"An endpoint's address"))
    return found


def address_of_up(run: Path) -> tuple[str, int] | None:
    """Where a `mcpweb up` on this home listens; None when there is none."""
    try:
        with (run / "up.lock").open(encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:  # it runs
                found = re.search(r"\(process \d+\)", said := lock.read()) and re.search(r"//([^/:]+):(\d+) ", said)
                return (found[1], int(found[2])) if found else None
    except OSError:
        pass
    return None


def _is_open(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o077)


def _port(name: str, host: str, port: int, path: str, ours: bytes) -> Check:
    where = f"{host}:{port}"
    try:
        socket.create_connection((host, port), timeout=_TIMEOUT_S).close()
    except ConnectionRefusedError:
        return Check(name, "warn", f"Nobody listens on {where}", "Start `mcpweb up` or `mcpweb web`, if it should run.")
    except OSError as error:
        return Check(name, "bad", f"{where} can not be used: {error.strerror}", "Look at MCPWEB_BIND.")
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path, headers={"Host": f"localhost:{port}"})
        is_ours = ours.replace(b" ", b"") in connection.getresponse().read(1000).replace(b" ", b"")
    except (OSError, http.client.HTTPException):
        is_ours = False
    finally:
        connection.close()
    if not is_ours:
        return Check(name, "bad", f"Another program listens on {where}", "End it, or name another port.")
    return Check(name, "good", f"mcpweb listens on {where}")
