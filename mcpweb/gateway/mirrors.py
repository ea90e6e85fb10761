"""Headers that repeat the body, so that a proxy can route without parsing it; both must say the same (2026-07-28)."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from mcpweb.jsonrpc import HEADER_MISMATCH, INVALID_PARAMS, Request, RpcError

NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Which parameter `Mcp-Name` repeats, by method."""

_OPEN, _CLOSE = "=?base64?", "?="
_INTEGER = re.compile(r"(-?\d+)(?:\.0+)?")


@dataclass(frozen=True, slots=True)
class Mirror:
    """A property of an input schema that the client repeats in a header of its own (`x-mcp-header`)."""

    path: tuple[str, ...]
    header: str

    @property
    def key(self) -> str:
        """The header's name in a WSGI environ."""
        return "HTTP_" + self.header.upper().replace("-", "_")


def of_schema(schema: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[Mirror]:
    """The annotated properties of an input schema, through any depth of `properties`."""
    for name, shape in schema.get("properties", {}).items():
        if isinstance(shape, dict):
            if "x-mcp-header" in shape:
                yield Mirror((*path, name), f"Mcp-Param-{shape['x-mcp-header']}")
            yield from of_schema(shape, (*path, name))


def check_request(environ: Mapping[str, Any], request: Request) -> None:
    """`Mcp-Method` and `Mcp-Name` must be there and repeat the body.

    Raises:
        RpcError: HEADER_MISMATCH with status 400; INVALID_PARAMS where the body lacks what the header should repeat.
    """
    method = environ.get("HTTP_MCP_METHOD")
    if method is None or method.strip(" \t") != request.method:
        raise _mismatch("The header Mcp-Method is missing or does not say what the body says.")
    parameter = NAMED_BY.get(request.method)
    if parameter is None:
        return
    named = request.params.get(parameter)
    if not isinstance(named, str):
        raise RpcError(INVALID_PARAMS, f'"{parameter}" must be a text.', status=HTTPStatus.BAD_REQUEST)
    _must_match("Mcp-Name", environ.get("HTTP_MCP_NAME"), named)


def check_arguments(environ: Mapping[str, Any], mirrors: Sequence[Mirror], arguments: Mapping[str, Any]) -> None:
    """Every annotated argument must be repeated in its header, and an absent one must not.

    Raises:
        RpcError: HEADER_MISMATCH with status 400.
    """
    for mirror in mirrors:
        raw = environ.get(mirror.key)
        value = _at(arguments, mirror.path)
        if value is None:
            if raw is not None:
                raise _mismatch(f"{mirror.header} is set, but the argument is not.")
        else:
            _must_match(mirror.header, raw, value)


def decode(raw: str) -> str:
    """The text that a header value stands for: as it is, or base64 of UTF-8 between `=?base64?` and `?=`.

    Raises:
        ValueError: not the one canonical base64 form, not UTF-8, or characters that a header may not hold.
    """
    value = raw.strip(" \t")
    if value.startswith(_OPEN) and value.endswith(_CLOSE) and len(value) >= len(_OPEN) + len(_CLOSE):
        encoded = value[len(_OPEN) : -len(_CLOSE)]
        data = b64decode(encoded, validate=True)
        if b64encode(data).decode() != encoded:
            raise ValueError("not canonical base64")
        return data.decode("utf-8")
    if not (value.isascii() and value.replace("\t", " ").isprintable()):
        raise ValueError("only visible ASCII may stand in a header")
    return value


def _must_match(header: str, raw: str | None, expected: Any) -> None:
    if raw is None:
        raise _mismatch(f"The header {header} is missing.")
    try:
        same = _same(decode(raw), expected)
    except ValueError:
        raise _mismatch(f"The header {header} can not be read.") from None
    if not same:
        raise _mismatch(f"The header {header} does not say what the body says.")


def _same(text: str, expected: Any) -> bool:
    if isinstance(expected, bool):
        return text == ("true" if expected else "false")
    if isinstance(expected, int | float):
        found = _INTEGER.fullmatch(text)
        return found is not None and int(found[1]) == expected
    return bool(text == expected)


def _at(arguments: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = arguments
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _mismatch(message: str) -> RpcError:
    return RpcError(HEADER_MISMATCH, message, status=HTTPStatus.BAD_REQUEST)
