"""After the whole road, with failures on the way: no secret stands anywhere where it does not have to."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from mcpweb import queue
from mcpweb.accounts import mails
from mcpweb.accounts.models import UserToken
from mcpweb.database import Base, db
from mcpweb.web.current import settings as current_settings
from tests.ageing import age
from tests.form_client import filled
from tests.instances.connecting import GOOD, connect, shown_token
from tests.instances.endpoint import call
from tests.spec_server import TOKENS


def in_the_database() -> Iterator[bytes]:
    """Every value of every row, in each form in which it could hide something."""
    for table in Base.metadata.sorted_tables:
        for row in db.session.execute(text(f'SELECT * FROM "{table.name}"')):
            for value in row:
                yield bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()


def in_redis() -> Iterator[bytes]:
    """Every key and every value; what RQ has packed is unpacked."""
    connection = queue.connect(current_settings().redis_url)
    readers: dict[bytes, Callable[[bytes], Any]] = {
        b"string": lambda key: [connection.get(key)],
        b"hash": lambda key: [part for pair in connection.hgetall(key).items() for part in pair],
        b"list": lambda key: connection.lrange(key, 0, -1),
        b"set": connection.smembers,
        b"zset": lambda key: connection.zrange(key, 0, -1),
        b"stream": lambda key: [
            part for _, fields in connection.xrange(key) for pair in fields.items() for part in pair
        ],
    }
    for key in connection.scan_iter():
        yield key
        for value in readers[connection.type(key)](key):
            yield value
            for unpack in (zlib.decompress, lambda packed: zlib.decompress(base64.b64decode(packed))):
                try:
                    yield unpack(value)
                except (zlib.error, ValueError):
                    continue


def in_files(folder: Path) -> Iterator[bytes]:
    """Every file with its name."""
    for path in folder.rglob("*"):
        yield str(path).encode()
        if path.is_file():
            yield path.read_bytes()


@pytest.fixture
def logs(settings) -> Path:
    """The log folder."""
    return settings.home / "logs"


def test_no_secret_is_left_in_the_database_in_redis_or_in_a_log(
    new_browser, run_jobs, mail_server, app, impatient, logs, monkeypatch
):
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    browser = new_browser("agent of alice")
    mail_server.answer = "550 no"  # the first try fails, and its traceback is kept by RQ
    try:
        page = browser.submit(browser.get("/sign-in").form("/sign-in"), email="alice@example.com")
        run_jobs()
    finally:
        mail_server.answer = "250 OK"
    _let_pass(30)
    mails.sign_in_mails_left()
    mail = mail_server.mails[-1]
    browser_nonce = _session(app, browser)["browser"]
    browser.open("POST", mail.link, {"csrf_token": "wrong"})
    browser.open("POST", mail.link, {}, Origin="https://evil.example")
    browser.open("PUT", mail.link)
    page = browser.get(mail.link)
    browser.submit(page.form(mail.link))
    session_id = _session(app, browser)["_user_id"]

    refused = [TOKENS["github"][kind] for kind in ("revoked", "error_502", "echoing", "no_scope", "hanging")]
    for token in refused:
        connect(browser, token)
    form = browser.get("/services/github/connect").form("/connect")
    browser.open("POST", "/services/github/connect", dict(filled(form, credential_token=GOOD, csrf_token="wrong")))
    page = connect(browser)
    token = shown_token(page)
    instance = page.path.rpartition("/")[2]
    assert call(app, instance, token)[0] == 200
    call(app, instance, token, tool="no_such_tool")
    call(app, instance, f"{token[:-1]}x")
    call(app, instance, GOOD)
    browser.get(f"/instances/{instance}?token={token}")
    browser.get(f"/no-such-page/{token}?key={GOOD}")

    link_text = mail.link.rpartition("/")[2]
    secrets = [
        link_text,
        _raw(link_text),
        mail.code,
        mail.code.replace("-", ""),
        session_id,
        browser_nonce,
        token,
        GOOD,
        *refused,
    ]
    assert all(len(secret) >= 8 for secret in secrets)
    places = {"database": in_the_database(), "redis": in_redis(), "logs": in_files(logs)}
    for place, contents in places.items():
        contents = list(contents)
        assert len(contents) > 3, place
        for number, secret in enumerate(secrets):
            found = [content[:300] for content in contents if secret.encode() in content]
            assert not found, (place, number, found)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that waits for a moment only."""
    monkeypatch.setattr("mcpweb.catalog.checking.TIMEOUT_S", 0.3)


def _let_pass(seconds: int) -> None:

    age(UserToken, timedelta(seconds=seconds))


def _session(app: Any, browser: Any) -> dict[str, str]:
    """What the browser's cookie holds."""
    cookie = browser.transport.client.get_cookie("mcpweb", domain="localhost")
    values: dict[str, str] = app.session_interface.get_signing_serializer(app).loads(cookie.value)
    return values


def _raw(link_text: str) -> str:
    """The random token inside a signed link."""

    payload = link_text.partition(".")[0]
    raw: str = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return raw


def test_no_page_shows_a_key_again(alice, app):
    page = connect(alice)
    instance = page.path.rpartition("/")[2]

    for path in (page.path, "/instances", "/services/github/connect", "/account", f"/instances/{instance}"):
        assert GOOD not in alice.get(path).text


def test_the_cookie_that_carries_the_new_token_does_not_show_it(alice, app):
    form = alice.get("/services/github/connect").form("/connect")
    alice.open("POST", "/services/github/connect", dict(filled(form, credential_token=GOOD)))

    kept = json.dumps(_session(app, alice))

    token = shown_token(alice.get(json.loads(kept)["once"][0] and f"/instances/{json.loads(kept)['once'][0]}"))
    assert token and token not in kept
    assert GOOD not in kept
    assert "once" not in _session(app, alice)
