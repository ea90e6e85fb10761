"""Prompts and resources: what a client inserts or reads without calling a tool."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import orjson

from mcpweb.catalog.content import Prompt, Resource, ResourceTemplate
from mcpweb.catalog.refusals import UpstreamError
from mcpweb.catalog.results import InputRequired, ToolError
from mcpweb.gateway import content, rounds
from mcpweb.gateway.exchange import Closed, Exchange
from mcpweb.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, RESOURCE_NOT_FOUND, SWITCHED_OFF, RpcError

log = logging.getLogger(__name__)

_MAX_URI_CHARS = 2000
"""Matching a longer one against a template could take long."""

Item = Prompt | Resource | ResourceTemplate


def get_prompt(exchange: Exchange) -> dict[str, Any]:
    """Answer `prompts/get`.

    Raises:
        RpcError: no such prompt, arguments that it does not take, or it failed.
    """
    name = exchange.text("name")
    exchange.record.tool = name[:100]
    prompt = exchange.offer.service.prompts.get(name)
    if prompt is None:
        raise RpcError(INVALID_PARAMS, f"There is no prompt named {name[:100]!r} here.")
    arguments = _prompt_arguments(exchange, prompt)
    try:
        return _run(exchange, prompt, arguments, lambda value: _messages(prompt, value))
    except ToolError as error:
        raise RpcError(INVALID_PARAMS, str(error)) from None


def read_resource(exchange: Exchange) -> dict[str, Any]:
    """Answer `resources/read`.

    Raises:
        RpcError: no such resource, or it can not be read.
    """
    uri = exchange.text("uri")
    exchange.record.tool = uri[:100]
    try:
        item, variables = _find(exchange, uri)
        return _run(exchange, item, variables, lambda value: _contents(exchange, uri, item.mime_type, value))
    except ToolError as error:
        code = INVALID_PARAMS if exchange.modern else RESOURCE_NOT_FOUND
        raise RpcError(code, str(error), data={"uri": uri[:_MAX_URI_CHARS]}) from None


def _prompt_arguments(exchange: Exchange, prompt: Prompt) -> dict[str, str]:
    arguments = exchange.table("arguments")
    known = {argument.name for argument in prompt.arguments}
    for name, value in arguments.items():
        if name not in known or not isinstance(value, str):
            raise RpcError(INVALID_PARAMS, f"The prompt takes no such argument, or it is no text: {name[:100]!r}.")
    for argument in prompt.arguments:
        if argument.required and argument.name not in arguments:
            raise RpcError(INVALID_PARAMS, f"The prompt needs the argument {argument.name!r}.")
    return arguments


def _find(exchange: Exchange, uri: str) -> tuple[Resource | ResourceTemplate, dict[str, str]]:
    if fixed := exchange.offer.resources.get(uri):
        return fixed, {}
    for template in exchange.offer.service.resource_templates if len(uri) <= _MAX_URI_CHARS else ():
        variables = template.match(uri)
        if variables is not None:
            return template, variables
    raise ToolError("There is no such resource.")


def _run(
    exchange: Exchange, item: Item, arguments: dict[str, str], shape: Callable[[Any], dict[str, Any]]
) -> dict[str, Any]:
    """Run the function behind `item` in one of the slots.

    Raises:
        ToolError: there is no such thing.
        RpcError: anything else that went wrong.
    """
    exchange.count_call()
    slots, owner_id = exchange.visit.shared.slots, exchange.visit.access.owner_id
    slots.take(owner_id)
    try:
        call = (rounds.call_of(exchange),) if item.wants_call else ()
        return exchange.complete(_sendable(shape(item.run(exchange.open_api(), *call, **arguments))))
    except (ToolError, RpcError):
        raise
    except InputRequired as need:
        if exchange.modern:
            return rounds.ask(exchange, need)
        raise RpcError(INTERNAL_ERROR, "This has questions that only a client for MCP 2026-07-28 can answer.") from None
    except BaseException as error:  # a plugin may raise anything, SystemExit too, and must not end the worker
        raise _failure(exchange, error) from None
    finally:
        slots.give_back(owner_id)


def _failure(exchange: Exchange, error: BaseException) -> Exception:
    match error:
        case Closed():
            return RpcError(SWITCHED_OFF, str(error))
        case UpstreamError(kind="not_found"):
            return ToolError(str(error))
        case UpstreamError():
            return RpcError(INTERNAL_ERROR, str(error))
    log.error("prompt or resource failed", exc_info=error, extra={"item": exchange.record.tool})
    return RpcError(INTERNAL_ERROR, f"This failed in an unexpected way. See {exchange.record.request_id} in the logs.")


def _messages(prompt: Prompt, value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        value = [{"role": "user", "content": content.text_block(value)}]
    return {"description": prompt.description, "messages": value}


def _contents(exchange: Exchange, uri: str, mime_type: str, value: Any) -> dict[str, Any]:
    body = {"uri": uri, "mimeType": mime_type}
    if isinstance(value, bytes):
        body["blob"] = b64encode(value).decode()
    else:
        body["text"] = content.sendable(value if isinstance(value, str) else orjson.dumps(value).decode())
    result: dict[str, Any] = {"contents": [body]}
    if exchange.modern:
        result |= {"ttlMs": 0, "cacheScope": "private"}
    return result


def _sendable(result: dict[str, Any]) -> dict[str, Any]:
    """The result, once it is known that it has a JSON form of a bearable size; else it is the plugin's failure."""
    if len(orjson.dumps(result)) > content.MAX_CONTENT_BYTES:
        raise RpcError(INTERNAL_ERROR, "The content is larger than this endpoint passes on.")
    return result
