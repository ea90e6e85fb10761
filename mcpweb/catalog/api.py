"""One call's way to the service: safe paths, the credential's headers, the provider's errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from mcpweb import clock
from mcpweb.catalog import outgoing, refusals
from mcpweb.catalog.outgoing import Destinations, Outgoing, Reply
from mcpweb.catalog.refusals import Refusal, UpstreamError

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_PLAIN = re.compile(r"[\w~-][\w.~-]*", re.ASCII)
"""A segment that needs no quoting and is none of `.` and `..`: nearly all are."""

Query = Mapping[str, Any]


class Segments(str):
    """A path argument that may hold several segments, `src/main.py`; a plain argument is exactly one."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where a service is and how it speaks: what the manifest and the operator say, ready for calls."""

    title: str
    base_url: str
    destinations: Destinations
    refusals: tuple[Refusal, ...] = ()
    reset_header: str | None = None


@dataclass(slots=True)
class Api:
    """What a tool gets to reach its service; made anew for every call, so it carries nothing over."""

    upstream: Upstream
    headers: Mapping[str, str] = field(repr=False)
    client: Outgoing = field(repr=False)
    secrets: tuple[bytes, ...] = field(default=(), repr=False)
    deadline_s: float = 25.0
    upstream_ms: float = 0.0
    requests: int = 0

    def get(self, template: str, *, query: Query | None = None, **path: Any) -> Any:
        """The JSON that the service answers; see `request`."""
        return self.request("GET", template, query=query, **path).json()

    def post(self, template: str, *, json: Any = None, query: Query | None = None, **path: Any) -> Any:
        """As `get`, sending `json`; None when the service answers with an empty body."""
        return _json(self.request("POST", template, json=json, query=query, **path))

    def put(self, template: str, *, json: Any = None, query: Query | None = None, **path: Any) -> Any:
        """As `post`."""
        return _json(self.request("PUT", template, json=json, query=query, **path))

    def patch(self, template: str, *, json: Any = None, query: Query | None = None, **path: Any) -> Any:
        """As `post`."""
        return _json(self.request("PATCH", template, json=json, query=query, **path))

    def delete(self, template: str, *, json: Any = None, query: Query | None = None, **path: Any) -> Any:
        """As `post`."""
        return _json(self.request("DELETE", template, json=json, query=query, **path))

    def request(
        self,
        method: str,
        template: str,
        *,
        query: Query | None = None,
        json: Any = None,
        accept: str | None = None,
        redirects: bool = False,
        max_bytes: int | None = None,
        **path: Any,
    ) -> Reply:
        """Send one request with the credential and give back the service's answer.

        Each `{name}` of the template is filled with one quoted path segment, a `Segments` value with several.
        A redirect is never followed; with `redirects` it is given back, otherwise it is an error like any other.

        Raises:
            UpstreamError: the service refused, failed, or did not answer in time or not sensibly.
        """
        url = self.upstream.base_url + fill(template, path) + _query(query)
        headers = dict(self.headers)
        if accept:
            headers["Accept"] = accept
        body = None
        if json is not None:
            body = orjson.dumps(json)
            headers["Content-Type"] = "application/json"
        reply = self._send(method, url, headers, body, max_bytes, hash(tuple(self.headers.values())))
        if reply.status < 300 or (redirects and reply.status < 400):
            return reply
        raise refusals.read(reply, self.upstream.title, self.upstream.refusals, self.upstream.reset_header)

    def download(self, url: str, *, max_bytes: int | None = None) -> Reply:
        """Fetch an absolute URL on one of the service's hosts, without the credential.

        Raises:
            UpstreamError: the host is not one of the manifest's, or the download failed.
        """
        reply = self._send("GET", url, {}, None, max_bytes, 0)
        if reply.status >= 300:
            raise refusals.read(reply, self.upstream.title, ())
        return reply

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, max_bytes: int | None, whose: int
    ) -> Reply:
        started = clock.monotonic()
        left_s = max(0.1, self.deadline_s - self.upstream_ms / 1000)  # all requests of one call share the deadline
        self.requests += 1
        try:
            reply = self.client.request(
                method,
                url,
                to=self.upstream.destinations,
                headers=headers,
                body=body,
                total_timeout_s=left_s,
                max_bytes=max_bytes,
                whose=whose,
            )
            return _Answer(reply.status, reply.headers, self._clean(reply.body), self.upstream.title)
        except outgoing.OutgoingError as error:
            raise _failed(self.upstream.title, error) from None
        finally:
            self.upstream_ms += (clock.monotonic() - started) * 1000

    def _clean(self, body: bytes) -> bytes:
        """The body without the credential: a service that echoes its caller's headers must not hand it out."""
        for secret in self.secrets:
            if secret in body:
                body = body.replace(secret, b"[redacted]")
        return body


@dataclass(frozen=True, slots=True)
class _Answer(Reply):
    """A service's answer, so that a body that is no JSON counts as the service's fault and not as the tool's."""

    title: str = ""

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            UpstreamError: it is none.
        """
        try:
            return Reply.json(self)
        except outgoing.OutgoingError as error:
            raise _failed(self.title, error) from None


def fill(template: str, path: Mapping[str, Any]) -> str:
    """The template with every placeholder replaced by quoted segments that can not leave their place.

    Raises:
        UpstreamError: a value is empty, or has a segment that is `.`, `..` or (unless `Segments`) holds a slash.
        KeyError: the template names a placeholder that was not given; a fault of the plugin.
    """

    def segment(match: re.Match[str]) -> str:
        name = match[1]
        value = path[name]
        if isinstance(value, str | int) and _PLAIN.fullmatch(str(value)):
            return str(value)
        parts = value.strip("/").split("/") if isinstance(value, Segments) else [str(value)]
        if any(part in ("", ".", "..") or "/" in part or "\\" in part or "\0" in part for part in parts):
            raise UpstreamError("invalid", f"The argument {name} can not be used in a path: {str(value)[:80]!r}.")
        return "/".join(quote(part, safe="", errors="replace") for part in parts)

    return _PLACEHOLDER.sub(segment, template)


def _query(query: Query | None) -> str:
    pairs: list[tuple[str, str]] = []
    for name, value in (query or {}).items():
        if isinstance(value, bool):
            pairs.append((name, str(value).lower()))
        elif isinstance(value, list | tuple):
            if value:
                pairs.append((name, ",".join(map(str, value))))
        elif value is not None:
            pairs.append((name, str(value)))
    return "?" + urlencode(pairs, errors="replace") if pairs else ""


def _json(reply: Reply) -> Any:
    return reply.json() if reply.body else None


def _failed(title: str, error: outgoing.OutgoingError) -> UpstreamError:
    match error:
        case outgoing.TooLarge():
            return UpstreamError(
                "invalid",
                f"The answer of {title} is larger than this endpoint passes on. Ask for less: narrower or paged.",
            )
        case outgoing.TimedOut():
            return UpstreamError("unavailable", f"{title} did not answer in time. Try again later, or ask for less.")
        case outgoing.Resting():
            return UpstreamError(
                "unavailable",
                f"{title} does not answer since {error.since:%H:%M} UTC, so it was not asked. "
                f"Try again in {error.wait_s} s.",
            )
        case outgoing.BadReply():
            return UpstreamError("unavailable", f"{title} sent an answer that can not be read. Try again later.")
        case _:
            return UpstreamError("unavailable", f"{title} can not be reached at the moment. Try again later.")
