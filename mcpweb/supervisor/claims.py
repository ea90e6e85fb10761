"""What one installation has for itself on a machine: its data folder and its port."""

import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PORTS_TO_TRY = 50
TAKEN_PATIENCE_S = 0.5


class CanNotStart(Exception):
    """Something is in the way; the text says what."""


@contextmanager
def own_home(home: Path) -> Iterator[Callable[[str], None]]:
    """Hold the data folder for this process alone, and make it first when there is none.

    Yields a function that notes what the next one to try should be told, such as our address.

    Raises:
        CanNotStart: another process holds it, or it can not be written.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("run", "redis"):
            (home / name).mkdir(mode=0o700, exist_ok=True)
            (home / name).chmod(0o700)
        lock = (home / "run" / "up.lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise CanNotStart(f"the data folder {home} can not be written: {error.strerror}.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CanNotStart(f"already running on {home}{lock.read()}.") from None

        def note(address: str) -> None:
            lock.truncate(0)
            lock.write(f" at {address} (process {os.getpid()})")
            lock.flush()

        lock.truncate(0)
        yield note


def free_port(host: str, wanted: int, tell: Callable[[str], None]) -> int:
    """The wanted port, or the next free one after it, which `tell` is told about.

    Raises:
        CanNotStart: there is none, or the address can not be used at all.
    """
    # A predecessor that was killed a moment ago may need another one to be gone.
    patient_until = time.monotonic() + TAKEN_PATIENCE_S
    while not _is_free(host, wanted):
        if time.monotonic() >= patient_until:
            break
        time.sleep(0.02)
    else:
        return wanted
    for port in range(wanted + 1, min(wanted + PORTS_TO_TRY, 65536)):
        if _is_free(host, port):
            tell(f"port {wanted} is taken; using {port}.")
            return port
    raise CanNotStart(f"port {wanted} is taken, and so are those after it; name another in MCPWEB_BIND.")


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise CanNotStart(f"{host}:{port} can not be used as the address to listen on: {error.strerror}.") from None
    return True
