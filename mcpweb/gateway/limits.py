"""The limits on an instance's calls, and the sentences that refuse what is beyond them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

import redis

from mcpweb import clock
from mcpweb.gateway.allowance import Allowance
from mcpweb.gateway.ledger import Ledger
from mcpweb.gateway.repetition import Repetitions
from mcpweb.instances.access import Access
from mcpweb.jsonrpc import LIMITED, RpcError


class Limits:
    """Calls of one instance in a minute and in a day, and the same call in a row within a minute; 0: no limit."""

    def __init__(
        self, *, per_minute: int = 0, per_day: int = 0, identical: int = 0, client: redis.Redis | None = None
    ) -> None:
        """`client` is where all processes count minutes and days together; without it, each counts by itself."""
        ledger = Ledger(client)
        spans = (("a minute", 60, per_minute), ("a day", 86_400, per_day))
        self._allowances = [(span, Allowance(limit, period_s, ledger)) for span, period_s, limit in spans if limit]
        self._repetitions = Repetitions(identical) if identical else None

    def count(self, access: Access, page_url: Callable[[UUID], str]) -> None:
        """Count one call of the instance.

        Raises:
            RpcError: LIMITED, with status 429, when it has made all that it may.
        """
        for span, allowance in self._allowances:
            end = allowance.take(access.instance_id)
            if end is not None:
                raise _spent(access, f"{allowance.limit:,} calls {span}", end, page_url(access.instance_id))

    def repeated(self, instance_id: UUID, tool: str, params: Mapping[str, Any]) -> str | None:
        """What to tell the model when it makes the same call once too often; None when it does not."""
        circle = self._repetitions.count(instance_id, params) if self._repetitions else None
        if circle is None:
            return None
        return (
            f"This is call number {circle.times:,} of {tool} in a row with the same arguments within a minute; "
            "the answer will not change. "
            f"Change the arguments, go on with what you have, or wait until {circle.end:%H:%M:%S} UTC."
        )


def _spent(access: Access, limit: str, end: datetime, page_url: str) -> RpcError:
    wait_s = max(1, math.ceil((end - clock.utcnow()).total_seconds()))
    return RpcError(
        LIMITED,
        f"The connection “{access.label}” may make {limit}, and has made them. The next one is answered "
        f"from {end:%H:%M:%S} UTC on {end.day} {end:%B}. Its owner sees the calls here: {page_url}",
        status=HTTPStatus.TOO_MANY_REQUESTS,
        retry_after_s=wait_s,
    )
