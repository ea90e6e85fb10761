"""What clients and browsers send, as bytes."""

from __future__ import annotations

import json
from typing import Any

KINDS = {"call": 80, "tools": 8, "open": 4, "instances": 4, "instance": 2, "logs": 2}
"""Of a hundred requests."""
HOST = "127.0.0.1"
ANSWERS = {
    "call": b"The gate does not close",
    "tools": b'"inputSchema"',
    "open": b'"protocolVersion"',
    "instances": b"</html>",
    "instance": b"</html>",
    "logs": b"</html>",
    "hanging": b"does not come",
}
"""What a good answer holds."""
PAGES = {"instances": "/instances", "instance": "/instances/{}", "logs": "/instances/{}/logs"}
_ISSUE = {"name": "get_issue", "arguments": {"owner": "alice", "repo": "garden", "issue_number": 7}}
_FILE = {"name": "get_file", "arguments": {"file": "abcdefghijklmnopqrstuv"}}
_HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1.0"},
}
_METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "call": ("tools/call", _ISSUE),
    "hanging": ("tools/call", _FILE),
    "tools": ("tools/list", {}),
    "open": ("initialize", _HELLO),
}


def request(kind: str, endpoint: tuple[str, str], person: tuple[str, str]) -> bytes:
    """One request: of an endpoint (id, token), or of a page for a signed-in person (cookie, instance id).

    Who hangs is a person of another service, (id, token).
    """
    if kind in PAGES:
        lines = [f"GET {PAGES[kind].format(person[1])} HTTP/1.1", f"Host: {HOST}", f"Cookie: {person[0]}"]
        return "\r\n".join([*lines, "User-Agent: bench/1.0", "", ""]).encode()
    instance, token = person if kind == "hanging" else endpoint
    method, params = _METHODS[kind]
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    lines = [
        f"POST /mcp/{instance} HTTP/1.1",
        f"Host: {HOST}",
        f"Authorization: Bearer {token}",
        "Accept: application/json, text/event-stream",
        "Content-Type: application/json",
        "MCP-Protocol-Version: 2025-11-25",
        "User-Agent: bench/1.0",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", body]).encode()
