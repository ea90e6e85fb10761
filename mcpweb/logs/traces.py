"""Which trace a request belongs to, where its caller says so (W3C Trace Context), so that both sides' logs meet.

It is not passed on to services: they are third parties, and who called is nothing that they need to know.
"""

from __future__ import annotations

import re

_VERSION_00 = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_MAX_CHARS = 256


def trace_id(traceparent: str) -> str:
    """The 32 characters of the trace in such a header; empty when it is none, which a caller is never told."""
    if not traceparent or len(traceparent) > _MAX_CHARS:
        return ""
    found = _VERSION_00.match(traceparent)
    if found is None or found[1] == "ff" or not found[2].strip("0") or not found[3].strip("0"):
        return ""
    rest = traceparent[found.end() :]
    # Later versions may say more, behind a dash.
    return found[2] if not rest or (found[1] != "00" and rest[0] == "-") else ""


def fields(traceparent: str) -> dict[str, str]:
    """What goes on every line of the request: nothing without a trace."""
    found = trace_id(traceparent)
    return {"trace_id": found} if found else {}
