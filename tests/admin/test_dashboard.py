"""How the installation is, as an administrator sees it at a glance, and what it says when a part is away."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from html import unescape
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from flask import Flask
from redis import ConnectionError as RedisIsAway
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from mcpweb import __version__, clock, queue
from mcpweb.database import db, transaction
from mcpweb.errors import Unavailable
from mcpweb.gateway.slots import Slots
from mcpweb.hosts import host_id
from mcpweb.instances import counting, lifecycle
from mcpweb.instances.models import Instance, KeyCheck, TrafficMinute
from mcpweb.jobs import runs
from mcpweb.jobs.health import watch_health
from mcpweb.jobs.models import JobRun
from mcpweb.jsonrpc import BUSY, RpcError
from mcpweb.logs import audit, events
from mcpweb.logs.following import Follower
from mcpweb.logs.lines import HOST
from mcpweb.monitoring import host_health
from mcpweb.monitoring.heartbeat import Heartbeat
from mcpweb.monitoring.models import InstallationSample, PartState
from mcpweb.web.current import log_index, settings
from tests.ageing import age
from tests.form_client import FormClient
from tests.instances import endpoint
from tests.spec_server import TOKENS

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
    found = re.findall(r'<a href="[^"]+">([^<]+)</a>\s*<strong>(.*?)</strong> <span class="muted">(.*?)</span>', text)
    return {word: f"{value} {beside}" for word, value, beside in found}


def part(person: FormClient, name: str) -> str:
    """The row of a part: its state, what was found, and what to do."""
    health = person.get("/admin").text.partition('id="health-title"')[2].partition("</section>")[0]
    rows = re.findall(r'<tr><th scope="row">(.*?)</tr>', health, re.DOTALL)
    [row] = [row for row in rows if re.sub(r"<[^>]+>", "", row).startswith(name)]
    return " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"</?code>", "`", row)).split())


def finished(job: str, state: str = "done", ago: timedelta = timedelta(), **report: object) -> None:
    at = clock.utcnow() - ago
    with transaction():
        db.session.add(JobRun(job=job, state=state, started_at=at, finished_at=at, report=report))


def beats(app: Flask, *roles: str) -> None:
    for role in roles:
        assert Heartbeat(settings().database, settings().home / "run", role).beat()


# Figures


def no_slot(*_: object) -> None:
    raise RpcError(BUSY, "As many calls are running as may run at once.")


def test_the_figures_say_what_there_is_and_whose_fault_failures_are(carol, alice, app, make_instance, follow):
    instance, token = make_instance()
    make_instance(label="Other")
    dead, dead_token = make_instance(label="Dead", token=TOKENS["github"]["revoked"])
    for tool in ("get_me", "get_me", "no_such_tool"):
        endpoint.call(app, instance.id, token, tool)
    endpoint.call(app, dead.id, dead_token, "get_me")
    follow()

    found = figures(carol)

    assert list(found) == [
        "Calls a minute", "Failed here", "Failed at services", "95 of 100 within", "Active instances", "Users",
        "Jobs in the queue", "From the cache",
    ]  # fmt: skip
    assert found["Users"] == "2 1 administrator" and found["Active instances"] == "3 of 3"
    assert found["Calls a minute"].endswith(" 4 in an hour")
    assert found["Failed here"] == "0 % 0 of 4 calls", "the wrong name was the caller's fault"
    assert found["Failed at services"] == "25.0 % 1 of 4 calls"
    assert " ms half within " in found["95 of 100 within"]
    assert found["Jobs in the queue"][0].isdigit()
    age(TrafficMinute, timedelta(minutes=2))  # the present minute is not over; and the calls may stand in two
    assert re.search('aria-label="Last hour: between 0 and [2-4], at the end ', carol.get("/admin").text)


def test_behind_a_figure_are_the_very_lines_that_it_counts(carol, app, make_instance, follow, monkeypatch):
    instance, token = make_instance()
    dead, dead_token = make_instance(label="Dead", token=TOKENS["github"]["revoked"])
    off, off_token = make_instance(label="Off")
    lifecycle.deactivate(db.session.get(Instance, off.id), "alice@example.com")
    with monkeypatch.context() as busy:
        busy.setattr(Slots, "take", no_slot)
        endpoint.call(app, instance.id, token)
    for called, with_token, tool in (
        (instance, token, "get_me"), (instance, token, "no_such_tool"), (off, off_token, "get_me"),
        (dead, dead_token, "get_me"), (dead, dead_token, "get_me"), (instance, "wrong", "get_me"),
    ):  # fmt: skip
        endpoint.call(app, called.id, with_token, tool)
    follow()
    page = carol.get("/admin")

    mine = "".join(f"&instance={one.id}" for one in (instance, dead, off))  # lines of other tests may be there, too

    def behind(word: str) -> str:
        link = unescape(re.search(rf'<a href="([^"]+)">{word}</a>', page.text)[1])
        text = carol.get(link + mine if "/logs" in link else link).text
        return re.search(r"(?:<h2>|<p>)([\d,]+ (?:lines?|instances found|accounts))\b", text)[1]

    told = figures(carol)
    assert told["Failed here"].endswith(" 1 of 6 calls") and behind("Failed here") == "1 line"
    assert told["Failed at services"].endswith(" 2 of 6 calls") and behind("Failed at services") == "2 lines"
    assert told["Calls a minute"].endswith(" 6 in an hour") and behind("Calls a minute") == "6 lines"
    assert behind("95 of 100 within") == "6 lines"
    assert told["Active instances"] == "2 of 3" and behind("Active instances") == "2 instances found"
    assert told["Users"].startswith("2 ") and behind("Users") == "2 accounts"


def test_calls_of_earlier_hours_are_not_counted(carol, app, make_instance, follow):
    instance, token = make_instance()
    endpoint.call(app, instance.id, token)
    follow()
    assert figures(carol)["Calls a minute"].endswith(" 1 in an hour")
    age(TrafficMinute, timedelta(hours=2))

    assert figures(carol)["Calls a minute"] == "0 0 in an hour"


def test_trends_come_from_the_samples_of_the_last_hour(carol, app):
    minute = clock.utcnow().replace(second=0, microsecond=0)
    with transaction():
        for ago, users, waiting in ((0, 7, 3), (1, 5, None), (70, 900, 900)):
            db.session.add(
                InstallationSample(
                    minute=minute - timedelta(minutes=ago), users=users, admins=1, instances=4, active_instances=2,
                    waiting=waiting, cache_hits=3, cache_misses=1, details={},
                )
            )  # fmt: skip

    found, text = figures(carol), carol.get("/admin").text

    assert found["Users"] == "7 1 administrator" and found["From the cache"].startswith("75.0 % ")
    assert "Last hour: between 5 and 7, at the end 7" in text
    assert "Last hour: always 3" in text and "Last hour: always 75.0 %" in text and "900" not in text


def test_every_link_of_the_dashboard_leads_somewhere(carol, app, follow):
    logging.getLogger("probe").error(MARK)
    follow()
    page = carol.get("/admin")
    targets = {link for link in page.links if link.startswith("/admin")}

    assert len(targets) > 8
    assert {(urlsplit(link).path, carol.get(link).status) for link in targets if carol.get(link).status != 200} == set()


# Health


def test_a_healthy_installation_says_so(carol, app, follow):
    follow()
    with transaction():
        run = JobRun(job="clean_up", state="done", trigger="schedule", started_at=clock.utcnow(), report={})
        db.session.add(run)
    finished("maintain_logs", used_bytes=50_000_000)
    beats(app, "web", "worker", "ticker")

    assert part(carol, "Database").startswith("Database Good")
    assert part(carol, "Redis").startswith("Redis")
    assert part(carol, "Mail").startswith("Mail Good 127.0.0.1, port")
    assert re.match("Jobs Good All went well, .*; next is .* within [0-9]+ seconds", part(carol, "Jobs"))
    assert part(carol, "Log budget").startswith("Log budget Good 0% of 10,000 MB, measured just now")
    assert re.match(r"Audit trail Good \d+ entries, the newest just now", part(carol, "Audit trail"))
    assert part(carol, "Encryption keys").startswith("Encryption keys Good")
    assert part(carol, "Log index").startswith(f"Log index {HOST} Good")
    for role in ("Web", "Worker", "Ticker"):
        assert part(carol, role).startswith(f"{role} {HOST} Good 1 process, heard just now")
    assert part(carol, "Versions").startswith(f"Versions Good {__version__}")
    assert part(carol, "Clock").startswith("Clock Good")


def test_the_last_backup_is_told_and_one_that_is_old_or_missing_is_no_good_sign(carol, other_app):
    def note(days: int) -> None:
        made_at = clock.utcnow() - timedelta(days=days)
        told = {"made_at": made_at.isoformat(), "file": "/backups/last"}
        with transaction():
            audit.record("backup.create", actor="command line", subject="backup", **told)

    assert part(carol, "Backup").startswith("Backup Good None was made yet")
    carol.transport.client.application = other_app(bind=("192.0.2.1", 8080))
    assert part(carol, "Backup").startswith("Backup Look at it None was made yet")
    note(8)
    assert "Look at it The last one was made 8 days ago, as /backups/last" in part(carol, "Backup")
    note(1)
    assert part(carol, "Backup").startswith("Backup Good The last one was made")


def test_how_to_restore_the_newest_backup_is_told_with_its_commands(carol):
    assert 'href="/admin/maintenance/backups">Backups<' in carol.get("/admin/maintenance").text
    empty = carol.get("/admin/maintenance/backups").text
    assert "None was made yet" in empty and "mcpweb restore --check /var/lib/mcpweb-backups/mcpweb-" in empty
    for file, with_keys in (("/backups/older", True), ("/backups/the newest", False)):
        told = {"made_at": clock.utcnow().isoformat(), "file": file, "bytes": 3_400_000}
        with transaction():
            held = {"with_keys": with_keys, "with_logs": True}
            audit.record("backup.create", actor="command line", subject="backup", **told, **held)

    page = unescape(carol.get("/admin/maintenance/backups").text)

    assert page.index("/backups/the newest</code>") < page.index("/backups/older</code>")
    assert "Database, logs" in page and "Database, keys, logs" in page and "3.4 MB" in page
    keys = f"--keys {settings().home / 'keys'}"
    assert f"mcpweb restore --check '/backups/the newest' {keys}</code>" in page
    assert f"mcpweb restore '/backups/the newest' --replace {keys}\nmcpweb migrate</code>" in page
    assert f"mcpweb backup /backups/mcpweb-{clock.utcnow():%Y-%m-%d} --logs</code>" in page
    assert "It asks for a passphrase" in page and "Everybody is signed out" in page


def test_a_role_that_nobody_has_is_told(carol):
    assert "Act None says that it is there" in part(carol, "Worker")
    assert "Start `mcpweb worker`: no mail goes out and no job runs." in part(carol, "Worker")
    assert "Start `mcpweb ticker`" in part(carol, "Ticker")


def test_a_service_that_fails_is_named_and_nothing_of_ours_is(carol, app, make_instance, follow):
    instance, token = make_instance(token=TOKENS["github"]["error_500"])
    before = part(carol, "Services")
    for _ in range(5):
        endpoint.call(app, instance.id, token)
    follow()

    assert "Services Good" in before
    assert "Services Look at it GitHub: 5 of 5 calls failed there" in part(carol, "Services")
    assert figures(carol)["Failed here"] == "0 % 0 of 5 calls"


def test_a_state_is_shown_with_the_time_since_when_it_is_so(carol, follow, monkeypatch):
    follow()
    assert re.search("Good .* just now", part(carol, "Log index"))
    age(PartState, timedelta(hours=3))
    assert re.search("Good .* 3 hours ago", part(carol, "Log index"))
    monkeypatch.setattr(host_health, "_FAR_BEHIND", (10, 1_000_000))
    events.app("something")

    assert "behind just now" in part(carol, "Log index")
    age(PartState, timedelta(minutes=7))
    watch_health()
    assert "behind 7 minutes ago" in part(carol, "Log index"), "the same state again changes nothing"


def test_what_changes_while_nobody_looks_is_noted_by_a_job(carol, app):
    beats(app, "worker")
    watch_health()
    age(PartState, timedelta(hours=1))

    assert watch_health()["bad"] >= 2
    assert re.search("Worker .* Good .* 1 hour ago", part(carol, "Worker"))


def test_the_foot_of_every_page_says_how_the_installation_is(carol, alice, browser):
    def foot(person: FormClient) -> str:
        bar = person.get("/help").text.partition('<footer class="footer">')[2].partition("<form")[0]
        return " ".join(re.sub("<[^>]+>", " ", bar).split()).removeprefix(f"mcpweb {__version__} ").removesuffix("Help")

    assert (foot(carol), foot(alice)) == ("Nobody looks at the health ", "")
    runs.perform("watch_health", watch_health)
    assert re.fullmatch("[0-9]+ parts need you(, [0-9]+ deserves? a look)? ", foot(carol))
    assert foot(alice) == "Some parts have trouble "
    assert 'href="/admin#health-title"' in carol.get("/account").text
    runs.perform("watch_health", lambda: {"items": 9, "warn": 1, "bad": 0})
    assert (foot(carol), foot(alice)) == ("1 part deserves a look ", "Working ")
    runs.perform("watch_health", lambda: {"items": 9, "warn": 0, "bad": 0})
    assert (foot(carol), foot(alice), foot(browser)) == ("All parts work ", "Working ", "")
    age(JobRun, timedelta(minutes=6))
    assert (foot(carol), foot(alice)) == ("Nobody looks at the health ", "")


def test_a_mail_that_could_not_be_sent_is_told_until_one_goes_out(carol):
    finished("sign_in_mail", "failed", ago=timedelta(minutes=5), error="MailRefused")

    assert "Mail Act 127.0.0.1, port" in part(carol, "Mail")
    assert "the last mail could not be sent, 5 minutes ago" in part(carol, "Mail")
    finished("sign_in_mail")
    assert re.search("Mail Good .* the last failure was 5 minutes ago", part(carol, "Mail"))


def test_credentials_that_need_an_older_or_a_lost_key_are_counted(carol, make_instance):
    instance, _ = make_instance()
    make_instance(label="Other")
    assert "it sealed all 2 credentials" in part(carol, "Encryption keys")
    with transaction():
        db.session.get(Instance, instance.id).credential_key_id = "k0"

    assert "Act 1 sealed with k0 can not be opened" in part(carol, "Encryption keys")


def test_a_key_that_is_not_the_one_of_before_is_told(carol, make_instance):
    make_instance()
    with transaction():
        row = db.session.scalars(db.select(KeyCheck)).one()
        row.sealed = row.sealed[:-1] + bytes([row.sealed[-1] ^ 1])

    assert "is not the key that was used before under this name" in part(carol, "Encryption keys")


def test_the_worst_stands_on_top(carol):
    states = re.findall(r'badge--(good|warn|bad)">', carol.get("/admin").text)

    assert states[:10] == sorted(states[:10], key=["bad", "warn", "good"].index)


def test_lines_that_are_not_in_the_index_are_told(carol, follow, monkeypatch):
    follow()
    monkeypatch.setattr(host_health, "_FAR_BEHIND", (10, 1_000_000))
    events.app("something")

    assert part(carol, "Log index").startswith(f"Log index {HOST} Look at it")
    assert "mcpweb ticker" in part(carol, "Log index")
    follow()
    monkeypatch.setattr(host_health, "_FAR_BEHIND", (2_000_000, 100_000_000))
    assert part(carol, "Log index").startswith(f"Log index {HOST} Good")


@pytest.mark.parametrize("state", ["failed", "lost"])
def test_a_job_that_failed_the_last_time_is_named(state, carol):
    finished("recount", state)
    finished("clean_up", "failed")
    finished("clean_up")

    assert "Jobs Act Failed the last time: Recount just now Read why" in part(carol, "Jobs")


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
    usage = type("", (), {"free": free, "total": 2 * 10**12})
    monkeypatch.setattr(host_health.shutil, "disk_usage", lambda path: usage)

    assert part(carol, "Disk").startswith(f"Disk {HOST} {state}")


def test_without_redis_the_page_is_there_and_says_what_to_do(carol, monkeypatch):
    def away(*_: object) -> None:
        raise RedisIsAway("away")

    for name in ("depth", "ping"):
        monkeypatch.setattr(queue, name, away)

    assert "Redis Act Redis does not answer just now Start it" in part(carol, "Redis")
    assert figures(carol)["Jobs in the queue"] == "? Redis does not answer"


def test_a_part_whose_question_fails_is_a_line_and_no_fault(carol, monkeypatch):
    def fails(*_: object) -> int:
        raise OperationalError("SELECT", {}, Exception("away"))

    monkeypatch.setattr(host_health, "behind", fails)

    assert "Log index Act The database does not answer" in part(carol, "Log index")


# What happened


def test_errors_are_grouped_by_what_they_say_and_where_and_lead_to_the_log(carol, app, follow):
    place = f"probe.{uuid4().hex}"
    for number in range(3):
        logging.getLogger(place).error(MARK, extra={"number": number, "path": f"/instances/{uuid4()}/logs"})
    logging.getLogger(f"{place}.other").error(MARK)
    events.database("the lake dried up", level="error")
    logging.getLogger("probe").critical("the <b>sun</b> neither")
    logging.getLogger("probe").warning("a cloud")
    follow()

    page = carol.get("/admin")

    cells = re.findall(
        rf'<a href="([^"]+)">{MARK}</a></th><td[^>]*><code>{place}(.*?)</code></td><td[^>]*>(\d+)<', page.text
    )
    assert [(where, count) for _, where, count in cells] == [(".other", "1"), (", /instances/…/logs", "3")]
    assert re.search("the lake dried up</a></th><td[^>]*><code>database</code>", page.text), "without a place, its log"
    for link, _, count in cells:
        assert carol.get(unescape(link)).text.count(f"{MARK}</") >= int(count), link
    assert "the &lt;b&gt;sun&lt;/b&gt; neither" in page.text and "a cloud" not in page.text
    assert any("level=error" in link and "moon" in link for link in page.links)


def test_an_index_that_does_not_answer_leaves_the_rest_of_the_page(carol, monkeypatch):
    def away(*_: object, **__: object) -> None:
        raise Unavailable("The log index does not answer.")

    monkeypatch.setattr(type(log_index()), "search", away)

    page = carol.get("/admin")
    assert page.status == 200 and "The log index does not answer." in page.text


def test_the_newest_actions_are_those_of_administrators_and_lead_to_their_lines(carol, alice, make_instance, follow):
    make_instance()
    carol.submit(carol.get("/admin/maintenance").form("/cache/drop"))
    with transaction():
        audit.record("service.recount", actor="system", subject="service")

    table = carol.get("/admin").text.partition("What administrators did")[2]

    assert "cache.drop" in table and "carol@example.com" in table
    assert "alice@example.com" not in table and "service.recount" not in table
    follow()
    line = carol.get(unescape(re.search('href="([^"]+)">cache.drop<', table)[1])).text
    assert "<h2>1 line</h2>" in line and "<strong>cache.drop</strong>" in line


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

    assert len(asked) <= 34, asked
