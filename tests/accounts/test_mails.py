"""The sign-in mail when the mail server, Redis or time are not on its side."""

from __future__ import annotations

import socket
from datetime import timedelta

import pytest

from mcpweb import clock, queue
from mcpweb.accounts import mails
from mcpweb.accounts.links import LINK_LIFE
from mcpweb.accounts.models import Role, User, UserToken
from mcpweb.database import db, transaction
from mcpweb.mailer import MailRefused
from tests.ageing import age
from tests.conftest import URL
from tests.form_client import FormClient, InProcess
from tests.pages import plain
from tests.waiting import until


@pytest.fixture
def unwilling(mail_server):
    """The mail server, which takes mails again after the test."""
    yield mail_server
    mail_server.answer = "250 OK"


def ask(browser: FormClient, email: str = "alice@example.com") -> None:
    page = browser.get("/sign-in")
    assert browser.submit(page.form("/sign-in"), email=email).path == "/sign-in/sent"


def _add_user(email: str) -> None:
    with transaction():
        db.session.add(User(email=email, role=Role.USER, is_enabled=True, created_at=clock.utcnow()))


def later(seconds: int) -> None:
    age(UserToken, timedelta(seconds=seconds))


@pytest.mark.parametrize("answer", ["451 try again later", "550 no such mailbox", "421 closing"])
def test_a_mail_that_was_refused_is_sent_again_later_with_a_link_that_works(answer, browser, run_jobs, unwilling):
    unwilling.answer = answer
    ask(browser)
    run_jobs()
    assert unwilling.mails == []

    unwilling.answer = "250 OK"
    later(30)
    mails.sign_in_mails_left()

    link = unwilling.mails[0].link
    page = browser.submit(browser.get(link).form(link))
    assert "You are signed in" in page.text
    later(30)
    mails.sign_in_mails_left()
    assert len(unwilling.mails) == 1, "a mail that was sent is not sent again"


def test_a_mail_server_that_is_not_there_is_tried_again_and_the_page_does_not_wait(other_app, run_jobs, mail_server):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    app = other_app(mail_port=port)
    ask(FormClient(InProcess(app), URL))
    run_jobs(app)
    assert db.session.query(UserToken).one().mailed_at is None

    later(30)
    mails.sign_in_mails_left()  # with the settings of the fixture's application, whose server is there

    assert len(mail_server.mails) == 1


def test_while_the_mail_server_is_away_everybody_is_told_whether_they_may_sign_in_or_not(
    other_app, run_jobs, mail_server
):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        gone = other_app(mail_port=closed.getsockname()[1], sign_up="invite")
    back = other_app(sign_up="invite")
    _add_user("known@example.com")

    for first, second in (("known@example.com", "unknown@example.com"), ("unknown@example.com", "known@example.com")):
        people = {email: FormClient(InProcess(gone), URL) for email in (first, second)}
        ask(people[first], first)
        assert "Mail is late" not in people[first].get("/sign-in/sent").text, "nobody knows yet"
        run_jobs(gone)
        ask(people[second], second)
        pages = [plain(people[email].get("/sign-in/sent"), email) for email in (first, second)]
        assert pages[0] == pages[1]
        assert "the mail server does not answer" in pages[0]
        assert "Mail is late" in people[first].get("/sign-in").text
        run_jobs(back)
        assert "Mail is late" not in people[first].get("/sign-in/sent").text
    later(30)
    with back.app_context():
        mails.sign_in_mails_left()

    assert {mail.to[0] for mail in mail_server.mails} == {"known@example.com"}
    assert db.session.query(UserToken).filter_by(mailed_at=None, superseded_at=None).all() == [], (
        "nothing is left to try"
    )


def test_a_link_that_is_over_is_never_mailed(browser, run_jobs, unwilling):
    unwilling.answer = "451 try again later"
    ask(browser)
    run_jobs()
    unwilling.answer = "250 OK"

    age(UserToken, LINK_LIFE)
    mails.sign_in_mails_left()

    assert unwilling.mails == []


@pytest.mark.parametrize("fate", ["used_at", "superseded_at"])
def test_a_link_that_was_used_or_replaced_meanwhile_is_not_mailed(fate, browser, run_jobs, mail_server):
    ask(browser)
    with transaction():
        token = db.session.query(UserToken).one()
        setattr(token, fate, token.created_at)

    run_jobs()

    assert mail_server.mails == []


def test_after_four_refusals_the_mail_server_is_left_in_peace(browser, run_jobs, unwilling):
    unwilling.answer = "451 try again later"
    ask(browser)
    run_jobs()
    for _ in range(5):
        later(30)
        mails.sign_in_mails_left()

    assert db.session.query(UserToken).one().mail_tries == 4
    unwilling.answer = "250 OK"
    mails.sign_in_mails_left()
    mails.sign_in_mail(db.session.query(UserToken.id).scalar())
    assert unwilling.mails == []


def test_one_refused_mail_does_not_hold_up_the_next(browser, new_browser, mail_server, app, monkeypatch):
    ask(browser, "first@example.com")
    ask(new_browser(), "second@example.com")
    queue.connect(app.extensions["mcpweb_settings"].redis_url).flushdb()  # the jobs are lost
    later(30)
    send = mails.mailer.send

    def send_but_not_to_the_first(to: str, *args: object, **context: object) -> None:
        if to == "first@example.com":
            raise MailRefused("SMTPDataError 550")
        send(to, *args, **context)

    monkeypatch.setattr(mails.mailer, "send", send_but_not_to_the_first)
    mails.sign_in_mails_left()

    assert [mail.to for mail in mail_server.mails] == [["second@example.com"]]


def test_a_job_that_runs_twice_mails_once(browser, run_jobs, mail_server):
    ask(browser)
    token_id = db.session.query(UserToken.id).scalar()
    run_jobs()

    mails.sign_in_mail(token_id)

    assert len(mail_server.mails) == 1


def test_a_job_for_a_request_that_is_gone_does_nothing(app, mail_server):
    mails.sign_in_mail(123456)

    assert mail_server.mails == []


def test_links_that_an_operator_printed_are_not_mailed(app, mail_server, sign_in):
    sign_in("alice@example.com")
    later(60)

    mails.sign_in_mails_left()

    assert mail_server.mails == []


def test_without_redis_the_mail_is_sent_by_the_web_process(other_app, mail_server, app):
    without = other_app(redis_url="redis://127.0.0.1:1/0")
    browser = FormClient(InProcess(without), URL)

    ask(browser)

    mail = until(lambda: mail_server.mails and mail_server.mails[0], "the mail comes")
    page = browser.get(mail.link)
    assert "You are signed in" in browser.submit(page.form(mail.link)).text


def test_the_mail_says_what_it_is_for_how_long_and_from_where(browser, mailed, new_browser):
    asking = new_browser("Firefox <script>alert(1)</script>")
    mail = mailed(asking)

    assert mail.subject == "Sign in to mcpweb"
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert mail.message["X-Auto-Response-Suppress"] == "All"
    assert mail.message["Message-ID"].endswith("@localhost>")
    for part in (mail.part("plain"), mail.part("html")):
        assert "10 minutes" in part
        assert "127.0.0.1" in part
        assert URL + mail.link in part
    assert "<script>" not in mail.part("html")
    assert mail.link.rpartition("/")[2] not in mail.subject
    assert mail.code not in mail.subject


def test_the_user_agent_can_not_add_a_header_to_the_mail(new_browser, mailed):
    mail = mailed(new_browser("x" * 1000 + " Bcc: eve@example.com"))

    assert mail.to == ["alice@example.com"]
    assert "Bcc" not in mail.message
    assert "x" * 301 not in mail.part("plain")
