"""One tool call, from its parameters to its result."""

from __future__ import annotations

from functools import partial
from typing import Any

from mcpweb.gateway import mirrors, outcome, rounds
from mcpweb.gateway.exchange import Closed, Exchange
from mcpweb.gateway.offer import OfferedTool
from mcpweb.gateway.streaming import EventStream, Steps
from mcpweb.jsonrpc import INVALID_PARAMS, RpcError

Answered = dict[str, Any] | EventStream
"""A result, or the stream that ends in one."""


def call_tool(exchange: Exchange) -> Answered:
    """Answer `tools/call`: a result, which may say that the tool could not, or an event stream that ends in one.

    Raises:
        RpcError: no such tool, malformed parameters or headers, no free slot, no calls left, a capability that the
            client lacks.
        Unauthorized: the token was revoked meanwhile.
    """
    name = exchange.text("name")
    exchange.record.tool = name[:100]
    if exchange.visit.access.keeps_arguments:
        exchange.record.arguments = exchange.table("arguments")
    try:
        exchange.check_open()
        if sentence := _circle(exchange, name):
            return outcome.refused(exchange, sentence, outcome="limited")
        exchange.count_call()
        offered = _find(exchange, name)
        arguments = offered.arguments.tidy(_checked_headers(exchange, offered))
        if problem := offered.arguments.problem(arguments):
            return outcome.refused(exchange, problem)
        return _in_slot(exchange, offered, arguments)
    except Closed as closed:
        return outcome.refused(exchange, str(closed), outcome="refused")


def _circle(exchange: Exchange, name: str) -> str | None:
    # Before the arguments are checked: a wrong call over and over is a circle, too.
    visit = exchange.visit
    return visit.shared.limits.repeated(visit.access.instance_id, name[:100], exchange.request.params)


def _find(exchange: Exchange, name: str) -> OfferedTool:
    offered = exchange.offer.tools.get(name)
    if offered is None:
        raise RpcError(INVALID_PARAMS, f"There is no tool named {name[:100]!r} here.")
    enabled = exchange.visit.access.tool_names
    if enabled is not None and name not in enabled:
        raise RpcError(INVALID_PARAMS, f"The tool {name} is not switched on for this connection.")
    return offered


def _checked_headers(exchange: Exchange, offered: OfferedTool) -> dict[str, Any]:
    arguments = exchange.table("arguments")
    if exchange.modern and offered.arguments.mirrors:
        mirrors.check_arguments(exchange.visit.environ, offered.arguments.mirrors, arguments)
    return arguments


def _in_slot(exchange: Exchange, offered: OfferedTool, arguments: dict[str, Any]) -> Answered:
    """Run the tool in one of the process's slots; a stream keeps its slot until it is closed."""
    slots = exchange.visit.shared.slots
    owner_id = exchange.visit.access.owner_id
    slots.take(owner_id)
    answer = None
    try:
        answer = _run(exchange, offered, arguments)
        return answer
    finally:
        if isinstance(answer, EventStream):
            answer.on_close.append(partial(slots.give_back, owner_id))
        else:
            slots.give_back(owner_id)


def _run(exchange: Exchange, offered: OfferedTool, arguments: dict[str, Any]) -> Answered:
    tool = offered.tool
    call = (rounds.call_of(exchange),) if tool.wants_call else ()
    api = exchange.open_api()
    _find(exchange, tool.name)  # the owner may have switched this tool off since
    try:
        if tool.streams:
            return _stream(exchange, Steps(exchange, tool.run(api, *call, **arguments)))
        value = tool.run(api, *call, **arguments)
    except RpcError:
        raise
    except BaseException as error:  # a plugin may raise anything, SystemExit too, and must not end the worker
        return outcome.raised(exchange, error)
    return outcome.returned(exchange, value)


def _stream(exchange: Exchange, steps: Steps) -> Answered:
    """The stream, once there is a first notification: a tool that ends before is answered plainly."""
    if not steps.heard:
        return steps.finish()
    first = steps.advance()
    return steps.result if first is None else EventStream(exchange, steps, first)
