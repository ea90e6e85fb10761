"""A token is shown once: between the form and the page it waits in the browser's cookie, sealed with our key."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, MutableMapping
from typing import Any
from uuid import UUID

import orjson

from mcpweb.crypto import Keyring, KeyUnusable

_KEY = "once"


def keep_for_once(
    session: MutableMapping[str, Any], instance_id: UUID, what: Mapping[str, Any], keyring: Keyring
) -> None:
    """Keep a few values for the next view of an instance's page."""
    key_id, sealed = keyring.seal(orjson.dumps(what), f"once/{instance_id}")
    session[_KEY] = [str(instance_id), key_id, base64.b64encode(sealed).decode()]


def take_once(session: MutableMapping[str, Any], instance_id: UUID, keyring: Keyring) -> dict[str, Any] | None:
    """The values kept for this instance, which are gone from now on."""
    kept = session.get(_KEY)
    if not kept or kept[0] != str(instance_id):
        return None
    del session[_KEY]
    try:
        values: dict[str, Any] = orjson.loads(keyring.open(kept[1], base64.b64decode(kept[2]), f"once/{instance_id}"))
    except (KeyUnusable, binascii.Error):
        return None
    return values
