"""What the pages of an instance's calls show: lines and counts turned into what the templates expect."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from mcpweb.instances import usage as counted
from mcpweb.instances.log_filter import OUTCOMES, RANGES, LogFilter
from mcpweb.instances.models import Instance
from mcpweb.logs.index import Found

CSV_COLUMNS = (
    "time", "tool", "method", "outcome", "error", "duration_ms", "upstream_ms", "client", "agent", "ip", "token_tail",
    "http_status", "rpc_code", "cache", "protocol_version", "request_id", "arguments",
)  # fmt: skip

_FACTS = {
    "error": "Said",
    "method": "Method",
    "client": "Client",
    "agent": "Program",
    "ip": "Address",
    "token_tail": "Token ends in",
    "upstream_ms": "Service took, ms",
    "upstream_requests": "Requests to the service",
    "cache": "Rights and key",
    "http_status": "HTTP status",
    "rpc_code": "JSON-RPC code",
    "protocol_version": "Protocol",
    "request_id": "Request id",
}
"""The fields of a line that an owner can make something of, in the order of the page."""
_VALUES = {("cache", "hit"): "remembered", ("cache", "miss"): "read from the database"}

SPANS: Mapping[str, tuple[str, counted.Bucket, int]] = {
    "day": ("Last 24 hours", "hour", 24),
    "week": ("Last 7 days", "hour", 7 * 24),
    "month": ("Last 30 days", "day", 30),
    "quarter": ("Last 90 days", "day", 90),
}
"""Each span with what one of its bars stands for, and how many there are."""
_WIDTH = {"hour": timedelta(hours=1), "day": timedelta(days=1)}


def listing(asked: LogFilter, found: Sequence[Found], size: int) -> dict[str, Any]:
    """One page of calls, and where the next ones are; `found` has one line more than the page when there are more."""
    more, backwards = len(found) > size, asked.after is not None
    shown = found[-size:] if backwards else found[:size]
    newer = asked.before is not None or (backwards and more)
    older = backwards or more
    return {
        "calls": [_call(line) for line in shown],
        "newer": asked.args(after=str(shown[0].cursor)) if newer and shown else None,
        "older": asked.args(before=str(shown[-1].cursor)) if older and shown else None,
        "newest": asked.args() if asked.before or asked.after else None,
        "ranges": {name: words for name, (words, _) in RANGES.items()},
        "outcomes": OUTCOMES,
    }


def _call(line: Found) -> dict[str, Any]:
    fields = line.fields
    took = fields.get("duration_ms")
    return {
        "at": line.at,
        "tool": str(fields.get("tool") or fields.get("method") or "No request"),
        "outcome": str(fields.get("outcome") or ""),
        "duration_ms": took if isinstance(took, int | float) else None,
        "client": str(fields.get("client") or fields.get("agent") or ""),
        "facts": [
            (words, _VALUES.get((name, fields[name]), str(fields[name])))
            for name, words in _FACTS.items()
            if fields.get(name) not in (None, "")
        ],
        "arguments": _readable(fields.get("arguments")),
    }


def _readable(arguments: Any) -> str:
    return json.dumps(arguments, indent=2, ensure_ascii=False) if isinstance(arguments, Mapping) and arguments else ""


def usage(instance: Instance, span: str, now: datetime) -> dict[str, Any]:
    """The numbers of one span: in all, over time, and by tool."""
    span = span if span in SPANS else "week"
    _, bucket, number = SPANS[span]
    newest = now.replace(hour=now.hour if bucket == "hour" else 0, minute=0, second=0, microsecond=0)
    starts = [newest - _WIDTH[bucket] * ago for ago in range(number - 1, -1, -1)]
    found = {bar.start: bar for bar in counted.by_time(instance.id, starts[0], bucket)}
    return {
        "span": span,
        "spans": {name: words for name, (words, _, _) in SPANS.items()},
        "bars": [found.get(start) or counted.Span(start, 0, 0, None, None) for start in starts],
        "bucket": bucket,
        "total": counted.total(instance.id, starts[0]),
        "tools": counted.by_tool(instance.id, starts[0], most=10),
    }
