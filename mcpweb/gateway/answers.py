"""HTTP answers of the endpoint, ready for WSGI."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import NamedTuple

import orjson

from mcpweb import jsonrpc
from mcpweb.jsonrpc import Id, RpcError

Headers = list[tuple[str, str]]

STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}

_RETRY_AFTER_S = 2
_JSON = ("Content-Type", "application/json")
_NO_STORE = ("Cache-Control", "no-store")


class Answer(NamedTuple):
    """Status, headers and body of one HTTP answer."""

    status: int
    headers: Headers
    body: Iterable[bytes]


def json(body: bytes, status: int = HTTPStatus.OK) -> Answer:
    """A JSON body that nobody may keep."""
    return Answer(status, [_JSON, ("Content-Length", str(len(body))), _NO_STORE], [body])


def accepted() -> Answer:
    """202 with nothing in it: for notifications, and for responses to requests that we never send."""
    return Answer(HTTPStatus.ACCEPTED, [("Content-Length", "0")], [])


def events(body: Iterable[bytes]) -> Answer:
    """An event stream, which nginx must not collect before it passes it on."""
    return Answer(HTTPStatus.OK, [("Content-Type", "text/event-stream"), _NO_STORE, ("X-Accel-Buffering", "no")], body)


def failure(error: RpcError, id: Id | None = None) -> Answer:
    """A JSON-RPC error with the HTTP status that goes with it."""
    answer = json(jsonrpc.error(error, id), error.status)
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers.append(("Allow", "POST"))
    retry_after_s = _RETRY_AFTER_S if error.status == HTTPStatus.SERVICE_UNAVAILABLE else error.retry_after_s
    if retry_after_s is not None:
        answer.headers.append(("Retry-After", str(retry_after_s)))
    return answer


def unauthorized() -> Answer:
    """401 for a missing or wrong token and for an unknown instance alike (RFC 6750; no OAuth discovery offered)."""
    answer = json(_UNAUTHORIZED, HTTPStatus.UNAUTHORIZED)
    answer.headers.append(("WWW-Authenticate", "Bearer"))
    return answer


_UNAUTHORIZED = orjson.dumps(
    {
        "error": "invalid_token",
        "error_description": "This endpoint needs its own token in the header Authorization: Bearer mcpw_… "
        "The page of the connection shows how to set it up.",
    }
)
