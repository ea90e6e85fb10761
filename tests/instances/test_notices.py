"""What owners are told by mail: once, what holds at that moment, whatever becomes of the mail server and of Redis."""

from __future__ import annotations

from contextvars import Context
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from mcpweb import clock, mailer, queue
from mcpweb.database import db, transaction
from mcpweb.instances import lifecycle, notices, stopping
from mcpweb.instances.models import CredentialState, Instance, Notice, NoticeKind
from mcpweb.instances.notices import send_notices
from mcpweb.instances.stops import Target
from mcpweb.jobs.expiry import expire_instances
from tests.ageing import age
from tests.conftest import URL, links_in, user
from tests.instances.living import end, stored
from tests.parallel import at_once
from tests.waiting import until

ALICE = "alice@example.com"
LONGEST = timedelta(days=90)


@pytest.fixture(autouse=True)
def mails(mail_server):
    """The mails that came; the server takes mails again after the test."""
    yield mail_server.mails
    mail_server.answer = "250 OK"
    mail_server.answers.clear()


def note(instance: Instance, kind: NoticeKind = NoticeKind.EXPIRED) -> None:
    with transaction():
        notices.add(kind, [(instance.id, instance.owner_id)])


def change(instance_id: UUID, **values: object) -> None:
    with transaction():
        row = db.session.get(Instance, instance_id)
        assert row
        for name, value in values.items():
            setattr(row, name, value)


def rows() -> list[Notice]:
    db.session.rollback()
    return list(db.session.scalars(select(Notice).order_by(Notice.id).execution_options(populate_existing=True)))


def later(minutes: int) -> None:
    age(Notice, timedelta(minutes=minutes))


@pytest.fixture
def ended(make_instance):
    """An instance whose owner has not been told yet that it ended."""
    instance, _ = make_instance(label="Work")
    end(instance.id, marked=True)
    return instance


def test_an_owner_is_told_once_that_an_instance_has_ended_and_where_to_renew_it(ended, mails):
    for _ in range(3):
        expire_instances()
        send_notices()

    [mail] = mails
    assert mail.to == [ALICE]
    assert mail.subject == "Work has ended"
    assert f"{URL}/instances/{ended.id}/extend" in links_in(mail.part("plain"))
    assert f'href="{URL}/instances/{ended.id}/extend"' in mail.part("html")
    assert all(link.startswith(URL) for link in links_in(mail.part("plain")))
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert [row.tries for row in rows()] == [1]


def test_it_comes_by_itself_when_the_sweep_runs_as_a_job(make_instance, run_jobs, mails):
    instance, _ = make_instance()
    end(instance.id, marked=False)

    queue.enqueue("expire_instances")
    run_jobs()

    assert len(mails) == 1


def test_all_that_an_owner_is_to_know_is_one_mail(make_instance, mails):
    kinds = list(NoticeKind)
    made = {kind: make_instance(label=f"About {kind.value}")[0] for kind in kinds}
    other, _ = make_instance(owner="bob@example.com", label="Not Alice's")
    for kind, days in ((NoticeKind.ENDS_1, 1), (NoticeKind.ENDS_7, 7)):
        change(made[kind].id, expires_at=clock.utcnow() + timedelta(days=days, hours=-1), reminded_days=days)
    change(made[NoticeKind.KEY_DIED].id, credential_state=CredentialState.REJECTED)
    change(made[NoticeKind.KEY_ENDS].id, credential_expires_at=clock.utcnow() + timedelta(days=3))
    for instance in (made[NoticeKind.EXPIRED], other):
        end(instance.id, marked=True)
    change(made[NoticeKind.STOPPED].id, stopped_reason="It called too often.")
    stopping.stop(Target(user(ALICE)), "A {key} leaked.", timedelta(hours=1), "carol@example.com")
    for kind in kinds:
        if kind != NoticeKind.EXPIRED:
            note(made[kind], kind)

    send_notices()

    mail = next(mail for mail in mails if mail.to == [ALICE])
    assert len(mails) == 2
    assert mail.subject == "7 of your instances need a look"
    for part in (mail.part("plain"), mail.part("html")):
        assert "Alice's" not in part
        for kind, instance in made.items():
            page = "" if "stopped" in kind else "/credential" if kind.startswith("key") else "/extend"
            assert f"{URL}/instances/{instance.id}{page}" in part
            assert instance.label in part
        assert "Reason: It called too often." in part and "“A {key} leaked.”" in part
    assert links_in(mail.part("plain"))[-2] == f"{URL}/instances"


def test_a_mail_names_forty_and_says_how_many_more(make_instance, mails):
    for number in range(43):
        make_instance(label=f"Number {number}")
    with transaction():
        db.session.query(Instance).update({"expires_at": clock.utcnow() - timedelta(seconds=1)})
    expire_instances()

    send_notices()

    [mail] = mails
    assert mail.part("plain").count("/extend") == 40
    assert "And 3 more." in mail.part("plain") and "And 3 more." in mail.part("html")


def test_a_name_can_neither_add_markup_nor_a_header(make_instance, mails):
    instance, _ = make_instance(label="<b>x</b> Bcc: eve@example.com & co")
    end(instance.id, marked=True)

    send_notices()

    [mail] = mails
    assert mail.to == [ALICE] and "Bcc" not in mail.message
    assert "<b>x</b>" not in mail.part("html")
    assert "<b>x</b> Bcc" in mail.part("plain")


# What no longer holds


def _renewed(instance: Instance) -> None:
    lifecycle.renew(stored(instance.id), clock.utcnow() + timedelta(days=30), LONGEST, ALICE)


def _deleted(instance: Instance) -> None:
    lifecycle.remove(stored(instance.id), ALICE)


def _disabled(instance: Instance) -> None:
    with transaction():
        user(ALICE).is_enabled = False


@pytest.mark.parametrize("meanwhile", [_renewed, _deleted, _disabled])
def test_an_owner_is_not_told_of_what_is_over(meanwhile, ended, mails):
    meanwhile(ended)

    send_notices()

    assert mails == []
    assert rows() == [], "and it is not tried again"


@pytest.mark.parametrize("kind", [NoticeKind.ENDS_7, NoticeKind.ENDS_1, NoticeKind.KEY_DIED, NoticeKind.KEY_ENDS])
def test_a_notice_whose_reason_is_gone_is_dropped(kind, make_instance, mails):
    instance, _ = make_instance()
    note(instance, kind)

    send_notices()

    assert mails == [] and rows() == []


def test_a_reminder_that_was_late_makes_way_for_the_news_that_it_ended(make_instance, mails):
    instance, _ = make_instance(label="Work")
    change(instance.id, reminded_days=1)
    note(instance, NoticeKind.ENDS_1)
    end(instance.id, marked=True)

    send_notices()

    assert [mail.subject for mail in mails] == ["Work has ended"]


# The mail server


@pytest.mark.parametrize("answer", ["451 try again later", "550 no such mailbox", "421 closing", "close"])
def test_a_mail_that_was_refused_is_tried_again_later_and_comes_once(answer, ended, mail_server, mails):
    mail_server.answer = answer
    send_notices()
    assert mails == []
    mail_server.answer = "250 OK"

    send_notices()
    assert mails == [], "not at once"
    later(2)
    send_notices()
    later(60)
    send_notices()

    assert len(mails) == 1


def test_a_mail_server_that_hangs_is_given_up_on_and_holds_no_transaction(ended, mail_server, mails, monkeypatch, app):
    monkeypatch.setattr(mailer, "_TIMEOUT_S", 0.5)
    mail_server.answer = "hang"
    seen: list[bool] = []
    send = mailer.send

    def watched(*arguments: object, **context: object) -> None:
        seen.append(db.session().in_transaction())
        send(*arguments, **context)

    monkeypatch.setattr(mailer, "send", watched)

    assert send_notices() == {"items": 0, "refused": 1}

    assert seen == [False]
    mail_server.answer = "250 OK"
    later(2)
    send_notices()
    assert len(mails) == 1


def test_after_five_tries_it_is_given_up_and_said(ended, mail_server, mails, caplog):
    mail_server.answer = "451 try again later"
    for _ in range(8):
        send_notices()
        later(361)

    assert [row.tries for row in rows()] == [5]
    assert caplog.text.count("a notice could not be mailed") == 5
    assert caplog.text.count("an owner could not be told") == 1
    mail_server.answer = "250 OK"
    send_notices()
    assert mails == []


def test_one_bad_address_does_not_hold_up_the_others(make_instance, mail_server, mails):
    for owner in ("first@example.com", "second@example.com", "third@example.com"):
        end(make_instance(owner=owner)[0].id, marked=True)
    mail_server.answers["first@example.com"] = "550 no such mailbox"

    assert send_notices() == {"items": 2, "refused": 1}

    assert {mail.to[0] for mail in mails} == {"second@example.com", "third@example.com"}


def test_a_mail_server_that_is_ill_costs_most_owners_no_try(make_instance, mail_server):
    for number in range(6):
        end(make_instance(owner=f"owner{number}@example.com")[0].id, marked=True)
    mail_server.answer = "451 try again later"

    assert send_notices() == {"items": 0, "refused": 2}

    assert sorted(row.tries for row in rows()) == [0, 0, 0, 0, 1, 1]


def test_a_slow_mail_server_does_not_keep_a_worker_for_long(make_instance, monkeypatch, mails):
    for number in range(3):
        end(make_instance(owner=f"owner{number}@example.com")[0].id, marked=True)
    monkeypatch.setattr(notices, "_BUDGET_S", -1.0)

    send_notices()
    assert mails == []

    monkeypatch.undo()
    send_notices()
    assert len(mails) == 3


# Several workers, killed ones, and Redis


def test_four_workers_at_once_mail_each_owner_once(app, make_instance, mails):
    for number in range(6):
        end(make_instance(owner=f"owner{number}@example.com")[0].id, marked=True)

    def send() -> None:
        with app.app_context():
            send_notices()

    at_once([lambda: Context().run(send) for _ in range(4)])

    assert sorted(mail.to[0] for mail in mails) == [f"owner{number}@example.com" for number in range(6)]


def test_a_worker_that_died_between_sending_and_noting_it_costs_one_repeat(ended, monkeypatch, mails):
    class Died(BaseException):
        """As by kill -9."""

    send = mailer.send

    def send_and_die(*arguments: object, **context: object) -> None:
        send(*arguments, **context)
        raise Died

    monkeypatch.setattr(mailer, "send", send_and_die)
    with pytest.raises(Died):
        send_notices()
    monkeypatch.setattr(mailer, "send", send)
    db.session.rollback()

    send_notices()
    assert len(mails) == 1, "not as long as it could still be on its way"
    for _ in range(3):
        later(500)
        send_notices()
    assert len(mails) == 2


def test_without_redis_the_owner_is_told_all_the_same(other_app, make_instance, mails):
    instance, _ = make_instance()
    end(instance.id, marked=False)
    without = other_app(redis_url="redis://127.0.0.1:1/0")

    def expire() -> None:
        with without.app_context():
            expire_instances()

    Context().run(expire)

    until(lambda: mails, "the mail comes")
    until(lambda: all(row.sent_at for row in rows()), "it is noted")
    send_notices()
    assert len(mails) == 1


def test_a_redis_that_lost_everything_loses_no_mail_and_repeats_none(make_instance, run_jobs, app, mails):
    first, second = make_instance()[0], make_instance(owner="bob@example.com")[0]
    end(first.id, marked=False)
    queue.enqueue("expire_instances")
    run_jobs()
    end(second.id, marked=True)  # its mail is not on the queue yet
    queue.connect(app.extensions["mcpweb_settings"].redis_url).flushdb()

    for _ in range(2):  # the next ticks
        queue.enqueue("expire_instances")
        queue.enqueue("send_notices")
        run_jobs()

    assert sorted(mail.to[0] for mail in mails) == [ALICE, "bob@example.com"]
