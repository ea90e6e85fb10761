"""Every field of every form, with everything that can be wrong: a clear answer, and nothing half-written."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import quote_from_bytes, urlencode

import pytest
from flask import Flask

from mcpweb.accounts import links
from mcpweb.accounts.models import Role, User, UserSession, UserToken
from mcpweb.application import MAX_FORM_BYTES
from mcpweb.database import db
from mcpweb.extensions import limiter
from mcpweb.instances.models import Instance, InstanceToken, ServiceRow
from mcpweb.logs.models import AuditEvent
from mcpweb.web import static_files
from mcpweb.web.current import settings as current_settings
from tests.form_client import FormClient, filled
from tests.instances.connecting import GOOD


@dataclass
class FormUnderTest:
    """A form: who fills it in, where it is, what is right, and which statuses a wrong field may bring."""

    person: FormClient
    path: str
    right: dict[str, str]
    fields: Mapping[str, set[int]] = field(default_factory=dict)
    """Each field's name, and the statuses that an odd value of it may be answered with."""

    def send(self, **changed: Any) -> int:
        """The status of sending the form with some values changed; None leaves a field out."""
        data = {name: value for name, value in (self.right | changed).items() if value is not None}
        answer = self.person.transport.raw(self.path, method="POST", data=data)
        status: int = answer.status_code
        return status

    def send_body(self, body: bytes, content_type: str, **headers: str) -> int:
        """The status of sending something else than a form."""
        answer = self.person.transport.raw(
            self.path, method="POST", data=body, content_type=content_type, headers=headers
        )
        status: int = answer.status_code
        return status


WRONG = {422}
TAKEN_OR_WRONG = {303, 422}

FORMS: dict[str, dict[str, set[int]]] = {
    "sign-in": {"email": WRONG, "next": TAKEN_OR_WRONG},
    "code": {"code": WRONG | {410}},
    "link": {},
    "set-up": {"email": WRONG},
    "theme": {"theme": {303}, "next": {303}},
    "connect": {
        "label": TAKEN_OR_WRONG,
        "lifetime": WRONG,
        "custom_day": TAKEN_OR_WRONG,
        "creation_key": WRONG,
        "credential-token": WRONG,
    },
    "sign-out": {},
    "revoke": {},
    "revoke all": {},
}
MAY_CHANGE = {("sign-in", "next"), ("connect", "label"), ("connect", "custom_day")}
"""Odd values of these may be fine, or beside the point, and then the form does what it is for."""


@pytest.fixture
def form(
    request: pytest.FixtureRequest, app: Flask, new_browser: Callable[..., FormClient], monkeypatch: pytest.MonkeyPatch
) -> FormUnderTest:
    """The form of this name, ready to be sent."""
    monkeypatch.setattr(limiter, "enabled", False)
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    name: str = request.param
    needs_user = name in ("connect", "sign-out", "revoke", "revoke all")
    person = request.getfixturevalue("sign_in")("alice@example.com") if needs_user else new_browser()
    path, right = _ready(name, person)
    return FormUnderTest(person, path, right, FORMS[name])


def _ready(name: str, person: FormClient) -> tuple[str, dict[str, str]]:
    match name:
        case "sign-in":
            return _right(person, "/sign-in", "/sign-in", email="alice@example.com", next="/services")
        case "code":
            page = person.get("/sign-in")
            person.submit(page.form("/sign-in"), email="alice@example.com")
            return _right(person, "/sign-in/sent", "/sign-in/code", code="WRNG-CDES")
        case "link" | "set-up":
            role = Role.ADMIN if name == "set-up" else Role.USER
            email = "" if name == "set-up" else "bob@example.com"
            path = f"/sign-in/{links.direct_link(email, role, links.Links.of(current_settings()))}"
            return _right(person, path, path, **({"email": "carol@example.com"} if name == "set-up" else {}))
        case "theme":
            return _right(person, "/help", "/theme", theme="dark")
        case "connect":
            right = {"label": "Work", "lifetime": "30", "credential-token": GOOD, "custom_day": ""}
            return _right(person, "/services/github/connect", "/services/github/connect", **right)
        case "sign-out":
            return _right(person, "/account", "/sign-out")
        case "revoke":
            path = next(form.action for form in person.get("/account").forms if form.action.endswith("/revoke"))
            return _right(person, "/account", path)
        case _:
            return _right(person, "/account", "/account/sessions/revoke-all")


def _right(person: FormClient, page: str, path: str, **values: str) -> tuple[str, dict[str, str]]:
    return path, dict(filled(person.get(page).form(path))) | values


def rows() -> dict[str, Any]:
    """What there is of everything that a form could make or change."""
    db.session.expire_all()
    models = (User, UserSession, UserToken, Instance, InstanceToken, AuditEvent)
    counted: dict[str, Any] = {model.__tablename__: db.session.query(model).count() for model in models}
    counted["ended"] = db.session.query(UserSession).filter(UserSession.revoked_at.isnot(None)).count()
    counted["used"] = db.session.query(UserToken).filter(UserToken.used_at.isnot(None)).count()
    counted["services"] = [(row.total_instances, row.active_instances) for row in db.session.query(ServiceRow)]
    return counted


ODD: dict[str, Any] = {
    "missing": None,
    "empty": "",
    "blank": "   ",
    "10 kB": "x" * 10_000,
    "half a megabyte": "x" * 490_000,
    "NUL": "a\0b",
    "only NUL": "\0",
    "right-to-left": "a\u202eb\u2066",
    "line ends": "a\r\nb\u2028c",
    "ANSI": "\x1b[2J",
    "markup": "<script>alert(1)</script>",
    "template": "{{ 7 * 7 }}{% raw %}",
    "quotes": "'; DROP TABLE instance; --",
    "path": "../../../etc/passwd",
    "many": ["a", "b", "c"],
    "number": "-1",
    "huge number": "9" * 400,
    "not a number": "NaN",
    "emoji": "👩‍🚀" * 50,
    "combining": "a" + "\u0301" * 500,
    "uuid in braces": "{01234567-89ab-cdef-0123-456789abcdef}",
    "almost a uuid": "01234567-89ab-cdef-0123-456789abcdeg",
    "date of nowhen": "2026-02-30",
    "format": "%s%n{0}",
}
TAKEN: dict[tuple[str, str], set[str]] = {
    ("connect", "creation_key"): {"uuid in braces"},
    ("code", "code"): set(),
}
"""Odd values that are right after all."""


@pytest.mark.parametrize("form", FORMS, indirect=True, ids=str)
def test_the_form_does_what_it_is_for_when_everything_is_right(form):
    assert form.send() in (303, 422 if form.path == "/sign-in/code" else 303)


@pytest.mark.parametrize("form", [name for name, fields in FORMS.items() if fields], indirect=True, ids=str)
def test_an_odd_value_in_any_field_is_refused_clearly_and_changes_nothing(form, request):
    name = next(name for name, fields in FORMS.items() if fields is form.fields)
    wrong = []
    for field_name, statuses in form.fields.items():
        for oddity, value in ODD.items():
            before = rows()
            status = form.send(**{field_name: value})
            taken = oddity in TAKEN.get((name, field_name), ())
            if status not in (statuses | ({303} if taken else set())):
                wrong.append((field_name, oddity, status))
            after = rows()
            if status >= 400 and after != before:
                wrong.append((field_name, oddity, "half-written", before, after))
            if status == 303 and after != before and (name, field_name) not in MAY_CHANGE and not taken:
                wrong.append((field_name, oddity, "taken", before, after))
    assert wrong == []


RAW = {
    "invalid UTF-8": b"\xff\xfe\x80",
    "overlong": b"\xc0\xaf",
    "lone surrogate": b"\xed\xa0\x80",
    "cut in a letter": b"a\xf0\x9f",
}


@pytest.mark.parametrize("form", [name for name, fields in FORMS.items() if fields], indirect=True, ids=str)
def test_bytes_that_are_no_text_are_no_fault(form):
    for field_name in form.fields:
        for value in RAW.values():
            rest = urlencode({name: text for name, text in form.right.items() if name != field_name})
            body = f"{rest}&{field_name}={quote_from_bytes(value)}".encode()
            raw = rest.encode() + b"&" + field_name.encode() + b"=" + value
            status = form.send_body(body, "application/x-www-form-urlencoded")
            assert status in form.fields[field_name] | {303}, (field_name, value, status)
            # Not even percent-encoded, it is no form at all, so the form token is not found either.
            assert form.send_body(raw, "application/x-www-form-urlencoded") == 400


@pytest.mark.parametrize("form", FORMS, indirect=True, ids=str)
def test_what_is_no_form_is_refused_and_changes_nothing(form):
    token = form.right["csrf_token"]
    before = rows()
    wrong = []
    for content_type, body in BODIES:
        status = form.send_body(body, content_type, **{"X-CSRFToken": token})
        if status not in (400, 413, 415):
            wrong.append((content_type, body[:50], status))
    assert wrong == []
    assert rows() == before


BODIES = [
    ("application/json", b"{}"),
    ("application/json", b'{"email": ["alice@example.com"], "code": {"a": 1}, "label": 5, "lifetime": null}'),
    ("application/json", b"[" * 100_000),
    ("application/json; charset=utf-16", '{"email": "a@b.example"}'.encode("utf-16")),
    ("text/plain", b"email=alice@example.com"),
    ("application/xml", b"<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x>&a;</x>"),
    ("application/octet-stream", bytes(range(256))),
    ("multipart/mixed; boundary=x", b"--x\r\n\r\n--x--"),
    ("nonsense", b"x"),
    ("application/x-www-form-urlencoded; charset=utf-7", b"x" * (MAX_FORM_BYTES + 1)),
]


@pytest.mark.parametrize("form", FORMS, indirect=True, ids=str)
def test_ten_megabytes_are_too_much_and_change_nothing(form):
    before = rows()
    token = form.right["csrf_token"]
    body = f"csrf_token={token}&padding=".encode() + b"x" * 10_000_000

    assert form.send_body(body, "application/x-www-form-urlencoded") == 413
    multipart = _multipart(csrf_token=token.encode(), padding=b"x" * 10_000_000)
    assert form.send_body(multipart, "multipart/form-data; boundary=BB") == 413
    assert rows() == before


@pytest.mark.parametrize("form", FORMS, indirect=True, ids=str)
def test_files_and_very_many_fields_are_refused_or_passed_over(form):
    before = rows()
    names = list(form.fields) or ["file"]
    files: dict[str, Any] = {**form.right, **{name: (io.BytesIO(b"x"), "x.txt") for name in names}}
    answer = form.person.transport.raw(form.path, method="POST", data=files)
    assert answer.status_code == 415
    many = _multipart(**{f"f{n}": b"v" for n in range(5000)}, csrf_token=form.right["csrf_token"].encode())
    assert form.send_body(many, "multipart/form-data; boundary=BB") == 413
    assert form.send_body(b"--BB\r\nbroken", "multipart/form-data; boundary=BB") == 400
    assert form.send_body(b"--BB\r\nbroken", "multipart/form-data") == 400
    assert rows() == before

    fields = urlencode({f"field{n}": "v" for n in range(50_000)}).encode()
    assert len(fields) > 400_000
    assert form.send_body(fields[:490_000], "application/x-www-form-urlencoded") == 400, "without a form token"
    assert rows() == before


def _multipart(**parts: bytes) -> bytes:
    lines = []
    for name, value in parts.items():
        lines += [b"--BB", f'Content-Disposition: form-data; name="{name}"'.encode(), b"", value]
    return b"\r\n".join([*lines, b"--BB--", b""])


QUERIES = ["q", "service", "state"]


@pytest.mark.parametrize("path", ["/instances", "/sign-in", "/services", "/services/github/connect", "/help", "/"])
def test_odd_questions_are_no_fault(path, app, alice, browser, monkeypatch):
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    before = rows()
    # Only the list of instances reads more of its address than where to go next.
    queries = list(_queries() if path == "/instances" else islice(_queries(), 3 * len(ODD), None, 4))
    for person in (alice, browser):
        for query in queries:
            answer = person.open("GET", f"{path}?{query}")
            assert answer.status in (200, 303), (query[:80], answer.status)
    assert rows() == before


def _queries() -> Iterator[str]:
    for name in [*QUERIES, "next", "unknown", "q[]", "q.x"]:
        for value in ODD.values():
            if isinstance(value, list):
                yield urlencode([(name, item) for item in value])
            elif value is not None:
                yield urlencode({name: value[:5000]})
        for raw in RAW.values():
            yield f"{name}={quote_from_bytes(raw)}"
    yield "&" * 1000
    yield "=" * 1000
    yield "&".join(f"a{n}=b" for n in range(3000))


@pytest.mark.parametrize(
    "path",
    [
        "/instances/%00",
        "/instances/" + "0" * 3000,
        "/services/%F0%9F/connect",
        "/services/" + "x" * 3000 + "/connect",
        "/services/%2e%2e%2f%2e%2e/logo.svg",
        "/account/sessions/0x10/revoke",
        "/account/sessions/-1/revoke",
        "/static/../config.py",
        "/static/%2e%2e/config.py",
        "/static/css/%00",
        "/%",
        "/%zz",
        "/\ud83d",
        "//evil.example/",
        "/a" * 1000,
        "/sign-in/" + "%00" * 100,
        "/sign-in/" + "." * 1000,
    ],
    ids=range(17),
)
def test_an_odd_address_is_not_found_or_refused(path, app, alice, monkeypatch):
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    token = dict(alice.get("/help").form("/theme").fields)["csrf_token"]
    for method in ("GET", "POST"):
        encoded = path.encode("utf-8", "surrogatepass").decode("latin-1")
        answer = alice.transport.raw(encoded, method=method, data={"csrf_token": token} if method == "POST" else None)
        assert answer.status_code in (308, 400, 404, 405, 410), (method, answer.status_code)


@pytest.mark.parametrize(
    "headers",
    [
        {"Cookie": "mcpweb=" + "A" * 8000},
        {"Cookie": "mcpweb=\x80; theme=\xff; ;;=;"},
        {"User-Agent": "\xff" * 5000},
        {"Accept-Language": "x" * 5000, "Accept": "*/*;q=nan"},
        {"Referer": "\x80", "Origin": "\x80"},
        {"X-Forwarded-For": "a" * 5000},
        {"Content-Type": "\x80"},
        {"Range": "bytes=9999999999999999999-"},
        {"If-Modified-Since": "never", "If-None-Match": "\x80"},
    ],
    ids=range(9),
)
def test_odd_headers_are_no_fault(headers, app, browser, monkeypatch):
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    for path in ("/sign-in", "/instances", f"{static_files.address()}/css/base.css", "/services/github/logo.svg"):
        assert browser.open("GET", path, **headers).status in (200, 303, 304, 416)
        assert browser.open("POST", path, **headers).status in (400, 403, 405)
