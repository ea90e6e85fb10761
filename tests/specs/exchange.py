"""What the spec server's parts hand each other: a request that was understood, and an answer to send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.specs.document import Operation

Transport = Literal["plain", "hang", "reset", "drip", "truncate"]


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as the server saw it. `path` is still percent-encoded and without the server's prefix."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    json: Any = None
    operation: Operation | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    undeclared: tuple[str, ...] = ()

    @property
    def operation_id(self) -> str | None:
        """The official name of what was asked for; None when the document knows no such path."""
        return self.operation.id if self.operation else None


@dataclass(slots=True)
class Answer:
    """What to send: `body` bytes go out as they are, anything else as JSON, None as no body at all."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    media: str = "application/json; charset=utf-8"
    transport: Transport = "plain"
    delay_s: float = 0.0
