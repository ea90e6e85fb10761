"""In the place of the outgoing client: gives the answers that a test has prepared, and keeps what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from mcpweb.catalog.outgoing import Destinations, OutgoingError, Reply


@dataclass
class Sent:
    """One request."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    to: Destinations
    total_timeout_s: float
    max_bytes: int | None
    whose: int = 0


@dataclass
class Upstreams:
    """Answers each request with the next of `replies`, the last one again and again; an error is raised."""

    replies: list[Reply | OutgoingError] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)

    def request(self, method: str, url: str, *, to: Destinations, **options: Any) -> Reply:
        """As `Outgoing.request`."""
        self.sent.append(Sent(method, url, options.pop("headers"), options.pop("body"), to, **options))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, OutgoingError):
            raise reply
        return reply


def reply(status: int = 200, body: Any = None, **headers: str) -> Reply:
    """An answer; `_` in a header's name stands for `-`."""
    encoded = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, encoded)
