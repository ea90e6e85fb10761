"""Who and what the current work is for: put on every line that is logged meanwhile."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

_fields: ContextVar[Mapping[str, Any]] = ContextVar("log_context", default=MappingProxyType({}))


def current() -> Mapping[str, Any]:
    """The fields of the current work: request_id, user, instance, ip, agent, as far as they are known."""
    return _fields.get()


def set_fields(**fields: Any) -> None:
    """Replace the context; a request does this at its start, so nothing of the one before is left."""
    _fields.set(fields)


def add_fields(**fields: Any) -> None:
    """Add to the context, once more is known."""
    _fields.set({**_fields.get(), **fields})


@contextmanager
def work(**fields: Any) -> Iterator[None]:
    """The context of one job or command."""
    token = _fields.set(fields)
    try:
        yield
    finally:
        _fields.reset(token)


def new_request_id() -> str:
    """96 random bits, short enough to read out on the telephone."""
    return secrets.token_hex(12)
