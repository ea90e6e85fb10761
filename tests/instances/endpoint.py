"""Calling an instance's endpoint as an MCP client does, in process."""

from __future__ import annotations

from contextvars import Context
from typing import Any
from uuid import UUID

from flask import Flask

from mcpweb.instances.house import house
from tests.waiting import until


def call(app: Flask, instance_id: UUID | str, token: str, tool: str = "get_me", **arguments: Any) -> tuple[int, Any]:
    """The HTTP status and the JSON-RPC answer of calling a tool."""
    answer = Context().run(
        app.test_client().post,
        f"/mcp/{instance_id}",
        json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}},
        headers={
            "Authorization": f"Bearer {token}",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2025-11-25",
        },
    )
    return answer.status_code, answer.get_json(silent=True)


def works(app: Flask, instance_id: UUID | str, token: str) -> bool:
    """Whether the token opens the endpoint and the call behind it succeeds."""
    status, answer = call(app, instance_id, token)
    return status == 200 and not answer["result"].get("isError")


def works_from_memory(app: Flask, instance_id: UUID | str, token: str) -> bool:
    """Whether a call works without the database, once this host hears of changes: what is stale would be believed."""
    here = house()
    here.propagation.ensure_listening()
    until(lambda: here.propagation.generations.is_trusted, "this host hears of changes")

    def is_remembered() -> bool:
        before = here.access.stats.hits
        return works(app, instance_id, token) and here.access.stats.hits > before

    return any(is_remembered() for _ in range(5))  # often identical calls would be refused
