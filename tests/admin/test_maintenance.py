"""What an administrator sees of the jobs, starts by hand, and changes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextvars import Context
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from rq.timeouts import TimerDeathPenalty

from mcpweb import clock, queue
from mcpweb.accounts.models import UserToken
from mcpweb.database import db, transaction
from mcpweb.instances.house import house
from mcpweb.instances.models import ServiceRow
from mcpweb.jobs import rescheduling, runs, ticker, timetable, worker
from mcpweb.jobs.models import JobRun, Schedule
from mcpweb.jobs.schedule import ON_DEMAND, PLANS, When, daily, every
from mcpweb.jobs.ticker import Ticker
from mcpweb.logs import events
from mcpweb.logs.models import AuditEvent
from mcpweb.monitoring.models import HostRole
from tests.form_client import FormClient, Page
from tests.instances import endpoint

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
AT = "/admin/maintenance"


@pytest.fixture
def schedule(app) -> None:
    """The rows as `migrate` has made them some days ago."""
    with transaction():
        timetable.insert_missing(db.session.connection(), NOON - timedelta(days=3))


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Sets the wall clock; the people have signed in by then."""
    return lambda moment: monkeypatch.setattr(clock, "utcnow", lambda: moment)


@pytest.fixture
def work(app, settings) -> Callable[[], None]:
    """Does what is on the queues, as `mcpweb worker` does."""

    class Here(worker._Worker):
        death_penalty_class = TimerDeathPenalty

        def subscribe(self) -> None:
            """Nobody commands it."""

        def execute_job(self, job, queue) -> None:
            self.perform_job(job, queue, self.prepare_execution(job))

    def run() -> None:
        worker.open_worker(app, Redis.from_url(settings.redis_url), Here).work(burst=True, logging_level="CRITICAL")

    return lambda: Context().run(run)


def open_runs() -> list[tuple[str, str, str]]:
    db.session.rollback()
    return [(run.job, run.state, run.by_whom) for run in db.session.query(JobRun).order_by(JobRun.id)]


def row(job: str) -> Schedule:
    db.session.rollback()
    found = db.session.get(Schedule, job, populate_existing=True)
    assert found
    return found


def changes() -> list[AuditEvent]:
    db.session.rollback()
    return list(db.session.query(AuditEvent).filter_by(action="schedule.change").order_by(AuditEvent.seq))


def save(person: FormClient, job: str, button: str = "save", **values: str) -> Page:
    page = person.get(f"{AT}/{job}/schedule")
    return person.submit(page.form(f"{AT}/{job}/schedule"), button, **values)


def start(person: FormClient, job: str) -> Page:
    page = person.get(AT)
    return person.submit(page.form(f"{AT}/{job}/run"))


# The table and the runs


def test_the_table_has_every_job_with_its_schedule_and_what_became_of_it(carol, schedule, work):
    page = start(carol, "recount")
    assert "Recount starts as soon as a worker is free" in page.text and page.path == f"{AT}/recount"
    assert "Waiting" in page.text and "Look again" in page.text
    work()

    page = carol.get(AT)

    assert page.text.count("/run") == len(PLANS) + len(ON_DEMAND) + 4, "the jobs that delete have a dry run beside"
    for plan in (*PLANS.values(), *ON_DEMAND.values()):
        assert plan.does in page.text
    assert "Every 30 seconds" in page.text and "Every 5 minutes" in page.text and "Every hour" in page.text
    assert "Daily at 03:10 UTC" in page.text
    assert page.text.count("Not yet") == len(PLANS) + len(ON_DEMAND) - 1
    assert "Done" in page.text and f", {db.session.query(ServiceRow).count()} items" in page.text, "services"
    assert "Look again" not in page.text


def test_a_second_run_is_politely_refused_while_the_first_waits(carol, schedule):
    start(carol, "recount")

    page = start(carol, "recount")

    assert "is at work already or waits for a worker. It was not started again." in page.text
    assert open_runs() == [("recount", "waiting", "carol@example.com")]


def test_a_run_can_be_asked_for_again_when_it_has_ended(carol, schedule, work):
    for _ in range(2):
        start(carol, "recount")
        work()

    assert [state for _, state, _ in open_runs()] == ["done", "done"]


def test_a_run_without_a_queue_says_so_and_is_kept_as_failed(carol, schedule, monkeypatch):
    monkeypatch.setattr(queue, "_queue", None)

    page = start(carol, "recount")

    assert page.status == 503 and "The queue can not be reached" in page.text
    assert "the queue could not be reached" in carol.get(f"{AT}/recount").text


def test_a_report_is_shown_as_facts_that_can_be_read(carol, schedule, work):
    with transaction():
        db.session.get(ServiceRow, "github").total_instances = 7
    start(carol, "recount")
    work()

    page = carol.get(f"{AT}/recount")

    assert "Wrong counters (counted before, true)" in page.text
    assert "github: total: 7, 0, active: 0, 0" in page.text
    assert "By hand, carol@example.com" in page.text
    assert f"{db.session.query(ServiceRow).count()} items" in page.text


@pytest.mark.parametrize(
    ("state", "said"), [("running", "5 items so far"), ("failed", "Failed"), ("lost", "ended without a word")]
)
def test_a_run_shows_how_it_stands(state, said, carol, schedule):
    with transaction():
        run = JobRun(job="rebuild_index", state=state, started_at=clock.utcnow(), items=5, report={"lines": 12345})
        db.session.add(run)

    page = carol.get(f"{AT}/rebuild_index")

    assert said in page.text and "12,345" in page.text
    assert ("Look again" in page.text) == (state == "running")


def test_a_run_that_goes_on_says_how_far_it_is_and_its_end_replaces_that(carol, schedule):
    seen = []

    def take_long() -> dict[str, int]:
        for day in (1, 2, 3):
            runs.tell(day, {"down_to": f"day {day}"})
            seen.append(carol.get(f"{AT}/rebuild_index").text)
        return {"items": 9}

    runs.perform("rebuild_index", take_long)

    assert "1 item so far" in seen[0] and "<dt>Down to</dt><dd>day 1</dd>" in seen[0]
    assert "1 item so far" in seen[2], "not every step is written, but one a second"
    after = carol.get(f"{AT}/rebuild_index").text
    assert "9 items" in after and "Down to" not in after


def test_what_a_report_says_is_text_and_nothing_else(carol, schedule):
    with transaction():
        report = {"problems": ["<script>alert(1)</script>"]}
        db.session.add(JobRun(job="recount", state="done", started_at=clock.utcnow(), report=report))

    assert "&lt;script&gt;alert(1)" in carol.get(f"{AT}/recount").text


@pytest.mark.parametrize("path", ["nothing", "nothing/schedule", "rebuild_index/schedule"])
def test_what_is_no_job_is_not_found(path, carol):
    assert carol.get(f"{AT}/{path}").status == 404


def test_what_is_no_job_is_not_started(carol):
    token = dict(carol.get(AT).form("/recount/run").fields)["csrf_token"]

    assert carol.post(f"{AT}/nothing/run", {"csrf_token": token}).status == 404
    assert carol.post(f"{AT}/rebuild_index/reset", {"csrf_token": token}).status == 404
    assert open_runs() == []


def test_the_pages_are_there_before_the_schedule_has_rows(carol):
    assert "Daily at 03:40 UTC" in carol.get(AT).text
    save(carol, "recount", number="2", unit="hour", kind="every")
    assert row("recount").every_s == 7200


# Dry runs


def test_a_dry_run_of_cleaning_up_counts_and_throws_nothing_away(carol, schedule, work):
    with transaction():
        for token in db.session.query(UserToken):
            token.created_at -= timedelta(days=9)
    there = db.session.query(UserToken).count()
    assert there

    page = carol.get(f"{AT}/clean_up")
    carol.submit(page.form(f"{AT}/preview_clean_up/run"))
    work()

    text = carol.get(f"{AT}/preview_clean_up").text
    assert f"<dt>Links</dt><dd>{there}</dd>" in text and f"{there} item" in text
    db.session.rollback()
    assert db.session.query(UserToken).count() == there
    start(carol, "clean_up")
    work()
    db.session.rollback()
    assert db.session.query(UserToken).count() == 0, "the real run does it"


def test_a_dry_run_of_erasing_logs_names_the_folders_and_leaves_them(carol, schedule, work, make_instance):
    instance, _ = make_instance()
    events.instance(instance.owner_id, instance.id, "made")
    folder = events.files().instance_folder(instance.owner_id, instance.id)
    with transaction():
        db.session.delete(db.session.get(type(instance), instance.id))
    for path in folder.iterdir():
        os.utime(path, (0, 0))

    start(carol, "preview_erase_logs")
    work()

    assert folder.name in carol.get(f"{AT}/preview_erase_logs").text and folder.is_dir()
    start(carol, "erase_logs")
    work()
    assert not folder.exists()


def test_a_dry_run_of_erasing_exports_counts_the_files_and_leaves_them(carol, schedule, work, settings):
    file = settings.home / "exports" / "of-nobody.csv.gz"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"x" * 700)

    start(carol, "preview_erase_exports")
    work()

    text = carol.get(f"{AT}/preview_erase_exports").text
    assert "1 item" in text and "<dd>700 bytes</dd>" in text and file.exists()
    start(carol, "erase_exports")
    work()
    assert not file.exists()


def test_the_log_files_are_verified_and_their_maintenance_is_said_beforehand(carol, schedule, work, settings):
    system = settings.home / "logs" / "system"
    old = system / "app-2020-01-01.jsonl"
    old.write_text('{"message":"long ago"}\n')
    page = carol.get(f"{AT}/logs")
    assert "Not verified by hand" in page.text and "Each host has files of its own" in page.text

    page = carol.submit(page.form("/preview_log_maintenance/run"))
    assert page.path == f"{AT}/logs" and "Look again" in page.text
    work()

    page = carol.get(f"{AT}/logs")
    assert re.search(r"It would close \d+ files?, delete [1-9]\d* files? and so free", page.text)
    assert "app-2020-01-01.jsonl" in page.text and old.exists()
    carol.submit(page.form("/maintain_logs/run"))
    work()
    assert (
        re.search(r"It closed \d+ files?, deleted [1-9]\d* files?", carol.get(f"{AT}/logs").text) and not old.exists()
    )

    stranger = system / "app-2020-01-02.jsonl.gz"
    stranger.write_bytes(b"")
    try:
        carol.submit(carol.get(f"{AT}/logs").form("/verify_logs/run"))
        work()
        page = carol.get(f"{AT}/logs")
        assert "Not whole" in page.text and "app-2020-01-02.jsonl: unlisted" in page.text
    finally:
        stranger.unlink()
    carol.submit(page.form("/verify_logs/run"))
    work()
    assert "Every closed day is there and unchanged" in carol.get(f"{AT}/logs").text


def test_what_another_host_found_in_its_files_is_not_said_of_this_one(carol, schedule):
    for host, sound in ((house().propagation.host, True), ("another", False)):
        with transaction():
            report = {"is_sound": sound, "problems": [] if sound else ["app is missing"]}
            run = JobRun(
                job="verify_logs",
                host=host,
                state="done",
                started_at=clock.utcnow(),
                finished_at=clock.utcnow(),
                report=report,
            )
            db.session.add(run)

    page = carol.get(f"{AT}/logs")

    assert "Every closed day is there" in page.text and "app is missing" not in page.text
    assert "app is missing" in carol.get(f"{AT}/verify_logs").text, "its run is in the list of all"


def test_the_index_is_built_anew_by_hand(carol, schedule, work):
    start(carol, "rebuild_index")
    work()

    assert open_runs() == [("rebuild_index", "done", "carol@example.com")]
    assert "Done" in carol.get(f"{AT}/rebuild_index").text


# Schedules


@pytest.fixture
def tick(settings, tmp_path) -> Callable[[], list[str]]:
    """One ticker's next tick."""
    one = Ticker(queue.connect(settings.redis_url), ticker._begin(settings.database), tmp_path / "host")
    return one.tick


def test_a_changed_schedule_is_what_a_ticker_follows_at_its_next_tick(carol, schedule, tick, at):
    at(NOON)
    tick()

    page = save(carol, "send_notices", kind="every", number="10", unit="second")
    assert "Notices to owners has a new schedule" in page.text and "Every 10 seconds" in page.text
    tick()
    at(NOON + timedelta(seconds=10))
    assert tick() == ["send_notices"]

    carol.submit(carol.get(f"{AT}/send_notices").form("/reset"))
    tick()
    at(NOON + timedelta(seconds=20))
    assert tick() == [], "every 30 seconds again"


def test_a_job_that_is_switched_off_is_not_run(carol, schedule, tick, at):
    at(NOON)
    tick()
    page = carol.get(f"{AT}/send_notices/schedule")
    form = page.form("/schedule")
    form.fields = [pair for pair in form.fields if pair[0] != "is_enabled"]

    page = carol.submit(form, "save")

    assert "Switched off" in page.text and "Switched off" in carol.get(AT).text
    at(NOON + timedelta(seconds=30))
    assert "send_notices" not in tick()


@pytest.mark.parametrize("job", ["clean_up", "erase_logs"])
def test_a_job_that_becomes_daily_does_not_run_at_once_but_when_it_was_said(job, carol, schedule, tick, at):
    at(NOON - timedelta(days=3))
    tick()
    save(carol, job, kind="daily", at_time="03:00", timezone="UTC")
    tick()
    save(carol, job, kind="every", number="1", unit="hour")
    tick()
    at(NOON)
    tick()

    page = save(carol, job, kind="daily", at_time="11:00", timezone="UTC")

    assert "24 Nov 2026, 11:00 UTC" in page.text and "23 Nov 2026, 11:00" not in page.text
    for hours in (0, 1, 22):
        at(NOON + timedelta(hours=hours))
        assert job not in tick()
    at(NOON + timedelta(hours=23))
    assert job in tick()


@pytest.mark.parametrize("job", ["recount", "maintain_logs"])
def test_a_later_time_on_a_day_that_is_done_holds_from_the_next_day_on(job, carol, schedule, tick, at):
    for hour in (-12, -8):
        at(NOON + timedelta(hours=hour))
        tick()
    at(NOON)

    page = save(carol, job, kind="daily", at_time="20:00", timezone="UTC")

    assert "24 Nov 2026, 20:00 UTC" in page.text and "23 Nov 2026, 20:00" not in page.text
    at(NOON + timedelta(hours=9))
    assert job not in tick()
    at(NOON + timedelta(hours=32))
    assert job in tick()


def test_a_preview_shows_the_next_five_runs_in_the_zone_that_was_typed_and_changes_nothing(carol, schedule, at):
    at(NOON)

    page = save(carol, "clean_up", "preview", kind="daily", at_time="18:30", timezone="Asia/Tokyo")

    assert "Daily at 18:30 Asia/Tokyo" in page.text and "Nothing is saved yet" in page.text
    times = re.findall(r">(\d+ Nov 2026, [\d:]+) UTC<", page.text)
    assert times == [f"{day} Nov 2026, 09:30" for day in range(24, 29)]
    assert row("clean_up").every_s == 3600 and changes() == []
    assert dict(page.form("/schedule").fields)["at_time"] == "18:30", "what was typed is still there"


def test_a_change_is_kept_with_who_made_it_and_what_was_before(carol, schedule):
    save(carol, "recount", kind="daily", at_time="04:15", timezone="Europe/Berlin")

    [event] = changes()
    assert (event.actor, event.subject) == ("carol@example.com", "schedule/recount")
    before = {"every_s": None, "at_time": "03:40", "timezone": "UTC", "is_enabled": True}
    assert event.details["before"] == before
    assert event.details["after"] == before | {"at_time": "04:15", "timezone": "Europe/Berlin"}
    assert row("recount").changed_by == "carol@example.com" and row("recount").changed_at
    page = carol.get(f"{AT}/recount")
    assert "by carol@example.com" in page.text and "Daily at 04:15 Europe/Berlin" in page.text

    page = carol.submit(page.form("/reset"))

    assert "runs as it is shipped again" in page.text and "Restore the default" not in page.text
    assert changes()[1].details["after"] == before


def test_saving_what_is_there_already_is_no_change(carol, schedule):
    assert "Nothing was changed" in save(carol, "recount").text
    assert "Nothing was changed" in save(carol, "clean_up").text

    assert changes() == [] and row("recount").changed_at is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"kind": "every", "number": "9", "unit": "second"}, "from 10 seconds to 7 days"),
        ({"kind": "every", "number": "8", "unit": "day"}, "from 10 seconds to 7 days"),
        ({"kind": "every", "number": "-3", "unit": "hour"}, "from 10 seconds to 7 days"),
        ({"kind": "every", "number": "9" * 40, "unit": "day"}, "from 10 seconds to 7 days"),
        ({"kind": "every", "number": "soon", "unit": "hour"}, "from 10 seconds to 7 days"),
        ({"kind": "every", "number": "", "unit": "hour"}, "from 10 seconds to 7 days"),
        ({"kind": "every", "number": "1", "unit": "year"}, "Not a valid choice"),
        ({"kind": "never"}, "Not a valid choice"),
        ({"kind": "daily", "at_time": "25:00", "timezone": "UTC"}, "Give a time of day"),
        ({"kind": "daily", "at_time": "", "timezone": "UTC"}, "Give a time of day"),
        ({"kind": "daily", "at_time": "03:10", "timezone": "Mars/Olympus"}, "no such time zone"),
        ({"kind": "daily", "at_time": "03:10", "timezone": "../../etc/passwd"}, "no such time zone"),
        ({"kind": "daily", "at_time": "03:10", "timezone": ""}, "no such time zone"),
    ],
    ids=str,
)
def test_what_no_ticker_could_follow_is_refused_at_its_field(values, said, carol, schedule):
    page = save(carol, "recount", **values)

    assert page.status == 422 and said in page.text
    assert changes() == []


def test_a_schedule_that_can_not_be_read_is_shown_as_such_and_can_be_mended(carol, schedule):
    with transaction():
        db.session.get(Schedule, "recount").at_time = "soon"

    assert "Not readable" in carol.get(AT).text
    assert "before its schedule is mended" in carol.get(f"{AT}/recount").text
    page = save(carol, "recount", kind="daily", at_time="05:00", timezone="UTC")
    assert "has a new schedule" in page.text and "05:00 UTC" in page.text


@pytest.mark.parametrize(
    ("when", "said"),
    [
        (every(5), "A job runs every 10 seconds at most"),
        (every(8 * 86400), "A job runs every 10 seconds at most"),
        (daily("24:10"), "A time of day"),
        (daily("03:10", "Mars/Olympus"), "no such time zone"),
        (When(), "A time of day"),
    ],
    ids=str,
)
def test_the_domain_refuses_it_too(when, said, app, schedule):
    with pytest.raises(Exception, match=said):
        rescheduling.change("recount", when, True, "carol@example.com")


# What is remembered


def test_dropping_the_remembered_accesses_makes_the_next_call_ask_the_database(carol, app, make_instance):
    instance, token = make_instance()
    for _ in range(2):
        endpoint.call(app, instance.id, token, "get_me")
    generations, before = house().propagation.generations, house().access.stats.misses
    number = generations.current(instance.id)
    assert "<dt>Remembered</dt><dd>1</dd>" in carol.get(AT).text

    page = carol.submit(carol.get(AT).form("/cache/drop"))

    assert "Every remembered access on this host is dropped" in page.text
    assert "<dt>Remembered</dt><dd>0</dd>" in page.text
    assert generations.current(instance.id) > number, "what other processes of the host remember is stale"
    endpoint.call(app, instance.id, token, "get_me")
    assert house().access.stats.misses > before
    db.session.rollback()
    assert db.session.query(AuditEvent).filter_by(action="cache.drop").one().actor == "carol@example.com"


# Other hosts


def test_what_is_asked_for_on_another_host_runs_there_and_not_here(carol, schedule, settings, work):
    other = "0123456789ab"
    connection = queue.connect(settings.redis_url)
    there = worker.open_worker(carol.transport.client.application, Redis.from_url(settings.redis_url))
    there.queues = [queue.open_queue(connection), queue.open_queue(connection, other)]
    there.register_birth()
    with transaction():
        moment = clock.utcnow()
        role = {"role": "worker", "process": 1, "version": "1", "started_at": moment, "seen_at": moment, "figures": {}}
        db.session.add(HostRole(host=other, name="web-2", **role))
    page = carol.get(f"{AT}/logs")
    assert f"/admin/maintenance/logs?host={other}" in page.links and f"web-2 ({other})" in page.text

    page = carol.get(f"{AT}/logs?host={other}")
    page = carol.submit(page.form("/verify_logs/run"))

    assert page.url.endswith(f"/logs?host={other}") and "Look again" in page.text
    assert "Look again" not in carol.get(f"{AT}/logs").text, "this host is not busy"
    work()
    assert open_runs() == [("verify_logs", "waiting", "carol@example.com")], "the worker of this host has left it alone"
    assert len(queue.open_queue(connection, other)) == 1
    carol.submit(carol.get(f"{AT}/logs").form("/verify_logs/run"))
    work()
    assert [state for _, state, _ in open_runs()] == ["waiting", "done"], "each host looks after its own"
    assert "was not started again" in carol.submit(page.form("/verify_logs/run")).text
    there.register_death()
    assert carol.get(f"{AT}/logs?host={other}").status == carol.get(f"{AT}/logs?host=x").status == 404
