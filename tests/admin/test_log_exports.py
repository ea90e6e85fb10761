"""Large exports of the log: prepared by a job, told by mail, one at a time, for whoever asked, and not for ever."""

from __future__ import annotations

import gzip
import json
import threading
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from mcpweb import clock, queue
from mcpweb.accounts.models import Role
from mcpweb.admin import log_export_pages, log_exports
from mcpweb.database import db, transaction
from mcpweb.instances.house import house
from mcpweb.jobs import cleaning, exporting
from mcpweb.logs import export_files, prepared
from mcpweb.logs.export_models import LogExport
from mcpweb.logs.models import AuditEvent
from mcpweb.web.current import log_index, settings
from tests.conftest import user
from tests.form_client import FormClient, Page
from tests.logs.index_lines import encoded, parsed
from tests.parallel import at_once

NOBODY = "There is nothing to export"


@pytest.fixture(autouse=True)
def lines(app, monkeypatch):
    """Five lines in the index, which are many already."""
    monkeypatch.setattr(log_export_pages, "SENT_AT_ONCE", 3)
    index, now = log_index(), clock.utcnow()
    for day in index.days():
        index.drop_day(day)
    raws = [encoded(now - timedelta(seconds=60 - number), f"number {number}", "app") for number in range(5)]
    index.append(1, now.date(), parsed(raws, now.date(), "app"))
    yield
    for day in index.days():
        index.drop_day(day)
    export_files.erase(exporting.folder(settings()), ())


@pytest.fixture
def work(app, monkeypatch):
    """Does what waits in the queue of this host."""

    def work() -> None:
        waiting = queue.open_queue(queue.connect(settings().redis_url), house().propagation.host)
        for job in waiting.jobs:
            job.func(*job.args)
        waiting.empty()

    return work


def prepare(person: FormClient, kind: str = "jsonl", **args: Any) -> Page:
    page = person.get(f"/admin/logs/export?{urlencode(args)}")
    return person.submit(page.form("/prepare"), kind=kind)


def fetch(person: FormClient, page: Page) -> Any:
    return person.transport.raw(f"{page.path}/file")


def events(action: str) -> list[AuditEvent]:
    return db.session.query(AuditEvent).filter_by(action=action).all()


def test_a_large_export_is_prepared_told_by_mail_and_fetched_by_whoever_asked_for_it(
    carol, alice, sign_in, work, mail_server, lines
):
    page = carol.get("/admin/logs/export?q=number")
    assert "More than 3 lines" in page.text and "/export/csv" not in page.text

    page = prepare(carol, q="number", **{"not-level": "error"})
    assert "being prepared" in page.text and "Waiting" in page.text and "data-refresh" in page.text
    assert fetch(carol, page).status_code == 409
    work()

    page = carol.get(page.path)
    assert "5 lines" in page.text and "Ready" in page.text and "Sent to you" in page.text
    (mail,) = mail_server.mails
    assert f"{settings().url}{page.path}" in mail.part("plain").split(), "and no secret"
    answer = fetch(carol, page)
    found = [json.loads(line)["message"] for line in gzip.decompress(answer.data).splitlines()]
    assert found == [f"number {number}" for number in (4, 3, 2, 1, 0)]
    (path,) = exporting.folder(settings()).iterdir()
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    (asked,), (got,) = events("logs.export"), events("logs.export-download")
    assert asked.details["query"] == "number" and asked.details["columns_not"] == {"level": ["error"]}
    assert got.actor == asked.actor == "carol@example.com" and got.details["lines"] == 5

    dave = sign_in("dave@example.com", Role.ADMIN)
    for path in (page.path, f"{page.path}/file"):
        assert dave.open("GET", path).status == alice.open("GET", path).status == 404, "not even another administrator"
    assert page.path not in dave.get("/admin/logs/export").text
    assert page.path in carol.get("/admin/logs/export").text

    page = carol.submit(carol.get(page.path).form("/delete"))
    assert "is deleted" in page.text and list(exporting.folder(settings()).iterdir()) == []


def test_a_small_export_is_sent_at_once_and_an_empty_one_is_not_offered(carol, monkeypatch, lines):
    monkeypatch.setattr(log_export_pages, "SENT_AT_ONCE", 100)

    page = carol.get("/admin/logs/export?q=number")
    assert "5 lines" in page.text and "Prepare" not in page.text
    (link,) = [link for link in page.links if "/export/txt" in link]
    assert carol.open("GET", link).text.count("number") == 5
    assert NOBODY in carol.get("/admin/logs/export?q=nothing-of-the-kind").text


def test_an_administrator_has_one_export_under_way_at_a_time(carol, sign_in, work, lines):
    page, second = prepare(carol), prepare(carol)
    assert second.status == 409 and "being prepared already" in second.text
    assert "being prepared." in prepare(sign_in("dave@example.com", Role.ADMIN)).text, "others have theirs"
    work()
    assert "being prepared." in prepare(carol).text

    done = log_exports.turn("carol@example.com")
    answer = carol.open("GET", "/admin/logs/export/txt")
    assert answer.status == 409 and "being sent to you already" in answer.text
    done()
    assert [carol.open("GET", "/admin/logs/export/txt").status for _ in range(2)] == [200, 200]
    assert fetch(carol, page).status_code == 200


def test_an_export_that_nobody_writes_any_more_is_given_up_and_another_may_be_asked_for(carol, work, lines):
    page = prepare(carol)
    with transaction():
        db.session.execute(db.update(LogExport).values(seen_at=clock.utcnow() - timedelta(hours=2)))

    assert "Failed" in carol.get("/admin/logs/export").text
    assert "being prepared." in prepare(carol).text
    work()
    assert "without a word" in carol.get(page.path).text, "the late worker does not write it any more"


def test_a_deleted_export_is_not_written_to_its_end(carol, work, lines, monkeypatch):
    page = prepare(carol)
    monkeypatch.setattr(export_files, "_TOLD_EVERY", 1)
    monkeypatch.setattr(exporting, "_TELL_S", 0.0)
    tell = prepared.tell

    def deletes(export_id, lines):
        carol.submit(carol.get(page.path).form("/delete"))
        tell(export_id, lines)

    monkeypatch.setattr(prepared, "tell", deletes)
    work()

    assert list(exporting.folder(settings()).iterdir()) == []
    assert carol.get(page.path).status == 404


def test_who_administers_no_more_when_the_job_runs_gets_no_file(carol, work, lines):
    page = prepare(carol)
    with transaction():
        user("carol@example.com").role = Role.USER
    work()
    with transaction():
        user("carol@example.com").role = Role.ADMIN

    assert "does not administer any more" in carol.get(page.path).text
    assert not exporting.folder(settings()).exists() or list(exporting.folder(settings()).iterdir()) == []


@pytest.mark.parametrize("kind", ["csv", "txt"])
def test_a_file_that_grew_too_large_ends_in_order_and_says_so(kind, carol, work, lines, monkeypatch, mail_server):
    monkeypatch.setattr(export_files, "MAX_LINES", 2)

    page = prepare(carol, kind)
    work()

    page = carol.get(page.path)
    assert "2 lines" in page.text and "older lines are left out" in page.text
    assert "older lines are left out" in mail_server.mails[-1].part("plain")
    text = gzip.decompress(fetch(carol, page).data).decode()
    assert text.count("number 4") and text.count("number 3") and "number 2" not in text and text.endswith("\n")


def test_what_goes_wrong_while_it_is_written_is_a_sentence_and_leaves_no_file(carol, work, lines, monkeypatch):
    page = prepare(carol)
    exporting.folder(settings()).mkdir(exist_ok=True)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export_files.os, "fdopen", full)
    with pytest.raises(OSError, match="No space"):
        work()

    monkeypatch.undo()
    assert "Is the disk full?" in carol.get(page.path).text
    assert list(exporting.folder(settings()).iterdir()) == []


def test_a_mail_that_was_refused_is_tried_three_times_more_and_sent_once(carol, work, lines, mail_server):
    mail_server.answer = "451 try again later"
    page = prepare(carol)
    work()
    assert "Not sent" in carol.get(page.path).text

    def later(minutes: int) -> int:
        """What a run does so long after the file was finished, and one at once after it."""
        with transaction():
            export = db.session.query(LogExport).one()
            tried = max(export.seen_at - export.finished_at, timedelta())
            export.finished_at = clock.utcnow() - timedelta(minutes=minutes, seconds=1)
            export.seen_at = export.finished_at + tried
        return exporting.export_mails_left() + exporting.export_mails_left()

    assert later(1) == 0
    assert [later(2), later(7)] == [0, 0]
    mail_server.answer = "250 OK"
    assert [later(8), later(17), later(30)] == [0, 1, 0]
    assert len(mail_server.mails) == 1 and page.path in mail_server.mails[0].part("plain")
    assert "Sent to you" in carol.get(page.path).text

    mail_server.answer = "451 try again later"
    with transaction():
        db.session.query(LogExport).one().mailed_at = None
    assert later(40) == 0
    mail_server.answer = "250 OK"
    assert later(100) == 0, "after four refusals the mail server is left in peace"


def test_of_two_runs_that_find_the_same_mail_unsent_one_sends_it(app, carol, work, lines, mail_server, monkeypatch):
    mail_server.answer = "451 try again later"
    prepare(carol)
    work()
    mail_server.answer = "250 OK"
    with transaction():
        export = db.session.query(LogExport).one()
        export.finished_at = export.seen_at = clock.utcnow() - timedelta(minutes=3)
    is_due, both = prepared._is_due, threading.Barrier(2)

    def found_by_both(*arguments: Any) -> bool:
        both.wait(20)
        return is_due(*arguments)

    def run() -> int:
        with app.app_context():
            return exporting.export_mails_left()

    monkeypatch.setattr(prepared, "_is_due", found_by_both)
    assert sorted(at_once([run, run])) == [0, 1]
    assert len(mail_server.mails) == 1


def test_a_file_is_had_for_three_days_and_then_deleted(carol, work, lines):
    page = prepare(carol)
    work()
    assert exporting.erase_exports() == 0
    with transaction():
        export = db.session.query(LogExport).one()
        export.finished_at = export.asked_at = clock.utcnow() - timedelta(days=3, seconds=1)

    assert fetch(carol, page).status_code == 404, "also before the job has deleted it"
    assert "Deleted" in carol.get(page.path).text and exporting.erase_exports() == 1
    with transaction():
        db.session.query(LogExport).one().asked_at = clock.utcnow() - timedelta(days=31)
    cleaning.clean_up()
    assert carol.get(page.path).status == 404


def test_the_file_of_another_host_is_not_looked_for_here(carol, work, lines):
    page = prepare(carol)
    work()
    with transaction():
        db.session.query(LogExport).one().host = "elsewhere"

    assert "lies on the host elsewhere" in carol.get(page.path).text
    answer = fetch(carol, page)
    assert answer.status_code == 409 and "lies on the host elsewhere" in answer.text


def test_bad_wishes_are_refused_and_without_a_queue_nothing_waits(carol, lines, monkeypatch):
    assert prepare(carol, "exe").status == 404
    monkeypatch.setattr(queue, "_queue", None)

    page = prepare(carol)

    assert page.status == 503 and "can not be reached" in page.text
    assert db.session.query(LogExport).one().state == "failed"
