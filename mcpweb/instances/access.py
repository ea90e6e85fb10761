"""Who may call an endpoint, and with what: all that a call needs to know of an instance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from mcpweb import clock
from mcpweb.catalog.registry import Service
from mcpweb.crypto import hash_secret


class Unauthorized(Exception):
    """No such instance, or the token is not one of its own: the two are not told apart."""


@dataclass(frozen=True, slots=True)
class TokenAccess:
    """A valid token: its row, and when it ends by itself."""

    id: int
    expires_at: datetime | None

    @property
    def is_over(self) -> bool:
        """Whether its own end has come."""
        return self.expires_at is not None and self.expires_at <= clock.utcnow()


@dataclass(frozen=True, slots=True)
class Stopped:
    """An administrator refuses calls until an end, which every call compares with the clock."""

    sentence: str
    """What is refused, why, and until when, for whoever calls."""
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Access:
    """All that a call needs to know of an instance. `tool_names` is None when every tool is on."""

    instance_id: UUID
    owner_id: int
    label: str
    service: Service
    credential: Mapping[str, str] = field(repr=False)
    status: str
    expires_at: datetime
    tool_names: frozenset[str] | None
    tokens: Mapping[bytes, TokenAccess] = field(repr=False)
    """Each valid token by its hash."""
    keeps_arguments: bool = True
    """Whether the arguments of a call stand in its log line."""
    stop: Stopped | None = None
    """What ends last of maintenance mode and the stops that hit the instance."""

    def admits(self, token_hash: bytes) -> bool:
        """Whether the token of this hash opens the instance at this moment."""
        token = self.tokens.get(token_hash)
        return token is not None and not token.is_over

    def token(self, bearer: str) -> TokenAccess | None:
        """The token that was shown."""
        return self.tokens.get(hash_secret(bearer))
