"""What is kept of a call: one flat record for each JSON-RPC message, or for a request that never got so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from mcpweb.jsonrpc import BUSY, INTERNAL_ERROR, LIMITED, SWITCHED_OFF, RpcError

Outcome = Literal["ok", "tool_error", "unavailable", "refused", "limited", "rejected", "error"]
"""ok: answered. tool_error: the tool answered that it could not. unavailable: the service is away, which is neither our
fault nor the caller's. refused: not let in, or not allowed to. limited: too many calls. rejected: bad input. error: a
bug, here or in a plugin."""


@dataclass(slots=True)
class CallRecord:
    """One call as the logs keep it. Never holds results or a whole token, and arguments only where the owner wants it.

    `user_id` is None when the token did not open the instance; `instance_id` is then only what the address said.
    `method` and `tool` are what the client sent, cut to 100 characters.
    """

    request_id: str
    ip: str
    agent: str
    instance_id: UUID | None = None
    user_id: int | None = None
    trace_id: str = ""
    """Of the trace that the caller says it belongs to."""
    service: str = ""
    token_tail: str = ""
    """The last four characters of the token."""
    token_id: int | None = None
    cache: Literal["", "hit", "miss"] = ""
    method: str = ""
    tool: str = ""
    arguments: Mapping[str, Any] | None = field(default=None, repr=False)
    """What the tool was called with; the log line blacks out what looks like a secret, and cuts what is long."""
    protocol_version: str = ""
    client: str = ""
    """Name and version from clientInfo, where the client sends it."""
    outcome: Outcome = "ok"
    http_status: int = 200
    rpc_code: int | None = None
    error: str = ""
    refusal: str = ""
    """What the service meant by refusing the call: the kind of its `UpstreamError`."""
    duration_ms: float = 0.0
    upstream_ms: float = 0.0
    upstream_requests: int = 0

    def fail(self, failure: RpcError) -> None:
        """Note the error that the message is answered with."""
        self.rpc_code = failure.code
        self.error = str(failure)
        self.outcome = _OUTCOMES.get(failure.code, "rejected")


_OUTCOMES: dict[int, Outcome] = {
    INTERNAL_ERROR: "error",
    BUSY: "refused",
    SWITCHED_OFF: "refused",
    LIMITED: "limited",
}
