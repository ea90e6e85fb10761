"""How the installation is, as an administrator sees it at a glance, and what it says when a part is away."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from urllib.parse import urlsplit

import pytest
from flask import Flask
from redis import ConnectionError as RedisIsAway
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from mcpweb import clock, queue
from mcpweb.database import db, transaction
from mcpweb.errors import Unavailable
from mcpweb.hosts import host_id
from mcpweb.instances import counting
from mcpweb.jobs.models import JobRun
from mcpweb.logs import audit, events
from mcpweb.logs.following import Follower
from mcpweb.monitoring import health
from mcpweb.web.current import log_index, settings
from tests.form_client import FormClient
from tests.instances import endpoint

MARK = "the moon did not come up"


@pytest.fixture
def follow(app: Flask) -> Callable[[], int]:
    """Brings the index up to date, as the ticker does."""
    home, index = settings().home, log_index()
    for day in index.days():
        index.drop_day(day)
    host = host_id(home / "run")
    return Follower(home / "logs", host, index, partial(counting.count, host)).step


def figures(person: FormClient) -> dict[str, str]:
    text = person.get("/admin").text
    found = re.findall(r'<dt><a href="[^"]+">([^<]+)</a></dt><dd>(.*?)</dd>', text)
    return {word: re.sub(r"<[^>]+>", "", value).strip() for word, value in found}


def part(person: FormClient, name: str) -> str:
    """The row of a part: its state, what was found, and what to do."""
    rows = re.findall(r'<tr><th scope="row">(.*?)</tr>', person.get("/admin").text, re.DOTALL)
    [row] = [row for row in rows if re.sub(r"<[^>]+>", "", row).startswith(name)]
    return " ".join(re.sub(r"<[^>]+>", " ", row).split())


def finished(job: str, state: str = "done", ago: timedelta = timedelta(), **report: object) -> None:
    at = clock.utcnow() - ago
    with transaction():
        db.session.add(JobRun(job=job, state=state, started_at=at, finished_at=at, report=report))


# Figures


def test_the_six_figures_say_what_there_is(carol, alice, app, make_instance, follow):
    instance, token = make_instance()
    make_instance(label="Other")
    for tool in ("get_me", "get_me", "no_such_tool"):
        endpoint.call(app, instance.id, token, tool)
    follow()

    found = figures(carol)

    assert list(found) == [
        "Users", "Active instances", "Calls", "Failed calls", "95 of 100 within", "Jobs in the queue",
    ]  # fmt: skip
    assert found["Users"] == "2 1 administrator" and found["Active instances"] == "2 of 2"
    assert found["Calls"] == "3" and found["Failed calls"] == "1 33.3 %"
    assert found["95 of 100 within"].endswith(" ms")
    assert found["Jobs in the queue"].isdigit()


def test_calls_of_earlier_hours_are_not_counted(carol, app, make_instance, follow, monkeypatch):
    instance, token = make_instance()
    endpoint.call(app, instance.id, token)
    follow()
    assert figures(carol)["Calls"] == "1"
    later = clock.utcnow() + timedelta(hours=2)
    monkeypatch.setattr(clock, "utcnow", lambda: later)

    assert figures(carol)["Calls"] == "0"


def test_every_link_of_the_dashboard_leads_somewhere(carol, app, follow):
    logging.getLogger("probe").error(MARK)
    follow()
    page = carol.get("/admin")
    targets = {link for link in page.links if link.startswith("/admin")}

    assert len(targets) > 8
    assert {(urlsplit(link).path, carol.get(link).status) for link in targets if carol.get(link).status != 200} == set()


# Health


def test_a_healthy_installation_says_so(carol, follow):
    follow()
    with transaction():
        run = JobRun(job="clean_up", state="done", trigger="schedule", started_at=clock.utcnow(), report={})
        db.session.add(run)
    finished("maintain_logs", used_bytes=50_000_000)

    assert part(carol, "Database").startswith("Database Good")
    assert part(carol, "Redis").startswith("Redis")
    assert part(carol, "Mail").startswith("Mail Good 127.0.0.1, port")
    assert part(carol, "Jobs").startswith("Jobs Good All went well")
    assert part(carol, "Log budget").startswith("Log budget Good 0% of 10,000 MB, measured just now")
    assert re.match(r"Audit trail Good \d+ entries, the newest just now", part(carol, "Audit trail"))
    assert part(carol, "Encryption keys").startswith("Encryption keys Good")
    assert part(carol, "Log index").startswith("Log index Good")
    assert part(carol, "Workers") == "Workers Act None Start `mcpweb worker`: no mail goes out and no job runs."


def test_the_worst_stands_on_top(carol):
    states = re.findall(r'badge--(good|warn|bad)">', carol.get("/admin").text)

    assert states[:10] == sorted(states[:10], key=["bad", "warn", "good"].index)


def test_lines_that_are_not_in_the_index_are_told(carol, follow, monkeypatch):
    follow()
    monkeypatch.setattr(health, "_FAR_BEHIND", (10, 1_000_000))
    events.app("something")

    assert part(carol, "Log index").startswith("Log index Look at it")
    assert "mcpweb ticker" in part(carol, "Log index")
    follow()
    monkeypatch.setattr(health, "_FAR_BEHIND", (2_000_000, 100_000_000))
    assert part(carol, "Log index").startswith("Log index Good")


@pytest.mark.parametrize("state", ["failed", "lost"])
def test_a_job_that_failed_the_last_time_is_named(state, carol):
    finished("recount", state)
    finished("clean_up", "failed")
    finished("clean_up")

    assert "Jobs Act Failed the last time: Recount Read why" in part(carol, "Jobs")


def test_a_ticker_that_is_silent_is_told(carol):
    assert "None has run by the clock yet" in part(carol, "Jobs")
    with transaction():
        at = clock.utcnow() - timedelta(minutes=10)
        db.session.add(JobRun(job="clean_up", state="done", trigger="schedule", started_at=at, report={}))

    assert "Look at it The last one started 10 minutes ago" in part(carol, "Jobs")


def test_a_full_log_budget_is_told(carol):
    finished("maintain_logs", used_bytes=9_500_000_000)

    assert "Look at it 95% of 10,000 MB" in part(carol, "Log budget")


@pytest.mark.parametrize(("free", "state"), [(10**12, "Good"), (3 * 10**9, "Look at it"), (10**8, "Act")])
def test_the_disk_is_judged_by_what_is_free(free, state, carol, monkeypatch):
    monkeypatch.setattr(health.shutil, "disk_usage", lambda path: type("", (), {"free": free, "total": 2 * 10**12}))

    assert part(carol, "Disk").startswith(f"Disk {state}")


def test_without_redis_the_page_is_there_and_says_what_to_do(carol, monkeypatch):
    def away(*_: object) -> None:
        raise RedisIsAway("away")

    for name in ("depth", "workers", "ping"):
        monkeypatch.setattr(queue, name, away)

    assert "Redis Act Redis does not answer Start it" in part(carol, "Redis")
    assert "Workers Act Redis does not answer" in part(carol, "Workers")
    assert figures(carol)["Jobs in the queue"] == "?"


def test_a_part_whose_question_fails_is_a_line_and_no_fault(carol, monkeypatch):
    def fails(*_: object) -> int:
        raise OperationalError("SELECT", {}, Exception("away"))

    monkeypatch.setattr(health, "behind", fails)

    assert "Log index Act The database does not answer" in part(carol, "Log index")


# What happened


def test_errors_are_grouped_by_what_they_say_and_lead_to_the_log(carol, app, follow):
    for number in range(3):
        logging.getLogger("probe").error(MARK, extra={"number": number})
    logging.getLogger("probe").critical("the <b>sun</b> neither")
    logging.getLogger("probe").warning("a cloud")
    follow()

    page = carol.get("/admin")

    row = re.search(rf"{MARK}</a></th><td[^>]*>(\d+)</td>", page.text)
    assert row and int(row[1]) >= 3, "files of other tests of this process may hold more"
    assert "the &lt;b&gt;sun&lt;/b&gt; neither" in page.text and "a cloud" not in page.text
    assert any("level=error" in link and "moon" in link for link in page.links)


def test_an_index_that_does_not_answer_leaves_the_rest_of_the_page(carol, monkeypatch):
    def away(*_: object, **__: object) -> None:
        raise Unavailable("The log index does not answer.")

    monkeypatch.setattr(type(log_index()), "search", away)

    page = carol.get("/admin")
    assert page.status == 200 and "The log index does not answer." in page.text


def test_the_newest_actions_are_those_of_administrators(carol, alice, make_instance):
    make_instance()
    carol.submit(carol.get("/admin/maintenance").form("/cache/drop"))
    with transaction():
        audit.record("service.recount", actor="system", subject="service")

    table = carol.get("/admin").text.partition("What administrators did")[2]

    assert "cache.drop" in table and "carol@example.com" in table
    assert "alice@example.com" not in table and "service.recount" not in table


def test_it_takes_few_queries_however_much_there_is(carol, alice, app, make_instance, follow):
    instance, token = make_instance()
    endpoint.call(app, instance.id, token)
    follow()
    asked: list[str] = []

    def note(*arguments: object) -> None:
        asked.append(str(arguments[2]))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        assert carol.get("/admin").status == 200
    finally:
        event.remove(db.engine, "before_cursor_execute", note)

    assert len(asked) <= 20, asked
