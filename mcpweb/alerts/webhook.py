"""One signed POST for each message. The address is the operator's; that it is no private one is checked at every call.

A receiver computes HMAC-SHA-256 with the secret over the timestamp header, a full stop and the body, and compares it
with the signature header. What comes twice, because an answer was lost, has the same `id`.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from mcpweb import clock
from mcpweb.catalog.outgoing import Destinations, OutgoingError
from mcpweb.instances.house import house
from mcpweb.settings import Settings

DEADLINE_S = 5.0
_MAX_BYTES = 64 * 1024


class WebhookFailed(Exception):
    """The message was not taken; the text names the cause, never the address, whose path may be secret."""


def host(settings: Settings) -> str:
    """Where messages are posted, without what may be secret in the address; empty without a webhook."""
    return urlsplit(settings.alert_webhook_url).netloc


def post(message: Mapping[str, Any], settings: Settings) -> None:
    """Post it, within DEADLINE_S seconds.

    Raises:
        WebhookFailed: no connection, a private address, a redirect, or an answer that is not 2xx.
    """
    body = json.dumps(message, separators=(",", ":")).encode()
    timestamp = str(int(clock.utcnow().timestamp()))
    headers = {
        "Content-Type": "application/json",
        "X-Mcpweb-Timestamp": timestamp,
        "X-Mcpweb-Signature": signature(settings.alert_webhook_secret, timestamp, body),
    }
    try:
        reply = house().client.request(
            "POST",
            settings.alert_webhook_url,
            to=_destinations(settings),
            headers=headers,
            body=body,
            total_timeout_s=DEADLINE_S,
            max_bytes=_MAX_BYTES,
        )
    except OutgoingError as error:
        raise WebhookFailed(str(error)) from None
    if not 200 <= reply.status < 300:
        raise WebhookFailed(f"it answered {reply.status}")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """`sha256=` and the HMAC in hexadecimal."""
    return "sha256=" + hmac.digest(secret.encode(), timestamp.encode() + b"." + body, "sha256").hex()


def _destinations(settings: Settings) -> Destinations:
    if settings.alert_webhook_private:
        return Destinations(hosts=(), private_hosts=(host(settings),))
    return Destinations(hosts=(urlsplit(settings.alert_webhook_url).hostname or "",))
