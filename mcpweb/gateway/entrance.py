"""Who and what is let in: Origin, token, HTTP method, media types, and the body within its bounds."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from mcpweb.gateway.exchange import Shared, Visit
from mcpweb.gateway.record import CallRecord
from mcpweb.instances.access import Unauthorized
from mcpweb.jsonrpc import REFUSED, RpcError

MAX_BODY_BYTES = 1_000_000

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_MAX_TOKEN_CHARS = 200
_CHUNK_BYTES = 65_536


class Origins:
    """Which web pages may call; a program sends no Origin and is not asked."""

    def __init__(self, listed: frozenset[str], loopback: bool) -> None:
        """`listed` are whole origins, `https://example.com`; `loopback` adds this machine's, on any port."""
        self._listed = listed
        self._loopback = loopback

    def check(self, environ: Mapping[str, Any]) -> None:
        """Refuse a foreign page, which could have been led here by DNS rebinding.

        Raises:
            RpcError: with status 403.
        """
        origin = environ.get("HTTP_ORIGIN")
        if origin is None or origin in self._listed or (self._loopback and _is_loopback(origin)):
            return
        raise RpcError(REFUSED, "Pages of this origin may not call here.", status=HTTPStatus.FORBIDDEN)


def let_in(
    shared: Shared, environ: Mapping[str, Any], instance_id: UUID | None, service: str | None, record: CallRecord
) -> Visit:
    """Check token, method and media types, in this order.

    Clients find out how to sign in by an unauthenticated GET, so the token comes before the method.

    Raises:
        Unauthorized: no such instance (of `service`, where given), or the token does not open it.
        RpcError: with status 405, 406 or 415.
    """
    bearer = _bearer(environ)
    if instance_id is None:
        raise Unauthorized
    access, hit = shared.access.get(instance_id, bearer)
    if service is not None and access.service.name != service:
        raise Unauthorized
    record.user_id = access.owner_id
    record.service = access.service.name
    token = access.token(bearer)
    record.token_tail, record.token_id = bearer[-4:], token.id if token else None
    record.cache = "hit" if hit else "miss"
    if environ["REQUEST_METHOD"] != "POST":
        raise RpcError(REFUSED, "Only POST is answered here.", status=HTTPStatus.METHOD_NOT_ALLOWED)
    if not _is_json(environ.get("CONTENT_TYPE", "")):
        raise RpcError(REFUSED, "The body must be application/json.", status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    takes_json, takes_stream = _accepts(environ.get("HTTP_ACCEPT", ""))
    if not takes_json:
        raise RpcError(REFUSED, "Answers are application/json.", status=HTTPStatus.NOT_ACCEPTABLE)
    return Visit(shared, environ, bearer, access, token, takes_stream)


def read_body(environ: Mapping[str, Any]) -> bytes:
    """The whole body.

    Raises:
        RpcError: it is too large, or the connection broke; with status 413 or 400.
    """
    length = _length(environ)
    if length > MAX_BODY_BYTES:
        raise _too_large()
    try:
        body: bytes = environ["wsgi.input"].read(length if length >= 0 else MAX_BODY_BYTES + 1)
    except Exception:  # every server has errors of its own for a broken body
        raise _broken() from None
    if len(body) > MAX_BODY_BYTES:
        raise _too_large()
    if len(body) < length:
        raise _broken()
    return body


def drain(environ: Mapping[str, Any]) -> None:
    """Read past what is left of a request's body, so that the next request on the connection is found.

    HTTP would allow to answer first, but then gunicorn 25.3 reads past the body itself, takes a part of the next
    request with it, and waits in vain for that to arrive.
    """
    length = _length(environ)
    left = sys.maxsize if length < 0 else length
    try:
        while left > 0 and (chunk := environ["wsgi.input"].read(min(left, _CHUNK_BYTES))):
            left -= len(chunk)
    except Exception:  # nothing is lost: the request is refused already
        return


def _length(environ: Mapping[str, Any]) -> int:
    """What Content-Length says; -1 when the server knows where the body ends (chunked)."""
    said = environ.get("CONTENT_LENGTH")
    if said:
        return int(said) if said.isascii() and said.isdigit() else 0
    return -1 if environ.get("wsgi.input_terminated") else 0


def _bearer(environ: Mapping[str, Any]) -> str:
    header: str = environ.get("HTTP_AUTHORIZATION", "")
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > _MAX_TOKEN_CHARS:
        raise Unauthorized
    return token


def _is_loopback(origin: str) -> bool:
    try:
        return urlsplit(origin).hostname in _LOOPBACK
    except ValueError:
        return False


@lru_cache(maxsize=64)  # clients send one of a few texts, over and over
def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"


@lru_cache(maxsize=64)
def _accepts(accept: str) -> tuple[bool, bool]:
    """Whether JSON can be sent, and whether an event stream was asked for by name (RFC 9110, 12.5.1)."""
    types: set[str] = set()
    for part in accept.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if media_type and not any(_is_zero(parameter) for parameter in parameters):
            types.add(media_type)
    takes_json = not accept.strip() or not types.isdisjoint({"application/json", "application/*", "*/*"})
    return takes_json, "text/event-stream" in types


def _is_zero(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and value.strip().rstrip("0") in ("", ".", "0.")


def _broken() -> RpcError:
    return RpcError(REFUSED, "The body did not arrive whole.", status=HTTPStatus.BAD_REQUEST)


def _too_large() -> RpcError:
    return RpcError(REFUSED, f"The body may have {MAX_BODY_BYTES:,} bytes.", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
