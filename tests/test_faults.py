"""The database and Redis go away or fall silent, under a real gunicorn: what goes on, what is refused, how soon."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import requests
from sqlalchemy import make_url

from tests import plugin_folder
from tests.fault_proxy import FaultProxy, Mode
from tests.form_client import FormClient, OverHttp, Page
from tests.parallel import at_once
from tests.served import Served, served
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("waits: faults")

OWNERS = [f"{name}@example.com" for name in ("alice", "bob", "carol", "dave")]


@dataclass
class Installation:
    """A server, and its ways to PostgreSQL and to Valkey."""

    server: Served
    to_database: FaultProxy
    to_redis: FaultProxy

    def well(self, owner: int, number: int = 0) -> bool:
        """Whether an owner's call succeeds."""
        return self.server.call("well", {"number": number}, instance=owner).status_code == 200

    def get(self, path: str) -> int:
        """The status of a page."""
        return requests.get(self.server.url + path, timeout=20, allow_redirects=False).status_code


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, postgres_url: str, redis_url: str) -> Iterator[Installation]:
    """One worker on PostgreSQL and Valkey, each behind a proxy."""
    folder = tmp_path_factory.mktemp("faults")
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS faults")
        connection.execute("CREATE DATABASE faults")
    direct = make_url(postgres_url).set(database="faults")
    socket = Path(str(direct.query["host"])) / ".s.PGSQL.5432"
    with FaultProxy(str(socket)) as to_database, FaultProxy(urlsplit(redis_url).path) as to_redis:
        to_valkey = f"redis://127.0.0.1:{to_redis.port}/0"
        settings = plugin_folder.settings(folder, to_valkey, plugin_folder.WELL) | {
            "MCPWEB_DATABASE_URL": direct.set(host="127.0.0.1", port=to_database.port, query={}).render_as_string(
                False
            ),
            "MCPWEB_IDENTICAL_CALLS": "0",
            "MCPWEB_CALLS_PER_MINUTE": "1000",
        }
        with served(plugin_folder.NAME, *OWNERS, **settings) as server:
            yield Installation(server, to_database, to_redis)


@pytest.fixture(autouse=True)
def mended(installation: Installation) -> Iterator[None]:
    """Both ways are open again after a test."""
    yield
    installation.to_database.set("pass")
    installation.to_redis.set("pass")


def _timed(action: Callable[[], object]) -> tuple[float, object]:
    started = time.monotonic()
    result = action()
    return time.monotonic() - started, result


@pytest.mark.parametrize("mode", ["refuse", "half"])
def test_without_a_database_what_must_ask_it_is_refused_in_seconds_and_works_again_by_itself(
    mode: Mode, installation: Installation
) -> None:
    server = installation.server
    owner = 1 if mode == "refuse" else 2  # whose access nothing remembers yet
    installation.to_redis.set("refuse")  # so that nothing is trusted that is remembered
    until(lambda: installation.get("/readyz") == 200, "the database answers")
    installation.to_database.set(mode)

    took, answer = _timed(lambda: server.call("well", instance=owner))
    assert isinstance(answer, requests.Response)
    ready_took, _ = _timed(lambda: until(lambda: installation.get("/readyz") == 503, "a second later it is not ready"))
    form_took, page = _timed(lambda: _ask_for_link(server.url))
    print(f"\n{mode}: a call is refused after {took:.2f} s, readiness {ready_took:.2f} s, a form {form_took:.2f} s")

    assert answer.status_code == 503
    assert answer.json()["error"]["message"] == "The database does not answer. Try again in a minute."
    assert isinstance(page, Page)
    assert page.status == 503
    assert installation.get("/healthz") == 200
    assert max(took, ready_took, form_took) < 4, "whoever asks twice waits once"
    installation.to_database.set("pass")
    until(lambda: installation.well(owner), "calls work again")
    until(lambda: installation.get("/readyz") == 200, "it is ready again")


def test_many_who_wait_for_a_silent_database_are_all_refused_in_seconds(installation: Installation) -> None:
    installation.to_redis.set("refuse")
    until(lambda: installation.well(3), "the database answers")
    installation.to_database.set("half")

    def call(number: int) -> int:
        return installation.server.call("well", instance=number % len(OWNERS)).status_code

    took, answers = _timed(lambda: at_once([lambda number=number: call(number) for number in range(60)]))
    ready_took, ready = _timed(lambda: at_once([lambda: installation.get("/readyz") for _ in range(90)]))

    print(f"\n60 calls at once were refused within {took:.2f} s, 90 questions for readiness within {ready_took:.2f} s")
    assert isinstance(answers, list) and isinstance(ready, list)
    assert set(answers) == set(ready) == {503}
    assert max(took, ready_took) < 10
    installation.to_database.set("pass")
    until(lambda: installation.well(3), "calls work again")


@pytest.mark.parametrize("mode", ["refuse", "half"])
def test_without_redis_calls_pages_and_sign_in_go_on(mode: Mode, installation: Installation) -> None:
    owner = 0 if mode == "refuse" else 3
    until(lambda: installation.well(owner), "calls work")
    usual = min(_timed(lambda n=n: installation.well(owner, n))[0] for n in range(5))
    installation.to_redis.set(mode)
    waiting = (
        0.4 if mode == "half" else 0.0
    )  # of twenty calls one asks Redis, and none does for seconds after a failure
    first = until(lambda: max(_timed(lambda: installation.well(owner))[0] - waiting, 0), "a call waits") + waiting

    later = [_timed(lambda n=n: installation.well(owner, n)) for n in range(45)]
    pages = [_timed(lambda: installation.get("/sign-in")) for _ in range(3)]
    form_took, page = _timed(lambda: _ask_for_link(installation.server.url))
    print(
        f"\n{mode}: a call takes {usual * 1000:.0f} ms, the first without Redis {first * 1000:.0f} ms, those after it "
        f"{max(took for took, _ in later) * 1000:.0f} ms at most; a form takes {form_took:.2f} s"
    )

    assert all(well for _, well in later)
    assert {status for _, status in pages} == {200}
    assert isinstance(page, Page)
    assert page.path == "/sign-in/sent"
    assert sorted(took for took, _ in later)[-5] < 0.4, "they do not wait for Redis, which would take half a second"
    assert form_took < 5


def _ask_for_link(url: str) -> Page:
    browser = FormClient(OverHttp(), url)
    page = browser.get("/sign-in")
    return browser.submit(page.form("/sign-in"), email="erin@example.com")
