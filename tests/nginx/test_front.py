"""The whole program behind the real nginx: what is refused, served and kept at the door."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from mcpweb.application import MAX_FORM_BYTES
from mcpweb.gateway.entrance import MAX_BODY_BYTES
from mcpweb.shipped import PACKAGE
from mcpweb.web import static_files
from tests.nginx.front import STRANGER, Front
from tests.served import Served
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("service ports")


@pytest.fixture(scope="module")
def browser(nginx: Front) -> Iterator[requests.Session]:
    """A client that trusts nginx' certificate."""
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(nginx.authority)
        session.headers["Accept"] = "text/html"
        yield session


def test_slow_bodies_stop_nobody(
    nginx: Front, server: Served, browser: requests.Session, settings: dict[str, str]
) -> None:
    path, _ = server.instances[0]
    threads = int(settings["MCPWEB_WEB_WORKERS"]) * int(settings["MCPWEB_WEB_THREADS"])
    head = f"POST {path} HTTP/1.1\r\nHost: {urlsplit(nginx.url).netloc}\r\nContent-Length: 1000\r\n\r\nx"
    with ExitStack() as stack:
        for _ in range(threads + 8):
            stack.enter_context(nginx.connect()).sendall(head.encode())

        for _ in range(4):  # nginx itself ends slow bodies after 10 s: an answer that waited for that is too late
            assert browser.get(f"{nginx.url}/healthz", timeout=6).status_code == 200


def test_too_large_a_body_is_refused_with_our_words_and_the_largest_is_not(
    nginx: Front, server: Served, browser: requests.Session
) -> None:
    path, token = server.instances[0]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    rpc = {"Content-Type": "application/json", "Accept": "application/json", "Authorization": f"Bearer {token}"}

    page = browser.post(f"{nginx.url}/sign-in", b"x" * (MAX_FORM_BYTES + 1), headers=form)
    assert page.status_code == 413 and "<h1>Too much at once</h1>" in page.text
    assert page.headers["Strict-Transport-Security"] and page.headers["Cache-Control"] == "no-store"
    assert "http-equiv" in page.text and "X-Request-Id" not in page.headers, "nginx said it"
    program = browser.post(nginx.url + path, b"x" * (MAX_BODY_BYTES + 1), headers=rpc)
    assert program.status_code == 413 and program.json()["error"]["code"] == 1001

    page = browser.post(f"{nginx.url}/sign-in", b"x" * MAX_FORM_BYTES, headers=form)
    assert (page.status_code, "X-Request-Id" in page.headers) == (400, True), "the application said it"
    program = browser.post(nginx.url + path, b"x" * MAX_BODY_BYTES, headers=rpc)
    assert program.status_code == 400 and program.json()["error"]["code"] == -32700


def test_only_a_listed_proxy_is_believed_who_it_says_it_calls_for(
    nginx: Front, browser: requests.Session, settings: dict[str, str]
) -> None:
    def noted(source: str) -> str:
        host = urlsplit(nginx.url).netloc
        claim = f"GET /help HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 203.0.113.7\r\nConnection: close\r\n\r\n"
        found = re.search(rb"X-Request-Id: (\w+)", nginx.raw(claim.encode(), source))
        assert found
        return str(until(lambda: _line(settings["MCPWEB_HOME"], found[1].decode()), "the page is logged")["ip"])

    assert noted(STRANGER) == STRANGER
    assert noted("127.0.0.1") == "203.0.113.7"
    log = nginx.log()
    assert f"{STRANGER} " in log and "203.0.113.7 " in log


def _line(home: str, request_id: str) -> dict[str, object]:
    for path in Path(home).glob("logs/system/performance-*.jsonl"):
        for line in path.read_text().splitlines():
            if request_id in line:
                found: dict[str, object] = json.loads(line)
                return found
    return {}


def test_keys_in_addresses_are_in_no_log(nginx: Front, browser: requests.Session) -> None:
    secret = "0secret0"
    for path in (
        f"/sign-in/{secret}",
        f"/sign-in/{secret}?next=/{secret}",
        f"/%73ign-in/{secret}",
        f"//sign-in/{secret}",
        f"/SIGN-IN/{secret}",
        f"/sign-in?next=/{secret}",
        f"/instances?q={secret}",
    ):
        answer = nginx.raw(f"GET {path} HTTP/1.0\r\nHost: {urlsplit(nginx.url).netloc}\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 ")
    browser.post(f"{nginx.url}/sign-in/{secret}", b"x" * (MAX_FORM_BYTES + 1))

    log = nginx.log()
    assert "GET /sign-in/- " in log and "GET /instances " in log and "GET /sign-in " in log
    assert secret not in log


SMUGGLED = [
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
    "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "Content-Length: 5, 5\r\n\r\nhello",
    "Content-Length: +5\r\n\r\nhello",
    "Content-Length: 0x5\r\n\r\nhello",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n\r\n",
    "X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "Host: evil.example\r\nContent-Length: 0\r\n\r\n",
]
ODD_PATHS = [
    "//instances",
    "/instances//x",
    "/help;x=1",
    "/%2e%2e/help",
    "/x/%2E%2e/help",
    "/x%2fy",
    "/x%5cy",
    "/x\\y",
    "/x%00y",
    "/x%0ay",
    "/../etc/passwd",
    "/static/../config.py",
    "/./help",
    "/%252e%252e/help",
    "/.git/config",
    "/mcpweb-errors/../help",
]


def test_a_request_that_two_servers_could_read_differently_gets_to_neither(nginx: Front, server: Served) -> None:
    host = urlsplit(nginx.url).netloc
    for text in SMUGGLED:
        answer = nginx.raw(f"POST /help HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{text}".encode("latin-1"))
        assert answer.split(b" ")[1] in (b"400", b"413", b"501"), (text, answer)
        assert b"X-Request-Id" not in answer and answer.count(b"HTTP/1.1 ") == 1, (text, answer)
    for path in ODD_PATHS:
        answer = nginx.raw(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 400") and b"<h1>This request can not be read</h1>" in answer, (path, answer)
        assert b"X-Request-Id" not in answer, path
    answer = nginx.raw(f"GET /mcpweb-errors/400.html HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404"), "the pages are for nginx alone"
    answer = nginx.raw(f"GET /.well-known/x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404"), "to clients that look there, anything else would be an offer"
    for wrong in ("evil.example", "localhost", "127.0.0.1"):
        answer = nginx.raw(f"GET /help HTTP/1.1\r\nHost: {wrong}\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 421"), wrong


def test_nginx_serves_files_that_nobody_asks_for_twice(nginx: Front, browser: requests.Session) -> None:
    named = re.findall(r'(?:href|src)="(/static/[^"]+)"', browser.get(f"{nginx.url}/sign-in").text)
    assert len(named) >= 3
    for path in named:
        answer = browser.get(nginx.url + path)
        file = PACKAGE / "static" / path.removeprefix(static_files.address() + "/")
        assert (answer.status_code, answer.content) == (200, file.read_bytes()), path
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Content-Security-Policy"]
        assert "X-Request-Id" not in answer.headers, "the application is not asked"
    sheet = next(path for path in named if path.endswith(".css"))
    assert browser.get(nginx.url + sheet).headers["Content-Encoding"] == "gzip"
    for path in (
        sheet.replace(static_files.digest(), "0" * 16),
        sheet + "x",
        "/static/css/base.css",
        "/errors/502.html",
    ):
        answer = browser.get(nginx.url + path)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (404, "no-store"), path

    # As after an upgrade, when nobody has put the new files there yet.
    place = nginx.folder / "public" / "static"
    place.rename(place.with_name("elsewhere"))
    answer = browser.get(nginx.url + sheet)
    place.with_name("elsewhere").rename(place)
    assert answer.status_code == 200 and "immutable" in answer.headers["Cache-Control"]
    assert "X-Request-Id" in answer.headers, "what is not there, the application has"


def test_every_answer_asks_once_for_https_and_names_no_version(
    nginx: Front, server: Served, browser: requests.Session
) -> None:
    path, _ = server.instances[0]
    for target in ("/help", path, f"{static_files.address()}/css/base.css", "/no-such-page", "//odd"):
        head = f"GET {target} HTTP/1.1\r\nHost: {urlsplit(nginx.url).netloc}\r\nConnection: close\r\n\r\n"
        answer = nginx.raw(head.encode()).partition(b"\r\n\r\n")[0].decode().lower()
        assert answer.count("strict-transport-security: max-age=31536000") == 1, target
        assert answer.count("cache-control") == 1 and re.findall("server: (.+)\r", answer) == ["nginx"], target
    browser.get(f"{nginx.url}/sign-in")
    assert browser.cookies.keys() == ["__Host-mcpweb"]


def test_http_2_is_spoken_and_old_versions_of_tls_are_not(nginx: Front) -> None:
    with nginx.connect(protocols=("h2", "http/1.1")) as connection:
        assert (connection.selected_alpn_protocol(), connection.version()) == ("h2", "TLSv1.3")
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
        assert connection.recv(9)[3] == 4, "its first frame says how it is set"
