"""`mcpweb doctor`: a line for each part, what to do about it, and never a secret; whatever is away."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from mcpweb import clock, queue, setting_names
from mcpweb.crypto import new_encryption_key
from mcpweb.database import db, transaction
from mcpweb.doctor import checkup, outside, stores, surroundings
from mcpweb.instances.house import house
from mcpweb.jobs.models import JobRun
from mcpweb.web.current import settings
from tests import bad_upstream
from tests.catalog.test_outgoing_tls import _certificate, _server

ROOT = Path(__file__).resolve().parents[1]
CANARY = "canary-secret-value"


@pytest.fixture
def ask(app, environ, process_state, monkeypatch) -> Callable[..., dict[str, tuple[str, str]]]:
    """A run in this process, with some settings changed: state and text of each line by its name."""
    monkeypatch.setattr(checkup, "_LIMIT_S", 10.0)

    def run(mail_to: str = "", **changed: str) -> dict[str, tuple[str, str]]:
        found = checkup.run(environ | changed, mail_to)
        return {check.name: (check.state, f"{check.value}. {check.advice}") for check in found}

    return run


@contextmanager
def silent() -> Iterator[int]:
    """A port where one is let in and never hears anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@contextmanager
def website(body: bytes) -> Iterator[int]:
    """A server that answers everything with this."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_command_tells_every_part_in_a_line_sends_a_mail_and_exits_by_the_worst(app, environ, mail_server):
    given = {name: value for name, value in os.environ.items() if not name.startswith("MCPWEB_")} | environ
    with transaction():
        at = clock.utcnow()
        db.session.add(JobRun(job="send_notices", state="failed", started_at=at, finished_at=at, report={}))
    with website(b'{"status": "ok"}') as port:
        given |= {
            "MCPWEB_BIND": f"127.0.0.1:{port}",
            "MCPWEB_PUBLIC_URL": f"http://localhost:{port}",
            "MCPWEB_SECRET_KEY": CANARY * 3,
            "MCPWEB_MIAL_SERVER": CANARY,
        }
        command = [sys.executable, "-m", "mcpweb", "doctor", "--mail", "olga@example.com"]
        done = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=60)

    lines = {line[5:28].strip(): line for line in done.stdout.splitlines()}
    good = ("Home folder", "Redis", "Tables", "Stored keys", "Redis server", "Clock of Redis")
    good += ("Mail server", "Web port", "Public address", "Test mail", "Services")
    assert {name: lines[name][:4] for name in good} == dict.fromkeys(good, "good"), done.stdout
    assert "MCPWEB_MIAL_SERVER is not a setting; the nearest is MCPWEB_MAIL_SERVER" in lines["Settings"]
    assert "Failed the last time: Notices to owners" in lines["Jobs"], "called as on the pages"
    assert lines["Worker"].startswith("bad ") and "mcpweb worker" in lines["Worker"]
    assert done.returncode == 1, "no worker runs, which is bad"
    assert CANARY not in done.stdout + done.stderr
    assert mail_server.mails[-1].to == ["olga@example.com"]
    assert f"http://localhost:{port}" in mail_server.mails[-1].part("plain")


def test_with_redis_mail_and_the_address_away_it_says_so_in_seconds_and_checks_the_rest(ask, monkeypatch):
    monkeypatch.setattr(outside, "_TIMEOUT_S", 0.5)
    monkeypatch.setattr(surroundings, "_TIMEOUT_S", 0.5)
    with silent() as mute, socket.create_server(("127.0.0.1", 0)) as free:
        closed = free.getsockname()[1]
        free.close()
        began = clock.monotonic()
        said = ask(
            MCPWEB_REDIS_URL=f"redis://:{CANARY}@127.0.0.1:{closed}",
            MCPWEB_MAIL_PORT=str(closed),
            MCPWEB_PUBLIC_URL=f"http://127.0.0.1:{mute}",
            MCPWEB_BIND=f"127.0.0.1:{mute}",
        )
        took_s = clock.monotonic() - began

    for name in ("Redis", "Redis server", "Clocks", "Mail server", "Public address", "Web port"):
        assert said[name][0] == "bad", (name, said)
    assert "MCPWEB_REDIS_URL" in said["Redis"][1]
    assert "nothing listens there. Look at MCPWEB_MAIL_SERVER" in said["Mail server"][1]
    assert "Another program listens" in said["Web port"][1]
    assert said["Tables"][0] == "good" and said["Database"][0] != "bad", "it may be slow here"
    assert CANARY not in str(said)
    assert took_s < 20


def test_a_mail_server_that_is_unknown_or_does_not_speak_tls_or_refuses_the_login_is_told_apart(ask):
    assert "MCPWEB_MAIL_SECURITY" in ask(MCPWEB_MAIL_SECURITY="starttls")["Mail server"][1]
    refused = ask(MCPWEB_MAIL_USERNAME="me", MCPWEB_MAIL_PASSWORD=CANARY)["Mail server"]
    assert refused[0] == "bad" and CANARY not in refused[1]
    unknown = ask(MCPWEB_MAIL_SERVER="mail.invalid")["Mail server"]
    assert unknown[0] == "bad" and "there is no address of this name. Look at MCPWEB_MAIL_SERVER, and" in unknown[1]


def test_a_wrong_key_is_told_and_nothing_is_written(ask, make_instance):
    make_instance()
    ids = house().keyring.newest
    wrong = new_encryption_key()
    missing = ask(MCPWEB_ENCRYPTION_KEYS=wrong)["Stored keys"]
    assert missing[0] == "bad" and f"key {ids} is missing; 1 instances" in missing[1]

    stolen_name = ask(MCPWEB_ENCRYPTION_KEYS=f"{ids}:{wrong.partition(':')[2]}")["Stored keys"]
    assert stolen_name[0] == "bad" and "is not the one that was used before" in stolen_name[1]
    assert ask()["Stored keys"][0] == "good"


def test_settings_that_can_not_be_used_and_a_home_that_is_not_there_are_said_and_nothing_else(ask, tmp_path):
    [said] = ask(MCPWEB_MAIL_PORT=CANARY).items()
    assert said[0] == "Settings" and "MCPWEB_MAIL_PORT must be a whole number" in said[1][1]
    assert CANARY not in str(said)

    assert ask(MCPWEB_HOME=str(tmp_path / "none"))["Home folder"][0] == "bad"
    assert not (tmp_path / "none").exists(), "a look makes nothing"


def test_a_home_that_others_can_read_is_bad(ask):
    home = settings().home
    home.chmod(0o755)
    try:
        state, said = ask()["Home folder"]
    finally:
        home.chmod(0o700)
    assert state == "bad" and f"chmod -R go-rwx {home}" in said


def test_a_redis_that_may_throw_jobs_away_and_tables_of_another_revision_are_bad(ask):
    connection = queue.connect(settings().redis_url)
    connection.config_set("maxmemory-policy", "allkeys-lru")
    with transaction():
        db.session.execute(db.text("UPDATE alembic_version SET version_num = '0001'"))
    try:
        said = ask()
    finally:
        connection.config_set("maxmemory-policy", "noeviction")
        with transaction():
            db.session.execute(db.text(f"UPDATE alembic_version SET version_num = '{stores.REVISION}'"))

    assert said["Redis server"][0] == "bad" and "allkeys-lru" in said["Redis server"][1]
    assert said["Tables"][0] == "bad" and "mcpweb migrate" in said["Tables"][1]


def test_clocks_that_differ_are_told_with_the_direction(app, monkeypatch):
    there = clock.utcnow()
    for ahead_s, state in ((3, "good"), (30, "warn"), (120, "bad"), (-120, "bad")):
        told = (int(there.timestamp()) + ahead_s, 0)
        monkeypatch.setattr(stores.queue, "time", lambda told=told: told)
        found = stores.clocks(settings())[-1]
        assert found.state == state, found
        assert state == "good" or ("ahead of" if ahead_s > 0 else "behind") in found.value


def test_a_certificate_is_checked_and_its_days_are_told(ask, tmp_path, monkeypatch):
    certificate = _certificate(tmp_path, "localhost")
    monkeypatch.setitem(bad_upstream.GOOD, "/healthz", bad_upstream.answer(b'{"status": "ok"}'))
    with bad_upstream.running(_server(certificate), "localhost") as server:
        unknown = ask(MCPWEB_PUBLIC_URL=server.base_url)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        known = ask(MCPWEB_PUBLIC_URL=server.base_url)

    assert unknown["Public address"][0] == "bad" and "certificate" in unknown["Public address"][1]
    assert known["Public address"][0] == "good"
    assert known["Certificate"] == ("bad", "Holds for 0 days. Renew it.")


def test_a_check_that_hangs_is_given_up(ask, monkeypatch):
    stop = threading.Event()
    monkeypatch.setattr(checkup, "_LIMIT_S", 0.1)
    monkeypatch.setattr(checkup, "_QUESTIONS", (("Stuck", lambda _: stop.wait(30)), ("Home folder", stores.tables)))
    said = ask()
    stop.set()
    assert said["Stuck"] == ("bad", "No answer within 0 s. Something on the way to it hangs.")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("MCPWEB_DATABSE_URL", "MCPWEB_DATABSE_URL is not a setting; the nearest is MCPWEB_DATABASE_URL"),
        ("MCPWEB_QQQQ", "MCPWEB_QQQQ is not a setting"),
        ("MCPWEB_HOME_FILE", "MCPWEB_HOME_FILE is not a setting; the nearest is MCPWEB_HOME"),
    ],
)
def test_a_setting_that_does_not_exist_is_named_with_the_nearest_one_that_does(name, said):
    assert setting_names.unknown({name: CANARY}) == [said]


def test_every_setting_that_exists_is_known(environ: Mapping[str, str]):
    assert (
        setting_names.unknown({**environ, "MCPWEB_REDIS_URL_FILE": "x", "MCPWEB_GITHUB_CLIENT_SECRET_FILE": "x"}) == []
    )
