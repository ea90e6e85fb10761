"""`deploy/loopback`, the one command: nginx, gunicorn, PostgreSQL, Redis, worker and ticker from what is shipped."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from tests.installed import Installation
from tests.loopback import Loopback, loopback
from tests.spec_server import SpecServer
from tests.test_operations import is_listed
from tests.test_road import test_from_an_empty_home_to_a_logged_call_of_an_mcp_client  # noqa: F401 - runs here, too
from tests.waiting import until

# It has the services' own ports, as the installations of the road have.
pytestmark = pytest.mark.xdist_group("service ports")


@pytest.fixture(scope="module")
def running(github: SpecServer) -> Iterator[Loopback]:
    """One that everything in this module visits."""
    with loopback(MCPWEB_GITHUB_BASE_URL=github.url, MCPWEB_SERVICE_PORTS="1") as running:
        yield running


@pytest.fixture
def installation(running: Loopback) -> Installation:
    """The same, as the road sees it."""
    return Installation(running.url, running.setup_link, running.folder / "home", running.database_url)


def _processes(running: Loopback) -> list[psutil.Process]:
    """All that was started."""
    return psutil.Process(running.process.pid).children(recursive=True)


def test_all_that_listens_is_on_loopback(running):
    listening, names = [], set()
    for process in _processes(running):
        with suppress(psutil.NoSuchProcess):  # a job that was done meanwhile
            names.add(process.name())
            connections = process.net_connections("inet")
            listening += [one.laddr.ip for one in connections if one.status == psutil.CONN_LISTEN]

    assert {"nginx", "postgres"} < names and any(name.startswith(("valkey", "redis")) for name in names)
    assert len(listening) >= 6 and all(address.startswith("127.") for address in listening)


def test_its_own_command_line_finds_everything_well(running):
    command = [running.folder / "mcpweb", "doctor"]

    # On a busy machine one run takes many seconds.
    said = until(
        lambda: _all_good(subprocess.run(command, capture_output=True, text=True, check=False)), "all good", 60
    )

    for what in ("Public address", "Certificate", "Port of github", "Worker", "Ticker", "PostgreSQL", "2 processes"):
        assert what in said


def _all_good(done: subprocess.CompletedProcess[str]) -> str:
    print(*(line for line in done.stdout.splitlines() if line.startswith("bad")), sep="\n")
    # One of the two web processes may be heard before the other.
    return done.stdout if done.returncode == 0 and "2 processes" in done.stdout else ""


def test_nobody_else_may_read_what_is_in_its_folder(running):
    own = [path for path in running.folder.iterdir() if path.name not in ("nginx", "said")]
    open_to_others = [path for path in own if stat.S_IMODE(path.stat().st_mode) & 0o077]
    keys = [*running.folder.glob("nginx/*.pem"), *running.folder.glob("nginx/*.conf")]

    assert open_to_others == []
    assert keys and all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in keys)


def test_all_that_it_wrote_is_in_the_list_of_where_every_byte_goes(running):
    home = running.folder / "home"

    written = [path.relative_to(home) for path in home.rglob("*") if path.is_file()]

    assert len(written) > 10
    assert [path for path in written if not is_listed(path)] == []


def test_when_it_is_killed_nothing_of_it_goes_on(running):
    started = _processes(running)  # the last test, as nothing can visit it any more

    running.process.kill()

    until(lambda: not [process for process in started if process.is_running()], "all have ended")
