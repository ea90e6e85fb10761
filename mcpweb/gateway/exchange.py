"""One request on its way to an answer: who asks, in which revision, and what is needed to answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from mcpweb import clock
from mcpweb.catalog.api import Api
from mcpweb.catalog.outgoing import Outgoing
from mcpweb.catalog.registry import Service
from mcpweb.gateway.limits import Limits
from mcpweb.gateway.offer import Offer
from mcpweb.gateway.record import CallRecord
from mcpweb.gateway.revisions import CLIENT_INFO, MODERN
from mcpweb.gateway.slots import Slots
from mcpweb.gateway.state import Seal
from mcpweb.instances.access import Access, TokenAccess
from mcpweb.instances.access_cache import AccessCache
from mcpweb.jsonrpc import INVALID_PARAMS, Request, RpcError

log = logging.getLogger(__name__)

_MAX_NOTED = 100


class Closed(Exception):
    """The server is closed, or the instance inactive, expired or stopped; the text says what mends it, or when."""


@dataclass(slots=True)
class Shared:
    """What every request of this process shares."""

    access: AccessCache
    client: Outgoing
    server_info: Mapping[str, Any]
    page_url: Callable[[UUID], str]
    seal: Seal
    slots: Slots
    limits: Limits
    _offers: dict[str, Offer] = field(default_factory=dict)

    def offer_of(self, service: Service) -> Offer:
        """What the service offers; made at its first call."""
        found = self._offers.get(service.name)
        if found is None or found.service is not service:
            found = self._offers[service.name] = Offer.of(service, self.server_info)
            # Descriptions are read by models, so it is on record when they change.
            log.info("service offered", extra={"service": service.name, "tools_sha256": found.digest})
        return found


@dataclass(slots=True)
class Visit:
    """One HTTP request that was let in."""

    shared: Shared
    environ: Mapping[str, Any]
    bearer: str
    access: Access
    token: TokenAccess | None
    takes_stream: bool


@dataclass(slots=True)
class Exchange:
    """One JSON-RPC request of a visit."""

    visit: Visit
    request: Request
    revision: str
    offer: Offer
    record: CallRecord
    api: Api | None = None

    @property
    def modern(self) -> bool:
        """Whether it is spoken in a revision without handshake."""
        return self.revision == MODERN

    @property
    def meta(self) -> Mapping[str, Any]:
        """The request's `_meta`, empty when it has none."""
        meta = self.request.params.get("_meta")
        return meta if isinstance(meta, dict) else {}

    def text(self, name: str) -> str:
        """A parameter that must be a text.

        Raises:
            RpcError: it is missing or something else.
        """
        value = self.request.params.get(name)
        if not isinstance(value, str):
            raise RpcError(INVALID_PARAMS, f'"{name}" must be a text.')
        return value

    def table(self, name: str) -> dict[str, Any]:
        """A parameter that must be an object; absent and null are the empty one.

        Raises:
            RpcError: it is something else.
        """
        value = self.request.params.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise RpcError(INVALID_PARAMS, f'"{name}" must be an object.')
        return value

    def complete(self, result: dict[str, Any]) -> dict[str, Any]:
        """The result with what its revision wants on every finished one."""
        if self.modern:
            result["resultType"] = "complete"
            result["_meta"] = self.offer.meta
        return result

    def check_open(self) -> None:
        """Compare maintenance mode, status, end date and the end of a stop with the clock.

        Raises:
            Closed: the server is closed for maintenance, or the instance is inactive, expired or stopped.
        """
        access = self.visit.access
        if access.stop is not None and access.stop.ends_at > clock.utcnow():
            raise Closed(access.stop.sentence)
        # One that is marked has ended even where the clock is late.
        if access.status == "expired" or access.expires_at <= clock.utcnow():
            url = self.visit.shared.page_url(access.instance_id)
            raise Closed(
                f"The connection “{access.label}” ended on {access.expires_at:%d %B %Y}. Its owner can renew it: {url}"
            )
        if access.status != "active":
            url = self.visit.shared.page_url(access.instance_id)
            raise Closed(f"The connection “{access.label}” is switched off. Its owner can switch it on again: {url}")

    def count_call(self) -> None:
        """Count the request against what its instance may ask for.

        Raises:
            RpcError: LIMITED, when that is used up.
        """
        visit = self.visit
        visit.shared.limits.count(visit.access, visit.shared.page_url)

    def open_api(self) -> Api:
        """The way to the service, with the credential.

        Reading a body and checking arguments takes time in which an owner may have switched the instance off, so access
        is asked for again here, at the last moment before the credential is used.

        Raises:
            Closed: as `check_open`.
            Unauthorized: the token was revoked, or the instance deleted.
        """
        visit = self.visit
        visit.access = visit.shared.access.get_again(visit.access, visit.token, visit.bearer)
        self.check_open()
        self.api = visit.access.service.api(visit.access.credential, visit.shared.client)
        return self.api

    def note_client(self, info: Any) -> None:
        """Keep name and version that a client gives for itself; for display only, never for decisions."""
        if isinstance(info, dict):
            said = (info.get("name"), info.get("version"))
            self.record.client = " ".join(part[:_MAX_NOTED] for part in said if isinstance(part, str))

    def note_caller(self) -> None:
        """Keep what the request says about itself."""
        self.record.protocol_version = self.revision
        if self.modern:
            self.note_client(self.meta.get(CLIENT_INFO))

    def note_upstream(self) -> None:
        """Keep how long the service took so far."""
        if self.api is not None:
            self.record.upstream_ms = self.api.upstream_ms
            self.record.upstream_requests = self.api.requests
