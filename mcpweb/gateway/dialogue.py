"""A body that was let in: its messages, each answered in its own revision."""

from __future__ import annotations

import logging
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from mcpweb import clock, jsonrpc, shortage
from mcpweb.errors import AppError
from mcpweb.gateway import answers, methods, revisions
from mcpweb.gateway.answers import Answer
from mcpweb.gateway.exchange import Exchange, Visit
from mcpweb.gateway.record import CallRecord
from mcpweb.gateway.streaming import EventStream
from mcpweb.instances.access import Unauthorized
from mcpweb.jsonrpc import BUSY, INTERNAL_ERROR, INVALID_REQUEST, Message, Notification, Request, Response, RpcError

log = logging.getLogger(__name__)

_BATCH_S = 25.0
"""After so long no further message of a batch is begun; each call may take as much by itself."""


def answer(visit: Visit, body: bytes, records: list[CallRecord]) -> Answer:
    """The answer to everything in `body`.

    `records` holds one record for the visit, which gets filled; a batch puts one for each of its messages instead.

    Raises:
        RpcError: no request was found to answer.
        Unauthorized: the token was revoked while this ran.
        AppError: something that we need is not available.
    """
    message = jsonrpc.parse(body)
    if isinstance(message, list):
        return _batch(visit, message, records)
    return _single(visit, message, records[0])


def _single(visit: Visit, message: Message, record: CallRecord) -> Answer:
    if not isinstance(message, Request):
        _take_note(visit, message, record)
        return answers.accepted()
    try:
        result = _result(visit, message, record)
    except RpcError as error:
        record.fail(error)
        return answers.failure(error, message.id)
    if isinstance(result, EventStream):
        return answers.events(result)
    return answers.json(jsonrpc.result(message.id, result))


def _take_note(visit: Visit, message: Notification | Response, record: CallRecord) -> None:
    """Accept what wants no answer, in a revision that has it."""
    version = revisions.of_header(visit.environ)
    record.protocol_version = version
    if isinstance(message, Notification):
        record.method = message.method[:100]
    elif version == revisions.MODERN:
        raise RpcError(INVALID_REQUEST, "Nothing was asked that this could answer.", status=HTTPStatus.BAD_REQUEST)


def _result(visit: Visit, request: Request, record: CallRecord) -> Any:
    """The result of one request, ready to encode.

    Raises:
        RpcError: also for what nobody foresaw, which is logged.
    """
    record.method = request.method[:100]
    exchange = Exchange(
        visit,
        request,
        revisions.of_request(visit.environ, request),
        visit.shared.offer_of(visit.access.service),
        record,
    )
    exchange.note_caller()
    try:
        return methods.answer(exchange)
    except (RpcError, Unauthorized, AppError):
        raise
    except Exception as error:
        if shortage.is_cause(error):
            raise shortage.refusal() from error
        log.exception("request failed")
        raise RpcError(INTERNAL_ERROR, f"This failed in an unexpected way ({record.request_id}).") from error
    finally:
        exchange.note_upstream()


def _batch(visit: Visit, messages: list[Message | RpcError], records: list[CallRecord]) -> Answer:
    """Answer the messages in turn (2025-03-26); one failing does not stop the others."""
    if revisions.of_header(visit.environ) not in ("", revisions.BATCHES):
        raise RpcError(INVALID_REQUEST, "This revision has no batches.", status=HTTPStatus.BAD_REQUEST)
    visit.takes_stream = False
    blank = records.pop()
    bodies = []
    end = clock.monotonic() + _BATCH_S
    for message in messages:
        if isinstance(message, Request) and clock.monotonic() > end:
            message = RpcError(BUSY, "The batch took too long. Send what is left again.", id=message.id)
        records.append(replace(blank))
        if (part := _part(visit, message, records[-1])) is not None:
            bodies.append(part)
    return answers.json(b"[" + b",".join(bodies) + b"]") if bodies else answers.accepted()


def _part(visit: Visit, message: Message | RpcError, record: CallRecord) -> bytes | None:
    """The encoded answer to one message of a batch; None for one that wants none."""
    started = clock.monotonic()
    try:
        if isinstance(message, RpcError):
            raise message
        if not isinstance(message, Request):
            _take_note(visit, message, record)
            return None
        if message.method == "initialize":
            record.method = message.method
            raise RpcError(INVALID_REQUEST, "initialize may not be part of a batch.", id=message.id)
        return jsonrpc.result(message.id, _result(visit, message, record))
    except RpcError as error:
        record.fail(error)
        return jsonrpc.error(error, message.id if isinstance(message, Request) else None)
    finally:
        record.duration_ms = (clock.monotonic() - started) * 1000
