"""What a tool remembers between two rounds travels with the client, under our signature (MCP 2026-07-28, MRTR)."""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from typing import Any

import orjson

from mcpweb import clock

_LIFE = timedelta(minutes=15)
"""A person may have to answer in between."""


class BadState(Exception):
    """The state was changed, is too old, or belongs to another request."""


class Seal:
    """Signs states, and opens only those that it signed: for the same principal, method and parameters, and in time.

    `key` is secret and the same in every process that serves the endpoint. The client can read a state.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def close(self, state: Any, bound_to: bytes) -> str:
        """The text that the client gets; `bound_to` names what the state is for.

        Raises:
            TypeError: the state has no JSON form.
        """
        expires_s = int((clock.utcnow() + _LIFE).timestamp())
        payload = orjson.dumps([expires_s, state])
        return f"{urlsafe_b64encode(payload).decode()}.{self._signature(payload, bound_to)}"

    def open(self, text: str, bound_to: bytes) -> Any:
        """The state in `text`.

        Raises:
            BadState: not ours, changed, expired, or bound to something else.
        """
        encoded, _, signature = text.partition(".")
        try:
            payload = urlsafe_b64decode(encoded)
        except (binascii.Error, ValueError):
            raise BadState("the state can not be read") from None
        if not hmac.compare_digest(self._signature(payload, bound_to).encode(), signature.encode("utf-8", "replace")):
            raise BadState("the state was changed or belongs to another request")
        expires_s, state = orjson.loads(payload)
        if expires_s < clock.utcnow().timestamp():
            raise BadState("the state is too old")
        return state

    def _signature(self, payload: bytes, bound_to: bytes) -> str:
        # The digest has a fixed length, so that no byte can move from one part to the other.
        return hmac.new(self._key, hashlib.sha256(bound_to).digest() + payload, hashlib.sha256).hexdigest()
