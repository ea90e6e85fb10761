"""Reading Figma's answers without trusting their shape, and measuring what goes to the model."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mcpweb.plugin_api import UpstreamError

RESULT_CHARS = 60_000
"""No result is longer than this, whatever the file holds; about 15,000 tokens."""


def answer(value: object) -> dict[str, Any]:
    """The JSON object that every Figma endpoint answers with.

    Raises:
        UpstreamError: it is no object.
    """
    if isinstance(value, dict):
        return value
    raise UpstreamError("unavailable", "Figma sent an answer that can not be read. Try again later.")


@contextmanager
def too_large(advice: str) -> Iterator[None]:
    """Say what to ask instead when the answer is over our limit of bytes, or Figma's own."""
    try:
        yield
    except UpstreamError as error:
        # Ours says "is larger than"; Figma's is a 400, "Request too large. If applicable, filter by query params."
        if error.kind == "invalid" and "large" in str(error):
            raise UpstreamError("invalid", f"That is too large for one answer. {advice}", status=error.status) from None
        raise


def table(value: object) -> dict[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def rows(value: object) -> list[dict[str, Any]]:
    """The objects in a JSON array; none if it is no array."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def shorten(text: object, limit: int) -> str:
    """The text, or its first `limit` characters and how many more there are."""
    whole = text if isinstance(text, str) else str(text)
    return whole if len(whole) <= limit else f"{whole[:limit]}… ({len(whole) - limit} more characters)"


def size(value: object) -> int:
    """Characters of the value as compact JSON."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def present(**values: Any) -> dict[str, Any]:
    """The values that say something: without None, empty texts, lists and objects; texts cut at 4,000 characters."""
    return {
        name: shorten(value, 4_000) if isinstance(value, str) else value
        for name, value in values.items()
        if value not in (None, "", [], {})
    }
