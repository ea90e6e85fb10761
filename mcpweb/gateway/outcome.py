"""How a tool ended, as the result that the client gets and the record that the owner finds."""

from __future__ import annotations

import logging
from typing import Any

from mcpweb import shortage
from mcpweb.catalog.refusals import UpstreamError
from mcpweb.catalog.results import InputRequired, ToolError
from mcpweb.gateway import content, rounds
from mcpweb.gateway.content import TooMuch
from mcpweb.gateway.exchange import Exchange
from mcpweb.gateway.record import Outcome

log = logging.getLogger(__name__)

_MAX_SENTENCE_CHARS = 10_000
_MAX_NOTED_CHARS = 500


def returned(exchange: Exchange, value: Any) -> dict[str, Any]:
    """The result of a tool that returned `value`."""
    try:
        result = content.of_value(value, exchange.revision)
    except Exception as error:  # what a plugin returns may break in any way while it is encoded
        return raised(exchange, error)
    if "isError" in result:
        exchange.record.outcome = "tool_error"
    return exchange.complete(result)


def raised(exchange: Exchange, error: BaseException) -> dict[str, Any]:
    """The result of a tool that raised `error`; call it while the error is being handled.

    Raises:
        RpcError: the tool asks the client for something that it can not give, or this process is short of descriptors.
    """
    if shortage.is_cause(error):
        raise shortage.refusal() from None
    if isinstance(error, UpstreamError):
        exchange.record.refusal = error.kind
        if error.kind == "unavailable":  # neither ours nor the caller's to mend
            return refused(exchange, str(error), outcome="unavailable")
    if isinstance(error, ToolError | UpstreamError | TooMuch):
        return refused(exchange, str(error))
    if isinstance(error, InputRequired):
        if exchange.modern:
            return rounds.ask(exchange, error)
        return refused(exchange, "This tool has questions that only a client for MCP 2026-07-28 can answer.")
    log.error("tool failed", exc_info=error, extra={"tool": exchange.record.tool})
    sentence = f"The tool failed in an unexpected way. The operator finds why under {exchange.record.request_id}."
    return refused(exchange, sentence, outcome="error", noted=type(error).__name__)


def refused(exchange: Exchange, sentence: str, *, outcome: Outcome = "tool_error", noted: str = "") -> dict[str, Any]:
    """A result that says what is wrong, for the model to act on; `noted` is what the record keeps instead."""
    exchange.record.outcome = outcome
    exchange.record.error = (noted or sentence)[:_MAX_NOTED_CHARS]
    block = content.text_block(sentence[:_MAX_SENTENCE_CHARS])
    return exchange.complete({"content": [block], "isError": True})
