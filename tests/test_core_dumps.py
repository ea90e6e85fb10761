"""A crash of any of our processes leaves no file with what was in its memory."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mcpweb import shipped
from tests.waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the limits of another process")

MCPWEB = [sys.executable, "-m", "mcpweb"]
GUNICORN = [sys.executable, "-m", "gunicorn", "-c", str(shipped.folder("deploy") / "gunicorn.conf.py")]


@pytest.mark.parametrize(
    "command",
    [[*MCPWEB, "worker"], [*MCPWEB, "ticker"], [*GUNICORN, "wsgiref.simple_server:demo_app"]],
    ids=["worker", "ticker", "web"],
)
def test_no_role_may_leave_a_core_dump(command: list[str], tmp_path: Path, redis_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        bind = f"127.0.0.1:{free.getsockname()[1]}"
    environ = {"MCPWEB_HOME": str(tmp_path), "MCPWEB_BIND": bind, "MCPWEB_REDIS_URL": redis_url}
    # Another test may have called the command in this very process; root can take that back.
    hard = resource.RLIM_INFINITY if os.geteuid() == 0 else resource.getrlimit(resource.RLIMIT_CORE)[1]
    if hard == 0:
        pytest.skip("core dumps are forbidden here already")

    with subprocess.Popen(command, env=os.environ | environ, preexec_fn=_allowing(hard)) as process:
        try:
            until(lambda: process.poll() is not None or _core_limits(process.pid) == ["0", "0"], "it forbids them")
            assert process.poll() is None
        finally:
            process.kill()


def _allowing(hard: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def _core_limits(pid: int) -> list[str]:
    """Soft and hard."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(line.split()[4:6] for line in lines if line.startswith("Max core file size"))
