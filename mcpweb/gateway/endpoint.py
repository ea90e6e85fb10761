"""The endpoint: one HTTP request in, one answer out, in the order of steps that MCP's transport asks for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import UUID

from mcpweb import clock, shortage
from mcpweb.catalog.outgoing import Outgoing
from mcpweb.crypto import KeyUnusable
from mcpweb.errors import AppError
from mcpweb.gateway import answers, dialogue, entrance
from mcpweb.gateway.answers import Answer
from mcpweb.gateway.doors import Environ, StartResponse
from mcpweb.gateway.exchange import Shared
from mcpweb.gateway.limits import Limits
from mcpweb.gateway.record import CallRecord
from mcpweb.gateway.slots import Slots
from mcpweb.gateway.state import Seal
from mcpweb.gateway.streaming import EventStream
from mcpweb.instances.access import Unauthorized
from mcpweb.instances.access_cache import AccessCache
from mcpweb.jsonrpc import INTERNAL_ERROR, RpcError
from mcpweb.logs import context, traces

log = logging.getLogger(__name__)


class Endpoint:
    """Answers MCP for every instance. All threads share one; it keeps nothing of a request."""

    def __init__(
        self,
        *,
        access: AccessCache,
        client: Outgoing,
        record: Callable[[CallRecord], None],
        server_info: Mapping[str, Any],
        page_url: Callable[[UUID], str],
        state_key: bytes,
        max_concurrent: int,
        max_concurrent_per_user: int = 0,
        limits: Limits | None = None,
        allowed_origins: Collection[str] = (),
        loopback_origins: bool = False,
    ) -> None:
        """`page_url` gives the address of an instance's page; `state_key` is secret and the same in every process.

        `record` is called at the end of every HTTP request, once for each message of a batch. `server_info` is MCP's
        Implementation, name and version at least. At most `max_concurrent` plugin functions run at once, and of one
        user `max_concurrent_per_user`, or as many with 0. Without `limits`, instances call as often as they like.
        """
        slots = Slots(max_concurrent, max_concurrent_per_user)
        self._shared = Shared(access, client, server_info, page_url, Seal(state_key), slots, limits or Limits())
        self._record = record
        self._origins = entrance.Origins(frozenset(allowed_origins), loopback_origins)

    def __call__(
        self, environ: Environ, start_response: StartResponse, instance_id: UUID | None, service: str | None
    ) -> Iterable[bytes]:
        """Answer one HTTP request for an instance, which must be one of `service` where that is given.

        A stream and its record end when the server closes the body (PEP 3333).
        """
        started = clock.monotonic()
        ip, agent = environ.get("REMOTE_ADDR", ""), environ.get("HTTP_USER_AGENT", "")[:300]
        trace = traces.fields(environ.get("HTTP_TRACEPARENT", ""))
        records = [CallRecord(context.new_request_id(), ip, agent, instance_id)]
        records[0].trace_id = trace.get("trace_id", "")
        context.set_fields(request_id=records[0].request_id, ip=ip, instance=str(instance_id or ""), **trace)
        answer = self._answer(environ, instance_id, service, records)
        finish = partial(self._finish, records, answer.status, started)
        if isinstance(answer.body, EventStream):
            answer.body.on_close.append(finish)
        else:
            finish()
        start_response(answers.STATUS_LINES[answer.status], answer.headers)
        return answer.body if environ["REQUEST_METHOD"] != "HEAD" else ()

    def _answer(
        self, environ: Environ, instance_id: UUID | None, service: str | None, records: list[CallRecord]
    ) -> Answer:
        """The answer, whatever happens; what was refused is noted in the first record."""
        try:
            try:
                self._origins.check(environ)
                visit = entrance.let_in(self._shared, environ, instance_id, service, records[0])
                body = entrance.read_body(environ)
            except Exception:
                entrance.drain(environ)
                raise
            return dialogue.answer(visit, body, records)
        except Unauthorized:
            records[0].outcome, records[0].error = "refused", "The token does not open this instance."
            return answers.unauthorized()
        except RpcError as error:
            failure = error
        except KeyUnusable:  # this server's keys are not those that it was stored with
            log.error("a stored credential can not be read")
            failure = _unreadable(self._shared.page_url, instance_id)
        except shortage.Busy:
            failure = shortage.refusal()
        except AppError as error:  # the database, for instance; never go on without having asked it
            failure = RpcError(INTERNAL_ERROR, error.sentence, status=HTTPStatus.SERVICE_UNAVAILABLE)
        except Exception as error:
            log.exception("endpoint failed")
            failure = RpcError(INTERNAL_ERROR, "Something failed here.", status=HTTPStatus.SERVICE_UNAVAILABLE)
            if shortage.is_cause(error):
                failure = shortage.refusal()
        records[0].fail(failure)
        return answers.failure(failure)

    def _finish(self, records: list[CallRecord], status: int, started: float) -> None:
        for record in records:
            record.http_status = int(status)
            record.duration_ms = record.duration_ms or (clock.monotonic() - started) * 1000
            try:
                self._record(record)
            except Exception:  # a full disk must not turn an answer into a failure
                log.exception("call not recorded")


def _unreadable(page_url: Callable[[UUID], str], instance_id: UUID | None) -> RpcError:
    where = f": {page_url(instance_id)}" if instance_id else "."
    sentence = f"The stored key of this connection can not be read here. Its owner can enter it again{where}"
    return RpcError(INTERNAL_ERROR, sentence, status=HTTPStatus.SERVICE_UNAVAILABLE)
