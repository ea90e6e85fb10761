"""A running `deploy/loopback`: production's programs on this machine, and how clients come to believe its certificate.

With TEST_AGAINST=loopback in the environment, the browser tests and the conformance suite visit one, too.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.waiting import until

ROOT = Path(__file__).parent.parent
IS_WANTED = os.environ.get("TEST_AGAINST") == "loopback"


@dataclass(frozen=True)
class Loopback:
    """Where it is, what it printed, and the process that started everything else."""

    url: str
    setup_link: str
    folder: Path
    said: str
    process: subprocess.Popen[bytes]

    @property
    def authority(self) -> Path:
        """Who believes this certificate believes nginx."""
        return self.folder / "nginx" / "certificate.pem"

    @property
    def settings(self) -> dict[str, str]:
        """What its own `mcpweb` sets."""
        exports = re.findall(r"^export (MCPWEB_\w+)=(.*)$", (self.folder / "mcpweb").read_text(), re.MULTILINE)
        return {name: shlex.split(value)[0] for name, value in exports}

    @property
    def database_url(self) -> str:
        """The address of its PostgreSQL."""
        return (self.folder / "database-url").read_text()


@contextmanager
def loopback(**environ: str) -> Iterator[Loopback]:
    """One in an empty folder, until the block ends; nothing of it runs any longer then."""
    if missing := missing_packages():
        pytest.skip(f"{' and '.join(missing)} not installed (install Debian's packages of these names)")
    # Not in pytest's own folder: where tests run as root, PostgreSQL runs as somebody who can not enter that.
    folder = Path(tempfile.mkdtemp(prefix="mcpweb-loopback-"))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MCPWEB_")}
    public, web = _free_port("127.0.0.1"), _free_port("127.0.0.2")
    addresses = {"MCPWEB_PUBLIC_URL": f"https://localhost:{public}", "MCPWEB_BIND": f"127.0.0.1:{web}"}
    said = folder / "said"
    with said.open("w") as out, pytest.MonkeyPatch.context() as patch:
        command = [str(ROOT / "deploy" / "loopback"), str(folder)]
        process = subprocess.Popen(command, env={**clean, **addresses, **environ}, stdout=out, stderr=out)
        try:
            text = until(lambda: _said(process, said), "mcpweb is ready", 120)
            url = re.search(r"is ready: (\S+)", text)
            link = re.search(r"First administrator\s+(\S+)", text)
            assert url and link, text
            running = Loopback(url[1], link[1], folder, text, process)
            for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
                patch.setenv(name, str(running.authority))
            yield running
        finally:
            try:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
                    assert process.wait(30) == 0, said.read_text()
            finally:
                shutil.rmtree(folder)


def missing_packages() -> list[str]:
    """Debian's packages that have to be installed first, and are not."""
    missing = [] if Path("/usr/sbin/nginx").exists() or shutil.which("nginx") else ["nginx-light"]
    if not (list(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or shutil.which("initdb")):
        missing.append("postgresql")
    return missing


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as free:
        return int(free.getsockname()[1])


def _said(process: subprocess.Popen[bytes], said: Path) -> str:
    text = said.read_text()
    assert process.poll() is None, text
    return text if "To stop" in text else ""
