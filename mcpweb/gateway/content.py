"""What a tool gave back, as MCP content that the client's revision knows and that is not too large to send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from mcpweb.catalog.results import Result
from mcpweb.gateway.revisions import LEGACY, MODERN

MAX_TEXT_CHARS = 1_000_000
"""A text beyond this helps no model; the caller is told to ask for less."""
MAX_CONTENT_BYTES = 5_000_000
"""All blocks together, encoded: an image of the most that is fetched from a service, in base64, with room to spare."""


class TooMuch(Exception):
    """The result is larger than is passed on; the text says by how much."""


def of_value(value: Any, revision: str) -> dict[str, Any]:
    """The tool result that a plugin's return value stands for.

    A text is sent as it is, a `Result` as its blocks, anything else as compact JSON text. The content is encoded here
    already, so that a value without a JSON form shows up now.

    Raises:
        TypeError: the value, or a block, has no JSON form.
        TooMuch: it is too large.
    """
    if isinstance(value, Result):
        return _of_result(value, revision)
    return {"content": _encoded([text_block(value if isinstance(value, str) else orjson.dumps(value).decode())])}


def text_block(text: str) -> dict[str, Any]:
    """A text as a content block.

    Raises:
        TooMuch: it is too long.
    """
    if len(text) > MAX_TEXT_CHARS:
        raise TooMuch(
            f"The result has {len(text):,} characters, more than the {MAX_TEXT_CHARS:,} that this endpoint passes on. "
            "Ask for less: a narrower question, fewer items, one page at a time."
        )
    return {"type": "text", "text": sendable(text)}


def sendable(text: str) -> str:
    """The text without lone surrogates, which have no UTF-8 form."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _of_result(result: Result, revision: str) -> dict[str, Any]:
    blocks = _known_blocks(result.content, revision)
    answer: dict[str, Any] = {}
    if result.structured is not None:
        if not blocks:
            blocks = [text_block(orjson.dumps(result.structured).decode())]
        if revision == MODERN or (revision >= LEGACY[1] and isinstance(result.structured, dict)):
            answer["structuredContent"] = orjson.Fragment(orjson.dumps(result.structured))
    answer["content"] = _encoded(blocks)
    if result.is_error:
        answer["isError"] = True
    return answer


def _known_blocks(blocks: Sequence[Mapping[str, Any]], revision: str) -> list[Mapping[str, Any]]:
    """The blocks with a link, which revisions before 2025-06-18 do not know, turned into its text."""
    if revision >= LEGACY[1]:
        return list(blocks)
    return [_link_text(block) if block["type"] == "resource_link" else block for block in blocks]


def _link_text(block: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "text", "text": f"{block.get('name', '')} {block['uri']}".strip()}


def _encoded(blocks: Sequence[Mapping[str, Any]]) -> orjson.Fragment:
    encoded = orjson.dumps(blocks)
    if len(encoded) > MAX_CONTENT_BYTES:
        raise TooMuch(
            f"The result takes {len(encoded):,} bytes, more than the {MAX_CONTENT_BYTES:,} that this endpoint passes "
            "on. Ask for less, or for a smaller picture."
        )
    return orjson.Fragment(encoded)
