"""A browser without JavaScript: follows links, fills forms, keeps cookies. Works on a test client or a live server."""

from __future__ import annotations

from contextvars import Context
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

import requests
from flask import Flask, has_app_context

from mcpweb.database import db


@dataclass
class Form:
    """A form of a page: where it goes, and the values it would send as it stands."""

    method: str
    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)

    def has(self, name: str) -> bool:
        return any(name == given for given, _ in self.fields)


@dataclass
class Page:
    """An answer: status, headers, text, and the forms and links in it."""

    url: str
    status: int
    headers: Any
    text: str

    @property
    def forms(self) -> list[Form]:
        return self._read.forms

    @property
    def links(self) -> list[str]:
        return self._read.links

    @cached_property
    def _read(self) -> _Reader:
        reader = _Reader()  # when first asked for: of most pages nobody asks
        if "html" in self.headers.get("Content-Type", ""):
            reader.feed(self.text)
        return reader

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    def form(self, action: str = "", holding: str = "") -> Form:
        """The form whose action ends so, or that holds a field of this name."""
        for one in self.forms:
            if urlsplit(one.action).path.endswith(action) and (not holding or one.has(holding)):
                return one
        raise AssertionError(f"{self.url} ({self.status}) has no form {action!r} {holding!r}: {self.forms}")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self._form: Form | None = None
        self._select: tuple[str, list[tuple[str, bool]]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        match tag:
            case "a" if "href" in values:
                self.links.append(values["href"])
            case "form":
                self._form = Form(values.get("method", "get").upper(), values.get("action", ""))
                self.forms.append(self._form)
            case "input" | "button" if self._form and values.get("name"):
                self._input(tag, values)
            case "select" if self._form:
                self._select = (values.get("name", ""), [])
            case "option" if self._select:
                self._select[1].append((values.get("value", ""), "selected" in values))

    def _input(self, tag: str, values: dict[str, str]) -> None:
        assert self._form
        kind = values.get("type", "submit" if tag == "button" else "text")
        pair = (values["name"], values.get("value", ""))
        if kind == "submit":
            self._form.buttons.append(pair)
        elif kind not in ("radio", "checkbox") or "checked" in values:
            self._form.fields.append(pair)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select" and self._select and self._form:
            name, options = self._select
            chosen = [value for value, selected in options if selected] or [value for value, _ in options[:1]]
            self._form.fields += [(name, value) for value in chosen]
            self._select = None


class Transport(Protocol):
    """Sends one request without following redirects: (status, headers, text)."""

    def send(
        self, method: str, url: str, data: list[tuple[str, str]], headers: dict[str, str]
    ) -> tuple[int, Any, str]: ...


class InProcess:
    """The application's test client."""

    def __init__(self, app: Flask) -> None:
        self.client = app.test_client()

    def send(self, method: str, url: str, data: list[tuple[str, str]], headers: dict[str, str]) -> tuple[int, Any, str]:
        kept: dict[str, list[str]] = {}
        for name, value in data:
            kept.setdefault(name, []).append(value)
        answer = self.raw(url, method=method, data=kept if method == "POST" else None, headers=headers)
        return answer.status_code, answer.headers, answer.get_data(as_text=True)

    def raw(self, url: str, **request: Any) -> Any:
        """One request as werkzeug's test client takes it: any method, body, content type and source address."""
        if has_app_context():
            db.session.rollback()  # what the test has read so far is read anew afterwards
            db.session.expire_all()
        # A context of its own: inside the test's, the request would share the test's database session.
        return Context().run(self.client.open, url, **request)

    def twin(self) -> InProcess:
        """The same cookies in another client: a second tab, another thread, or a thief's browser."""
        other = InProcess(self.client.application)
        other.client._cookies = dict(self.client._cookies or {})
        return other


class OverHttp:
    """A live server."""

    def __init__(self) -> None:
        self.session = requests.Session()

    def send(self, method: str, url: str, data: list[tuple[str, str]], headers: dict[str, str]) -> tuple[int, Any, str]:
        answer = self.session.request(
            method, url, data=data if method == "POST" else None, headers=headers, allow_redirects=False, timeout=30
        )
        return answer.status_code, answer.headers, answer.text


class FormClient:
    """One person's browser."""

    def __init__(self, transport: Transport, base_url: str, agent: str = "form client") -> None:
        self.transport = transport
        self.base_url = base_url
        self.headers = {"User-Agent": agent}
        self.page: Page | None = None

    def get(self, url: str, **headers: str) -> Page:
        """Open an address and follow redirects."""
        return self._go("GET", url, [], headers)

    def post(self, url: str, data: dict[str, str] | None = None, **headers: str) -> Page:
        """Post without a form: what an attacker or a script does."""
        return self._go("POST", url, list((data or {}).items()), headers)

    def submit(self, form: Form, button: str = "", **values: str) -> Page:
        """Fill a form of the page in view and send it as browsers do; `_` in a name stands for `-`."""
        assert self.page
        data = filled(form, **values) + [pair for pair in form.buttons if pair[0] == button]
        here = urlsplit(self.page.url)
        headers = {"Referer": self.page.url, "Sec-Fetch-Site": "same-origin"}
        if form.method == "POST":
            headers["Origin"] = f"{here.scheme}://{here.netloc}"
        return self._go(form.method, urljoin(self.page.url, form.action or self.page.url), data, headers)

    def open(self, method: str, url: str, data: dict[str, str] | None = None, **headers: str) -> Page:
        """One request by itself: any method, no redirect followed, and the page in view stays."""
        return self._once(method, urljoin(self.base_url, url), list((data or {}).items()), headers)

    def twin(self) -> FormClient:
        """The same browser once more, with a copy of its cookies; in process only."""
        assert isinstance(self.transport, InProcess)
        other = FormClient(self.transport.twin(), self.base_url, self.headers["User-Agent"])
        other.page = self.page
        return other

    def _go(self, method: str, url: str, data: list[tuple[str, str]], headers: dict[str, str]) -> Page:
        url = urljoin(self.base_url, url)
        for _ in range(6):
            page = self._once(method, url, data, headers)
            if page.status not in (301, 302, 303, 307, 308):
                self.page = page
                return page
            url, method, data = urljoin(url, page.headers["Location"]), "GET", []
        raise AssertionError(f"{url} redirects for ever")

    def _once(self, method: str, url: str, data: list[tuple[str, str]], headers: dict[str, str]) -> Page:
        return Page(url, *self.transport.send(method, url, data, {**self.headers, **headers}))


def filled(form: Form, **values: str) -> list[tuple[str, str]]:
    """What the form sends with these values in place of its own; `_` stands for `-` where the form has such a name."""
    names = {name for name, _ in form.fields}
    given = {dashed if (dashed := name.replace("_", "-")) in names else name: value for name, value in values.items()}
    return [(name, value) for name, value in form.fields if name not in given] + list(given.items())
