"""What a tool may give back, report on its way, or ask for: the vocabulary between plugins and the gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

LogLevel = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]


@dataclass(frozen=True, slots=True)
class Result:
    """A tool result made of MCP content blocks, for what plain text can not say (images, several blocks)."""

    content: Sequence[Mapping[str, Any]]
    is_error: bool = False
    structured: Any = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Yielded by a streaming tool: `done` of `total` units; must grow from one to the next (MCP, Progress)."""

    done: float
    total: float | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class LogMessage:
    """Yielded by a streaming tool: a line for the client's log (MCP, Logging)."""

    level: LogLevel
    data: Any


@dataclass(frozen=True, slots=True)
class Call:
    """What the client said around the arguments: its capabilities, and its answers to an `InputRequired`."""

    client_capabilities: Mapping[str, Any] = field(default_factory=dict)
    input_responses: Mapping[str, Any] = field(default_factory=dict)
    request_state: Any = None


class InputRequired(Exception):
    """Raised by a tool that needs the client's answers first (MCP 2026-07-28, multi-round tool results).

    `requests` maps a key of the tool's choice to `{"method": ..., "params": ...}`; `state` is any JSON value
    that the tool gets back, untampered, as `Call.request_state`.
    """

    def __init__(self, requests: Mapping[str, Mapping[str, Any]] | None = None, state: Any = None) -> None:
        super().__init__("the tool needs the client's input")
        self.requests = requests or {}
        self.state = state


class ToolError(Exception):
    """A tool can not do what was asked. The text goes to the model: say what is wrong and what would work."""
