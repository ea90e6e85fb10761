"""JSON-RPC 2.0 as MCP uses it: bytes become typed messages, results and errors become bytes."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson

PARSE_ERROR = -32700
"""The body is not JSON."""
INVALID_REQUEST = -32600
"""JSON, but no request: wrong shape, bad id, or a batch where none may be."""
METHOD_NOT_FOUND = -32601
"""No such method in this revision, or this service does not offer it."""
INVALID_PARAMS = -32602
"""The method exists, its parameters are wrong."""
INTERNAL_ERROR = -32603
"""A fault on our side, or of the service behind a resource or a prompt."""
RESOURCE_NOT_FOUND = -32002
"""No such resource; revisions before 2026-07-28 only, later ones use INVALID_PARAMS."""
HEADER_MISMATCH = -32020
"""2026-07-28: a header is missing, or does not say what the body says."""
MISSING_CAPABILITY = -32021
"""2026-07-28: the request needs something that the client did not declare."""
UNSUPPORTED_VERSION = -32022
"""The protocol revision is not known here."""
REFUSED = 1001
"""Our own: HTTP said no before JSON-RPC began (Origin, method, media type, size)."""
BUSY = 1002
"""Our own: as many calls are running as may run at once."""
SWITCHED_OFF = 1003
"""Our own: the connection is inactive or expired."""
LIMITED = 1004
"""Our own: the connection made all the calls that it may, or its owner has all running that one may have."""

MAX_BATCH = 20
"""Messages in one batch (2025-03-26); each may be a call that takes its full time, one after the other."""

Id = str | int


class RpcError(Exception):
    """A request that is answered with a JSON-RPC error, and the HTTP status that goes with it."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        data: Any = None,
        id: Id | None = None,
        status: int = HTTPStatus.OK,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.data = data
        self.id = id
        self.status = status
        self.retry_after_s = retry_after_s


@dataclass(slots=True)
class Request:
    """Somebody wants an answer."""

    id: Id
    method: str
    params: dict[str, Any]


@dataclass(slots=True)
class Notification:
    """Somebody tells us something; never answered."""

    method: str
    params: dict[str, Any]


@dataclass(slots=True)
class Response:
    """An answer to a request that we never sent."""


Message = Request | Notification | Response


def parse(body: bytes) -> Message | list[Message | RpcError]:
    """The message in `body`, or the messages of a batch, in which a bad one stands as its error.

    Among equal keys the last counts. Keys are case-sensitive. JSON is read strictly (RFC 8259): no NaN, no byte order
    mark, no lone surrogate, at most 1,024 levels.

    Raises:
        RpcError: not JSON, no message, or a batch that is empty or longer than MAX_BATCH; with HTTP status 400.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RpcError(PARSE_ERROR, f"The body is not JSON: {error.msg}.", status=HTTPStatus.BAD_REQUEST) from None
    if not isinstance(value, list):
        return _message(value)
    if not 0 < len(value) <= MAX_BATCH:
        raise _invalid(f"A batch holds 1 to {MAX_BATCH} messages.")
    return [_message_or_error(item) for item in value]


def result(id: Id, value: Any) -> bytes:
    """The answer with this result, which may hold `orjson.Fragment`s.

    Raises:
        TypeError: the value has no JSON form.
    """
    return orjson.dumps({"jsonrpc": "2.0", "id": id, "result": value})


def error(failure: RpcError, id: Id | None = None) -> bytes:
    """The answer with this error; without an id where none is known, except that JSON-RPC wants null for a bad body."""
    body: dict[str, Any] = {"code": failure.code, "message": str(failure)}
    if failure.data is not None:
        body["data"] = failure.data
    answer: dict[str, Any] = {"jsonrpc": "2.0", "error": body}
    id = failure.id if id is None else id
    if id is not None or failure.code in (PARSE_ERROR, INVALID_REQUEST):
        answer["id"] = id
    return orjson.dumps(answer)


def notification(method: str, params: dict[str, Any]) -> bytes:
    """A message that wants no answer."""
    return orjson.dumps({"jsonrpc": "2.0", "method": method, "params": params})


def _message(value: Any) -> Message:
    if not isinstance(value, dict):
        raise _invalid("A message is a JSON object.")
    id = value.get("id")
    known = id if _is_id(id) else None
    if value.get("jsonrpc") != "2.0":
        raise _invalid('"jsonrpc" must be "2.0".', known)
    if "method" not in value and ("result" in value or "error" in value):
        return Response()
    method = value.get("method")
    if not isinstance(method, str):
        raise _invalid('"method" must be a text.', known)
    params = value.get("params")
    if params is None:
        params = {}
    elif not isinstance(params, dict):
        raise RpcError(INVALID_PARAMS, '"params" must be an object.', id=known, status=HTTPStatus.BAD_REQUEST)
    if "id" not in value:
        return Notification(method, params)
    if known is None:
        raise _invalid('"id" must be a text or a whole number.')
    return Request(known, method, params)


def _message_or_error(value: Any) -> Message | RpcError:
    try:
        return _message(value)
    except RpcError as error:
        return error


def _is_id(value: Any) -> bool:
    return type(value) in (str, int)  # not isinstance: True is an int


def _invalid(message: str, id: Id | None = None) -> RpcError:
    return RpcError(INVALID_REQUEST, message, id=id, status=HTTPStatus.BAD_REQUEST)
