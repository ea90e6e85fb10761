"""Break-glass stops: from the next call on, with a reason and an end that everybody concerned reads."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from click.testing import CliRunner

from mcpweb import clock, stop_commands
from mcpweb.cli import cli
from mcpweb.database import db, transaction
from mcpweb.instances import stopping, stops
from mcpweb.instances.house import house
from mcpweb.instances.models import Notice, Stop
from mcpweb.instances.notices import send_notices
from mcpweb.instances.stops import Target
from mcpweb.logs.models import AuditEvent
from tests.conftest import user
from tests.form_client import Page
from tests.instances import endpoint, living

ALICE, BOB, CAROL = (f"{name}@example.com" for name in ("alice", "bob", "carol"))
REASON = "A key of <ours> leaked."
SHOWN = "A key of &lt;ours&gt; leaked."


def page_to_stop(kind: str) -> str:
    return {
        "user": f"/admin/users/{user(ALICE).id}/stop",
        "service": "/admin/services/github/stop",
        "everything": "/admin/stops/everything",
    }[kind]


def stop(carol, kind: str, **values: str) -> Page:
    path = page_to_stop(kind)
    return carol.submit(carol.get(path).form(path), **{"reason": REASON, **values})


def lift(carol) -> Page:
    return carol.submit(carol.get("/admin/stops").form("/lift"))


def the_stop() -> Stop:
    db.session.rollback()
    return db.session.query(Stop).order_by(Stop.id.desc()).populate_existing().first() or Stop()


def audited(kind: str) -> list[tuple[str, str, str]]:
    db.session.rollback()
    found = db.session.query(AuditEvent).filter(AuditEvent.action.in_([f"{kind}.stop", f"{kind}.lift"]))
    return [(event.action, event.actor, event.subject) for event in found.order_by(AuditEvent.seq)]


@pytest.mark.parametrize("kind", ["user", "service", "everything"])
def test_what_is_stopped_refuses_the_next_call_says_why_and_until_when_and_answers_when_it_is_lifted(
    kind, app, carol, alice, bob, make_instance
):
    instance, token = make_instance()
    drawing, drawing_token = make_instance(BOB, "figma")
    assert endpoint.works_from_memory(app, instance.id, token)
    assert endpoint.works_from_memory(app, drawing.id, drawing_token)
    text = carol.get(page_to_stop(kind)).text
    assert ("2 instances" if kind == "everything" else "1 instance<") in text

    page = stop(carol, kind)

    assert page.path == "/admin/stops" and SHOWN in page.text
    said = living.refusal(app, instance.id, token)
    assert REASON in said and f"{the_stop().ends_at:%H:%M:%S UTC on %d %B %Y}. Try again after that" in said
    assert endpoint.works(app, drawing.id, drawing_token) == (kind != "everything")
    # Whoever is concerned reads it everywhere and stays signed in; an administrator reads of everything too.
    assert all(SHOWN in alice.get(path).text for path in ("/instances", f"/instances/{instance.id}", "/account"))
    assert (SHOWN in bob.get("/instances").text) == (SHOWN in carol.get("/admin").text) == (kind == "everything")

    if kind != "everything":
        page = carol.get(page_to_stop(kind).removesuffix("/stop") if kind == "user" else "/admin/services")
        assert "Stopped until" in page.text and f"{CAROL} gave this reason: {SHOWN}" in page.text
        assert page.form("/lift")

    page = lift(carol)

    assert "Calls are answered again" in page.text and "Nothing is stopped" in page.text
    assert f"Lifted by {CAROL}" in page.text
    assert endpoint.works(app, instance.id, token) and endpoint.works(app, drawing.id, drawing_token)
    assert SHOWN not in alice.get("/instances").text
    subject = {"user": f"user/{user(ALICE).id}", "service": "service/github"}.get(kind, kind)
    assert audited(kind) == [(f"{kind}.stop", CAROL, subject), (f"{kind}.lift", CAROL, subject)]


def test_a_remembered_stop_ends_by_itself_at_its_second(app, carol, alice, make_instance, monkeypatch):
    instance, token = make_instance()
    stop(carol, "everything")
    stop(carol, "service", lasts="15m")  # ends before the other, so it decides nothing
    ends_at = stops.in_force(clock.utcnow())[-1].ends_at
    assert living.refusal(app, instance.id, token).startswith("An administrator stopped all calls")
    hits = house().access.stats.hits

    for seconds, is_refused in ((-0.001, True), (0, False)):
        monkeypatch.setattr(clock, "utcnow", lambda seconds=seconds: ends_at + timedelta(seconds=seconds))
        assert bool(living.refusal(app, instance.id, token)) == is_refused
    assert house().access.stats.hits >= hits + 2
    assert SHOWN not in alice.get("/instances").text
    page = carol.get("/admin/stops")
    assert "Nothing is stopped" in page.text and page.text.count("By itself") == 2


def test_a_call_that_was_let_in_before_the_stop_is_refused_before_the_key_is_used(app, alice, make_instance, github):
    from mcpweb.gateway.exchange import Exchange

    instance, token = make_instance()
    assert endpoint.works_from_memory(app, instance.id, token)
    let_in = Exchange.count_call

    def stopped_meanwhile(exchange: Exchange) -> None:
        let_in(exchange)
        with app.app_context():
            stopping.stop(Target(), REASON, timedelta(hours=1), CAROL)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Exchange, "count_call", stopped_meanwhile)
        assert REASON in living.refusal(app, instance.id, token)


def test_what_is_connected_while_its_owner_is_stopped_is_stopped_too(app, carol, alice, make_instance):
    stop(carol, "user", lasts="1d")

    instance, token = make_instance()

    assert REASON in living.refusal(app, instance.id, token)


def test_another_stop_of_the_same_takes_the_place_of_the_first(app, carol, alice, make_instance):
    instance, token = make_instance()
    stop(carol, "user")
    assert "Stopped already" in carol.get(page_to_stop("user")).text

    stop(carol, "user", reason="Ask us first.", lasts="custom", hours="720")

    assert "Ask us first." in living.refusal(app, instance.id, token)
    assert len(stops.in_force(clock.utcnow())) == 1
    assert timedelta(days=30) - (the_stop().ends_at - clock.utcnow()) < timedelta(minutes=1)
    lift(carol)
    assert endpoint.works(app, instance.id, token)


def test_there_is_no_stop_without_a_reason_or_without_an_end(app, carol, alice, make_instance):
    instance, token = make_instance()
    for values, sentence in (
        ({"reason": " "}, "Say why"),
        ({"reason": "x" * 301}, "at most 300"),
        ({"lasts": "custom"}, "from 1 to 720"),
        ({"lasts": "custom", "hours": "721"}, "from 1 to 720"),
        ({"lasts": "custom", "hours": "-1"}, "from 1 to 720"),
        ({"lasts": "custom", "hours": "soon"}, "from 1 to 720"),
        ({"lasts": "for ever"}, "Not a valid choice"),
    ):
        page = stop(carol, "everything", **values)
        assert page.status == 422 and sentence in page.text, values

    assert endpoint.works(app, instance.id, token)
    assert carol.get("/admin/services/nothing/stop").status == 404
    assert carol.get("/admin/users/987654/stop").status == 404


def test_lifting_what_is_over_changes_nothing(carol, alice):
    stop(carol, "everything")
    form = carol.get("/admin/stops").form("/lift")

    for _ in range(2):
        assert carol.submit(form).path == "/admin/stops"

    assert len(audited("everything")) == 2


def test_a_stopped_user_is_mailed_once_and_of_a_stopped_service_nobody(
    carol, alice, make_instance, run_jobs, mail_server
):
    for label in ("Work", "Home"):
        make_instance(label=label)
    stop(carol, "service")
    stop(carol, "everything")
    run_jobs()
    assert mail_server.mails == []

    stop(carol, "user")
    run_jobs()
    send_notices()

    [mail] = mail_server.mails
    assert mail.to == [ALICE] and mail.subject.startswith("Your endpoints are stopped until")
    for part in (mail.part("plain"), mail.part("html")):
        assert "Work" in part and "Home" in part and "leaked." in part
    assert REASON in mail.part("plain") and "&lt;ours&gt;" in mail.part("html")


def test_nobody_is_mailed_of_a_stop_that_was_lifted_at_once(carol, alice, make_instance, mail_server):
    make_instance()
    stop(carol, "user")
    lift(carol)

    assert send_notices() == {"items": 0, "refused": 0}

    assert mail_server.mails == [] and db.session.query(Notice).count() == 0


def test_stops_that_are_over_have_pages(carol, app):
    moment = clock.utcnow() - timedelta(days=1)
    with transaction():
        db.session.add_all(
            Stop(reason=f"No. {n:02}", started_at=moment, started_by=CAROL, ends_at=moment)
            for n in range(stops.PAGE + 3)
        )

    first, second = carol.get("/admin/stops"), carol.get("/admin/stops?page=2")

    assert [len(re.findall(r"No\. [0-9]{2}", page.text)) for page in (first, second)] == [50, 3]
    assert any("page=2" in link for link in first.links) and any("page=1" in link for link in second.links)


def test_the_command_line_stops_and_lifts_what_the_pages_do(app, alice, make_instance, monkeypatch):
    monkeypatch.setattr(stop_commands, "_app", lambda: app)
    instance, token = make_instance()
    assert endpoint.works_from_memory(app, instance.id, token)

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli, arguments)
        return done.exit_code, done.output

    for what in (["everything"], ["service", "github"], ["user", ALICE.upper()]):
        assert run("stop", *what, "--reason", REASON, "--for", "15m")[0] == 0
        assert REASON in living.refusal(app, instance.id, token)
        assert run("lift", *what) == (0, "lifted\n")
        assert endpoint.works(app, instance.id, token)
        code, said = run("lift", *what)
        assert code == 1 and "not stopped" in said
    for wrong in (["everything", "x"], ["service"], ["service", "nothing"], ["user", BOB], ["user", "x"]):
        assert run("stop", *wrong, "--reason", REASON, "--for", "1h")[0] != 0, wrong
    for span in ("31d", "0h", "1y", "99999999999h"):
        assert run("stop", "everything", "--reason", REASON, "--for", span)[0] != 0, span
    assert run("stop", "everything", "--reason", " ", "--for", "1h")[0] != 0
    assert audited("user") == [(f"user.{verb}", "command line", f"user/{user(ALICE).id}") for verb in ("stop", "lift")]
