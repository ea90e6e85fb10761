"""Which revision of MCP a message is spoken in, from its headers and body alone."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from mcpweb.gateway import mirrors
from mcpweb.jsonrpc import HEADER_MISMATCH, INVALID_PARAMS, UNSUPPORTED_VERSION, Request, RpcError

LEGACY = ("2025-03-26", "2025-06-18", "2025-11-25")
"""The revisions with a handshake, oldest first."""
MODERN = "2026-07-28"
"""The revision without one: every request says what it needs in `_meta`."""
BATCHES = LEGACY[0]
"""The only revision with batches. Also what a request without a version header is taken for."""

VERSION = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
CLIENT_INFO = "io.modelcontextprotocol/clientInfo"
LOG_LEVEL = "io.modelcontextprotocol/logLevel"
SERVER_INFO = "io.modelcontextprotocol/serverInfo"

# 2024-11-05 speaks another transport, but its number turns up in headers: Codex looks for the token challenge with it.
_LEGACY_HEADERS = frozenset({"2024-11-05", *LEGACY})
_KNOWN_HEADERS = _LEGACY_HEADERS | {MODERN, ""}


def negotiate(requested: str) -> str:
    """The revision that `initialize` is answered with: the one asked for, else the latest that has a handshake."""
    return requested if requested in _LEGACY_HEADERS else LEGACY[-1]


def of_header(environ: Mapping[str, Any]) -> str:
    """What the header says, empty when it is absent.

    Raises:
        RpcError: a revision that is not known here, with status 400.
    """
    version = _header(environ)
    if version not in _KNOWN_HEADERS:
        raise _unsupported(version)
    return version


def of_request(environ: Mapping[str, Any], request: Request) -> str:
    """The revision of a request; one of 2026-07-28 is checked as far as this needs no knowledge of methods.

    Raises:
        RpcError: unknown revision, incomplete `_meta`, headers that disagree with the body; with status 400.
    """
    version = _header(environ)
    if version in _LEGACY_HEADERS:
        return version
    meta = request.params.get("_meta")
    if not (isinstance(meta, dict) and VERSION in meta):
        if not version:
            return BATCHES
        if version != MODERN:
            raise _unsupported(version)
    if _checked(meta)[VERSION] != version:
        message = "The header MCP-Protocol-Version does not say what _meta says."
        raise RpcError(HEADER_MISMATCH, message, status=HTTPStatus.BAD_REQUEST)
    mirrors.check_request(environ, request)
    if version != MODERN:
        raise _unsupported(version)
    return version


def _header(environ: Mapping[str, Any]) -> str:
    value: str = environ.get("HTTP_MCP_PROTOCOL_VERSION", "")
    return value.strip(" \t")


def _checked(meta: Any) -> dict[str, Any]:
    if not isinstance(meta, dict):
        problem = "params._meta must be an object"
    elif not isinstance(meta.get(VERSION), str):
        problem = f"params._meta needs the text {VERSION}"
    elif not isinstance(meta.get(CAPABILITIES), dict):
        problem = f"params._meta needs the object {CAPABILITIES}"
    else:
        return meta
    raise RpcError(INVALID_PARAMS, f"{problem} (MCP {MODERN}).", status=HTTPStatus.BAD_REQUEST)


def _unsupported(version: str) -> RpcError:
    return RpcError(
        UNSUPPORTED_VERSION,
        f"This revision of MCP is not spoken here: {version[:40]!r}.",
        data={"supported": [MODERN], "requested": version[:200]},
        status=HTTPStatus.BAD_REQUEST,
    )
