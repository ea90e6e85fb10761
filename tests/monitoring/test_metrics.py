"""The page that Prometheus reads: who may, what it says, and that the web processes of a host sum up."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from mcpweb import clock, queue
from mcpweb.database import db, transaction
from mcpweb.instances.access_cache import MAX_AGE_S
from mcpweb.instances.house import house
from mcpweb.instances.models import Status
from mcpweb.jobs import runs
from mcpweb.monitoring import metrics_files
from mcpweb.monitoring.models import ResourceSample
from tests import plugin_folder
from tests.form_client import FormClient, InProcess, Page
from tests.jobs.seeding import seed
from tests.monitoring.statements import statements
from tests.parallel import at_once
from tests.served import Served, served
from tests.spec_server import SpecServer
from tests.waiting import until

TOKEN = "prometheus-may-read-this"
URL = "http://localhost:8080"


def figures(text: str) -> dict[tuple[str, ...], float]:
    """Each figure by its name and the values of its labels, in the order of their names."""
    if promtool := shutil.which("promtool"):
        subprocess.run([promtool, "check", "metrics"], input=text, text=True, check=True)
    found: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, f"{family.name} does not say what it is"
        for sample in family.samples:
            key = (sample.name.removeprefix("mcpweb_"), *(value for _, value in sorted(sample.labels.items())))
            assert key not in found, key
            found[key] = sample.value
    return found


@pytest.fixture
def open_metrics(other_app: Callable[..., Flask]) -> Callable[..., FormClient]:
    """A browser on an application that has a token for its figures."""
    return lambda **settings: FormClient(InProcess(other_app(metrics_token=TOKEN, **settings)), URL)


def read(browser: FormClient) -> Page:
    """The page as Prometheus gets it."""
    return browser.open("GET", "/metrics", Authorization=f"Bearer {TOKEN}")


def test_without_a_token_in_the_settings_there_is_no_such_page_for_anybody(browser, alice, carol):
    for person in (browser, alice, carol):
        for method in ("GET", "HEAD", "POST"):
            there = person.open(method, "/metrics", Authorization=f"Bearer {TOKEN}")
            absent = person.open(method, "/no-such-page", Authorization=f"Bearer {TOKEN}")
            assert there.status == absent.status
            assert there.status in (400, 404)


def test_who_has_not_the_token_is_told_nothing_and_makes_one_line_in_the_log(open_metrics, settings):
    browser = open_metrics()
    wrong = [
        "",
        "Bearer",
        "Bearer ",
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer \xe9",
    ]

    for header in wrong:
        page = browser.open("GET", "/metrics", Authorization=header)
        assert (page.status, page.text, page.headers["WWW-Authenticate"]) == (401, "", "Bearer"), header

    lines = "".join(log.read_text() for log in (settings.home / "logs" / "system").glob("security-*.jsonl"))
    assert lines.count('"message":"metrics refused"') == 1
    assert TOKEN[:-1] not in lines
    assert read(browser).status == 200


def test_it_tells_of_pages_instances_jobs_the_queue_and_the_index(open_metrics):
    ends_at = clock.utcnow() + timedelta(days=3)
    seed(5, ends_at)
    seed(1, ends_at, status=Status.INACTIVE)
    runs.perform("recount", lambda: 3)
    with pytest.raises(ZeroDivisionError):
        runs.perform("expire_instances", lambda: 1 // 0)
    sample("elsewhere", minutes=20, behind=1)
    sample("elsewhere", minutes=1, behind=77)
    sample("gone", minutes=60, behind=5)
    browser = open_metrics()
    queue.enqueue("sign_in_mails_left")
    browser.open("GET", "/no-such-page")
    browser.open("BREW", "/healthz")

    page = read(browser)

    assert page.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert page.headers["Cache-Control"] == "no-store"
    found = figures(page.text)
    assert found["pages_total", "", "GET", "4xx"] >= 1
    assert [key for key in found if key[0] == "pages_total" and key[2] == "other"]
    assert "BREW" not in page.text
    assert found["instances", "github", "active"] == 3
    assert found["instances", "figma", "active"] == 2
    assert found["instances", "github", "inactive"] == 1
    assert found["job_last_state", "recount", "done"] == found["job_last_state", "expire_instances", "failed"] == 1
    assert found["job_last_duration_seconds", "recount"] >= 0
    assert abs(found["job_last_start_timestamp_seconds", "recount"] - clock.utcnow().timestamp()) < 60
    assert found["queue_jobs", "mcpweb"] == 1
    assert found["index_behind_bytes", "elsewhere"] == 77
    assert ("index_behind_bytes", "gone") not in found
    assert found["up", "database"] == found["up", "redis"] == 1
    assert found[("log_lines_lost_total",)] == 0


def sample(host: str, *, minutes: int, behind: int) -> None:
    """A sample of a host that was taken so many minutes ago."""
    sizes = dict.fromkeys(("memory_used", "memory_total", "disk_used", "disk_total", "open_files", "connections"), 0)
    at = clock.utcnow() - timedelta(minutes=minutes)
    with transaction():
        db.session.add(ResourceSample(host=host, at=at, cpu_percent=1.0, index_behind=behind, **sizes))


def test_a_storm_of_scrapes_costs_one_look_at_everything_a_second(open_metrics, monkeypatch):
    browser = open_metrics()
    app = browser.transport.client.application
    with app.app_context():
        engine = db.engine
    now = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: now + 2)
    with statements(engine) as once:
        read(browser)
    monkeypatch.setattr(clock, "monotonic", lambda: now + 4)
    with statements(engine) as many:
        answers = at_once([lambda: read(FormClient(InProcess(app), URL)).status for _ in range(20)])

    assert set(answers) == {200}
    assert 0 < len(many) == len(once) < 10


@pytest.mark.parametrize("is_silent", [False, True], ids=["refusing", "silent"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_without_redis_its_figures_are_missing_and_the_others_are_there(is_silent, open_metrics):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1] if is_silent else 1
        browser = open_metrics(redis_url=f"redis://:word@127.0.0.1:{port}/0")
        began = clock.monotonic()
        found = figures(read(browser).text)

    print(f"\nanswered after {clock.monotonic() - began:.2f} s")
    assert (found["up", "redis"], found["up", "database"]) == (0, 1)
    assert ("queue_jobs", "mcpweb") not in found
    assert [key for key in found if key[0] == "index_behind_bytes"]


@pytest.fixture
def server(tmp_path: Path, redis_url: str, github: SpecServer):
    """Two workers, on a plugin one of whose tools asks its service."""
    tools = (
        plugin_folder.TOOLS
        + '\n\n@tool("Well", read_only=True)\ndef well(api: Api) -> str:\n    """."""\n    return "well"\n'
    )
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    settings = plugin_folder.settings(tmp_path, redis_url, tools) | {
        "MCPWEB_WEATHER_BASE_URL": github.url,
        "MCPWEB_IDENTICAL_CALLS": "0",
        "MCPWEB_WEB_WORKERS": "2",
        "MCPWEB_METRICS_TOKEN_FILE": str(tmp_path / "token"),
    }
    with served(plugin_folder.NAME, "alice@example.com", **settings) as running:
        yield running


def scrape(server: Served) -> dict[tuple[str, ...], float]:
    """The figures, by whichever worker answers."""
    answer = requests.get(f"{server.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)
    assert answer.status_code == 200
    return figures(answer.text)


def use(server: Served, count: int) -> None:
    """Many pages and calls at once, so that both workers have some of them."""

    def one() -> None:
        assert requests.get(f"{server.url}/help", timeout=10).status_code == 200
        assert server.call("well").status_code == 200
        assert server.call("get_forecast", {"place": "Ghent"}).json()["result"]["isError"]
        assert requests.post(server.url + server.instances[0][0], timeout=10).status_code == 401

    at_once([one] * count)


def counted(server: Served, count: int) -> bool:
    """Whether exactly so many were counted, of everything that `use` does."""
    found = scrape(server)
    buckets = [value for key, value in found.items() if key[0] == "upstream_seconds_bucket" and key[1] == "+Inf"]
    lookups = sum(found.get(("access_lookups_total", result), 0) for result in ("hit", "miss"))
    return (
        lookups == 2 * count
        and [
            found["pages_total", "web.help_page", "GET", "2xx"],
            found["calls_total", "ok", "weather"],
            found["calls_total", "tool_error", "weather"],
            found["messages_total", "refused", ""],
            found["upstream_seconds_count", "weather"],
            *buckets,
        ]
        == [count] * 6
    )


def both_counted(server: Served, home: Path) -> bool:
    """Whether both workers have had calls that asked the service."""
    files = [home / "run" / "metrics" / f"histogram_{server.process.pid}-{place}.db" for place in (0, 1)]
    return all(file.exists() and int.from_bytes(file.read_bytes()[:4], "little") > 1000 for file in files)


def test_two_workers_sum_up_exactly_and_one_that_is_killed_takes_nothing_along(server, tmp_path):
    home, rounds = tmp_path / "home", 0
    while not both_counted(server, home):
        use(server, 6)
        rounds += 1
        assert rounds < 50, "one of the workers gets no calls"
    until(lambda: counted(server, 6 * rounds), "everything is counted")

    first, other = server.workers
    os.kill(first, signal.SIGKILL)
    until(lambda: len(server.workers) == 2 and first not in server.workers, "another one is started")
    until(lambda: counted(server, 6 * rounds), "nothing is lost")
    assert other in server.workers
    use(server, 6)
    until(lambda: counted(server, 6 * rounds + 6), "the new one counts on")

    assert len(list((home / "run" / "metrics").iterdir())) == 6, "the new one has the files of the old one"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_a_cache_remembers_and_drops_is_told_after_its_sweep(open_metrics, make_instance, monkeypatch):
    instance, token = make_instance()
    browser = open_metrics()
    app = browser.transport.client.application
    with app.app_context():
        access = house().access
        until(lambda: access.get(instance.id, token) and access.sweep() == 1, "the access is remembered")
        before = figures(read(browser).text)
        later = clock.monotonic() + MAX_AGE_S + 1
        monkeypatch.setattr(clock, "monotonic", lambda: later)
        access.sweep()
        after = figures(read(browser).text)

    assert (before[("access_remembered",)], after[("access_remembered",)]) == (1, 0)
    assert after[("access_invalidations_total",)] > before[("access_invalidations_total",)]


def test_what_a_worker_remembered_is_forgotten_with_it_and_what_it_counted_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(metrics_files, "claimed", "")
    metrics_files.claim("1-0", {metrics_files.FOLDER: str(tmp_path)})

    metrics_files.bury(tmp_path, "1-0")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["counter_1-0.db", "histogram_1-0.db"]


def test_who_starts_anew_counts_anew_but_leaves_alone_what_a_running_one_counts(tmp_path):
    running, mine = os.getppid(), os.getpid()
    for owner in (running, mine, 99_999_999):
        (tmp_path / f"counter_{owner}-0.db").touch()

    metrics_files.clear(tmp_path, mine)

    assert [path.name for path in tmp_path.iterdir()] == [f"counter_{running}-0.db"]


def test_without_room_for_its_files_a_process_counts_for_itself_and_says_so(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(metrics_files, "claimed", "")
    environ = {metrics_files.FOLDER: str(tmp_path / "nowhere")}

    metrics_files.claim("1-0", environ)

    assert (environ, metrics_files.claimed) == ({}, "")
    assert "no room for the figures" in capfd.readouterr().err
