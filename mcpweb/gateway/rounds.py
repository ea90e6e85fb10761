"""Results in several rounds: a tool, prompt or resource asks the client first (MCP 2026-07-28, MRTR)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson

from mcpweb.catalog.results import Call, InputRequired
from mcpweb.gateway.exchange import Exchange
from mcpweb.gateway.revisions import CAPABILITIES
from mcpweb.gateway.state import BadState
from mcpweb.jsonrpc import INVALID_PARAMS, MISSING_CAPABILITY, RpcError

_NEEDED = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}
"""The client's capability that each request to it needs; no other request may be sent."""

_ROUND_ONLY = frozenset({"_meta", "inputResponses", "requestState"})
"""Parameters that differ from round to round; the rest must stay as it was."""


def call_of(exchange: Exchange) -> Call:
    """What the client said around the arguments: nothing, in revisions with a handshake.

    Raises:
        RpcError: malformed answers, or a state that we did not give out for this request.
    """
    if not exchange.modern:
        return Call()
    params = exchange.request.params
    return Call(
        client_capabilities=exchange.meta[CAPABILITIES],
        input_responses=_responses(params["inputResponses"]) if "inputResponses" in params else {},
        request_state=_state(exchange, params["requestState"]) if "requestState" in params else None,
    )


def ask(exchange: Exchange, need: InputRequired) -> dict[str, Any]:
    """The unfinished result that carries the questions to the client; for 2026-07-28 only.

    Raises:
        RpcError: MISSING_CAPABILITY with status 400 when the client did not declare what a question needs.
    """
    declared = exchange.meta[CAPABILITIES]
    needed = [_NEEDED[str(question["method"])] for question in need.requests.values()]
    missing: dict[str, Any] = {name: {} for name in needed if not isinstance(declared.get(name), dict)}
    if missing:
        raise RpcError(
            MISSING_CAPABILITY,
            f"This needs a client that declares: {', '.join(missing)}.",
            data={"requiredCapabilities": missing},
            status=HTTPStatus.BAD_REQUEST,
        )
    result: dict[str, Any] = {"resultType": "input_required", "_meta": exchange.offer.meta}
    if need.requests:
        result["inputRequests"] = need.requests
    if need.state is not None or not need.requests:
        result["requestState"] = exchange.visit.shared.seal.close(need.state, _bound_to(exchange))
    return result


def _responses(value: Any) -> Mapping[str, Any]:
    if not (isinstance(value, dict) and all(isinstance(answer, dict) for answer in value.values())):
        raise RpcError(INVALID_PARAMS, '"inputResponses" must be an object of objects.')
    return value


def _state(exchange: Exchange, text: Any) -> Any:
    if not isinstance(text, str):
        raise RpcError(INVALID_PARAMS, '"requestState" must be a text.')
    try:
        return exchange.visit.shared.seal.open(text, _bound_to(exchange))
    except BadState as error:
        raise RpcError(INVALID_PARAMS, f'"requestState" can not be used: {error}.') from None


def _bound_to(exchange: Exchange) -> bytes:
    """Instance, owner, method and parameters: a state is good for the very request it was made for."""
    access = exchange.visit.access
    params = {name: value for name, value in exchange.request.params.items() if name not in _ROUND_ONLY}
    try:
        return orjson.dumps(
            [str(access.instance_id), access.owner_id, exchange.request.method, params], option=orjson.OPT_SORT_KEYS
        )
    except TypeError:
        raise RpcError(INVALID_PARAMS, "The parameters are nested too deeply.") from None
