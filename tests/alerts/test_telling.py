"""How administrators are told: one mail for all that is due, once, and a signed webhook, to no private address."""

from __future__ import annotations

import hmac
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy import update

from mcpweb.accounts.models import Role
from mcpweb.alerts import webhook
from mcpweb.alerts.messages import WAITS, send_alerts
from mcpweb.alerts.models import AlertMessage
from mcpweb.database import db, transaction
from mcpweb.web.current import settings as current
from tests.ageing import age
from tests.alerts.happening import MINUTE, alerts, begin, look, messages
from tests.conftest import URL, links_in
from tests.parallel import at_once

CAROL = "carol@example.com"
SECRET = "a secret of the webhook"


@pytest.fixture(autouse=True)
def mails(mail_server):
    """The mails that came; the server takes mails again after the test."""
    yield mail_server.mails
    mail_server.answer = "250 OK"
    mail_server.answers.clear()


def open_two(start=None):
    start = start or begin()
    for minute in range(2):
        look(start + minute * MINUTE, errors=40, slow=9000)
    return start


def close_all(start):
    for minute in range(5, 8):
        look(start + minute * MINUTE)


def later(span: timedelta):
    age(AlertMessage, span)


def test_what_opens_together_is_one_mail_and_what_is_over_together_another(app, carol, mails):
    start = open_two()
    for _ in range(2):
        send_alerts()

    [mail] = mails
    assert (mail.to, mail.subject) == ([CAROL], "Alerts at mcpweb: 2 need a look")
    for part in (mail.part("plain"), mail.part("html")):
        assert "40 % of the calls fail by our own fault" in part and "The limit is 5 %" in part
        assert "5 of 100 calls take longer than 9,000 ms" in part
        assert f"{URL}/admin/alerts" in part
    assert all(link.startswith(URL) for link in links_in(mail.part("plain")))
    assert (mail.message["Auto-Submitted"], mail.message["X-Auto-Response-Suppress"]) == ("auto-generated", "All")

    close_all(start)
    send_alerts()

    assert [mail.subject for mail in mails] == ["Alerts at mcpweb: 2 need a look", "Alerts at mcpweb: 2 are over"]
    assert "Over" in mails[1].part("plain") and "until" in mails[1].part("html")


def test_commands_to_give_are_set_off_in_the_mail(app, carol, mails):
    start = begin()
    for minute in range(2):
        look(start + minute * MINUTE, index=900)
    send_alerts()

    [mail] = mails
    assert "See that `mcpweb ticker` runs" in mail.part("plain")
    assert "See that <code>mcpweb ticker</code> runs" in mail.part("html")


def test_a_mail_server_that_is_down_gets_the_alert_later_and_once(app, carol, sign_in, mails, mail_server):
    sign_in("dora@example.com", Role.ADMIN)
    mail_server.answer = "451 later"
    start = open_two()
    assert send_alerts() == {"items": 0, "refused": 2}
    page = carol.get("/admin/alerts").text
    assert "Tried again later" in page and "SMTPDataError 451; tried 1 time" in page
    mail_server.answer = "250 OK"
    assert send_alerts() == {"items": 0, "refused": 0}, "it is not due yet"

    later(WAITS[0])
    at_once([lambda: _send(app)] * 3)
    send_alerts()

    assert sorted(mail.to[0] for mail in mails) == [CAROL, "dora@example.com"]
    assert {mail.subject for mail in mails} == {"Alerts at mcpweb: 2 need a look"}

    mail_server.answer = "451 later"
    close_all(start)
    with transaction():
        db.session.execute(update(AlertMessage).values(tries=len(WAITS) - 1))
    send_alerts()
    later(WAITS[-1])
    assert send_alerts() == {"items": 0, "refused": 0}, "it is given up"
    assert "Given up" in carol.get("/admin/alerts").text


def _send(app):
    with app.app_context():
        return send_alerts()


def test_what_was_opened_and_is_over_before_the_mail_goes_out_is_told_as_over(app, carol, mails):
    start = open_two()
    close_all(start)

    send_alerts()

    assert [mail.subject for mail in mails] == ["Alerts at mcpweb: 2 are over"]
    assert "40 %" not in mails[0].part("plain")


def test_one_address_that_is_refused_costs_no_other_its_mail(app, carol, set_to, mails, mail_server):
    mail_server.answers["vanished@example.com"] = "550 no such user"
    set_to(alert_mail=("vanished@example.com", "ops@example.com"))
    open_two()
    assert send_alerts() == {"items": 1, "refused": 1}

    assert [mail.to for mail in mails] == [["ops@example.com"]]


@dataclass
class Hook:
    """A receiver of webhooks; it answers with `status`, and to a redirect with a place."""

    port: int
    status: int = 204
    location: str = ""
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def hook_server() -> Iterator[Hook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(hook.status)
            if hook.location:
                self.send_header("Location", hook.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook = Hook(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield hook
    server.shutdown()
    server.server_close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    with hook_server() as one:
        yield one


@pytest.fixture
def set_to(app, settings, monkeypatch):
    """Lets the operator have decided otherwise."""

    def change(**changed):
        monkeypatch.setitem(app.extensions, "mcpweb_settings", replace(settings, **changed))

    return change


def hooked(set_to, url: str, private: bool = True):
    set_to(alert_webhook_url=url, alert_webhook_secret=SECRET, alert_webhook_private=private)


def test_the_webhook_gets_each_message_once_and_can_verify_who_sent_it(app, carol, set_to, hook):
    hooked(set_to, f"http://127.0.0.1:{hook.port}/hook?token=in-the-address")
    open_two()
    at_once([lambda: _send(app)] * 2)
    send_alerts()

    told = [json.loads(body) for _, _, body in hook.got]
    assert [one["event"] for one in told] == ["alert.opened"] * 2
    assert len({one["id"] for one in told}) == 2
    assert {one["alert"]["rule"] for one in told} == {"errors", "slow"}
    assert told[0]["summary"] == "40 % of the calls fail by our own fault"
    assert told[0]["alert"]["link"].startswith(f"{URL}/admin/logs?")
    path, headers, body = hook.got[0]
    assert path == "/hook?token=in-the-address"
    signed = headers["x-mcpweb-timestamp"].encode() + b"." + body
    assert headers["x-mcpweb-signature"] == "sha256=" + hmac.new(SECRET.encode(), signed, "sha256").hexdigest()
    assert headers["content-type"] == "application/json"
    page = carol.get("/admin/alerts").text
    assert f"127.0.0.1:{hook.port}" in page
    assert "in-the-address" not in page and SECRET not in page


def test_a_webhook_that_fails_or_redirects_is_seen_tried_again_and_follows_nowhere(app, carol, set_to, hook):
    with hook_server() as elsewhere:
        hook.status, hook.location = 302, f"http://127.0.0.1:{elsewhere.port}/"
        hooked(set_to, f"http://127.0.0.1:{hook.port}/")
        open_two()
        assert send_alerts()["refused"] == 1
        page = carol.get("/admin/alerts").text
        assert page.count("it answered 302; tried 1 time") == 2
        assert len(hook.got) == 1, "the second waits, since the first was not taken"
        assert len(alerts()) == 2, "that it fails is no alert of its own"

        hook.status, hook.location = 200, ""
        later(WAITS[0])
        send_alerts()

    assert elsewhere.got == []
    assert [json.loads(body)["id"] for _, _, body in hook.got][1:] == [one.id for one in messages() if not one.address]


PRIVATE = ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_webhook_reaches_no_private_address_by_number_or_by_name(address, app, set_to, monkeypatch):
    look_up = socket.getaddrinfo
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    reached: list[object] = []

    def found(host, *args, **named):
        if host != "hooks.example.com":
            return look_up(host, *args, **named)
        return [(family, socket.SOCK_STREAM, 6, "", (address, 443))]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    monkeypatch.setattr(socket.socket, "connect", lambda self, where: reached.append(where))
    for host in ("hooks.example.com", f"[{address}]" if ":" in address else address):
        hooked(set_to, f"https://{host}/", private=False)
        with pytest.raises(webhook.WebhookFailed):
            webhook.post({"event": "alert.test"}, current())

    assert reached == []


def test_a_test_alert_goes_to_everybody_who_would_be_told_and_its_way_is_seen(
    app, carol, set_to, hook, run_jobs, mails
):
    hooked(set_to, f"http://127.0.0.1:{hook.port}/")
    page = carol.submit(carol.get("/admin/alerts").form("/test"))
    assert "A test alert is on its way" in page.text and page.text.count("Under way") == 2

    run_jobs()

    assert [(mail.to, mail.subject) for mail in mails] == [([CAROL], "A test alert from mcpweb")]
    assert "Nothing is wrong" in mails[0].part("plain") and "Nothing is wrong" in mails[0].part("html")
    assert [json.loads(body)["event"] for _, _, body in hook.got] == ["alert.test"]
    assert carol.get("/admin/alerts").text.count("Sent") == 2
    assert alerts() == []
