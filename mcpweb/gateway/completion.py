"""Proposals for the arguments of prompts and resource templates (MCP, Completion)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from mcpweb.catalog.content import Complete
from mcpweb.gateway.exchange import Exchange
from mcpweb.jsonrpc import INVALID_PARAMS, RpcError

log = logging.getLogger(__name__)

_MAX_VALUES = 100
"""MCP allows no more in one answer."""


def complete(exchange: Exchange) -> dict[str, Any]:
    """Answer `completion/complete`; with no values where a plugin proposes none.

    Raises:
        RpcError: malformed, or about a prompt or template that the service does not have.
    """
    argument = exchange.table("argument")
    name, typed = argument.get("name"), argument.get("value")
    if not (isinstance(name, str) and isinstance(typed, str)):
        raise RpcError(INVALID_PARAMS, '"argument" needs the texts "name" and "value".')
    chosen = exchange.table("context").get("arguments")
    chosen = chosen if isinstance(chosen, dict) else {}
    propose = _proposers(exchange, exchange.table("ref")).get(name)
    try:
        values = [str(value) for value in propose(typed, chosen)] if propose else []
    except BaseException:  # a plugin may raise anything; a missing proposal harms nobody
        log.exception("completion failed")
        values = []
    some = values[:_MAX_VALUES]
    return exchange.complete({"completion": {"values": some, "total": len(values), "hasMore": len(values) > len(some)}})


def _proposers(exchange: Exchange, ref: Mapping[str, Any]) -> Mapping[str, Complete]:
    service = exchange.offer.service
    match ref:
        case {"type": "ref/prompt", "name": str(name)} if name in service.prompts:
            return service.prompts[name].complete
        case {"type": "ref/resource", "uri": str(uri)}:
            for template in service.resource_templates:
                if template.uri_template == uri:
                    return template.complete
            if uri in exchange.offer.resources:
                return {}
    raise RpcError(INVALID_PARAMS, '"ref" names no prompt and no resource template of this service.')
