"""Which method is answered by which function, in which revisions, and for which services."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from mcpweb.gateway import calling, completion, reading, revisions, streaming
from mcpweb.gateway.exchange import Exchange
from mcpweb.jsonrpc import INVALID_PARAMS, METHOD_NOT_FOUND, RpcError


class Method(NamedTuple):
    """What answers a method, and the capability that a service must have for it."""

    answer: Callable[[Exchange], Any]
    capability: str | None = None


def answer(exchange: Exchange) -> Any:
    """The result of the request: a dict, an encoded fragment, or an event stream.

    Raises:
        RpcError: the request can not be answered; METHOD_NOT_FOUND with status 404 in 2026-07-28.
    """
    table = _MODERN if exchange.modern else _LEGACY
    method = table.get(exchange.request.method)
    if method is None or (method.capability is not None and method.capability not in exchange.offer.capabilities):
        raise RpcError(
            METHOD_NOT_FOUND,
            f"There is no method {exchange.request.method[:100]!r} here.",
            status=HTTPStatus.NOT_FOUND if exchange.modern else HTTPStatus.OK,
        )
    return method.answer(exchange)


def _initialize(exchange: Exchange) -> dict[str, Any]:
    exchange.note_client(exchange.request.params.get("clientInfo"))
    offer = exchange.offer
    version = revisions.negotiate(exchange.text("protocolVersion"))
    return {"protocolVersion": version, "capabilities": offer.capabilities, "serverInfo": offer.server_info}


def _discover(exchange: Exchange) -> Any:
    return exchange.offer.discovery()


def _list(exchange: Exchange) -> Any:
    if exchange.request.params.get("cursor") is not None:
        raise RpcError(INVALID_PARAMS, "There is no such page; every list here has one page.")
    return exchange.offer.listing(exchange.request.method, exchange.modern, exchange.visit.access.tool_names)


def _ping(_: Exchange) -> dict[str, Any]:
    return {}


def _set_level(exchange: Exchange) -> dict[str, Any]:
    """Agree, and go on sending all levels: without a session there is nowhere to keep one."""
    if exchange.request.params.get("level") not in streaming.LEVELS:
        raise RpcError(INVALID_PARAMS, f"The level is one of {', '.join(streaming.LEVELS)}.")
    return {}


_ALL: Mapping[str, Method] = {
    "tools/list": Method(_list, "tools"),
    "tools/call": Method(calling.call_tool, "tools"),
    "prompts/list": Method(_list, "prompts"),
    "prompts/get": Method(reading.get_prompt, "prompts"),
    "resources/list": Method(_list, "resources"),
    "resources/templates/list": Method(_list, "resources"),
    "resources/read": Method(reading.read_resource, "resources"),
    "completion/complete": Method(completion.complete, "completions"),
}
_LEGACY: Mapping[str, Method] = {
    **_ALL,
    "initialize": Method(_initialize),
    "ping": Method(_ping),
    "logging/setLevel": Method(_set_level, "logging"),
}
_MODERN: Mapping[str, Method] = {**_ALL, "server/discover": Method(_discover)}
