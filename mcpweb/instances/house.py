"""What instances need of the running application: the services, the keys, the way out, and who may call."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app

from mcpweb.catalog.outgoing import Outgoing
from mcpweb.catalog.registry import Registry
from mcpweb.crypto import Keyring
from mcpweb.instances.access_cache import AccessCache
from mcpweb.instances.propagation import Propagation


@dataclass(frozen=True, slots=True)
class House:
    """Made once by `create_app`."""

    registry: Registry
    keyring: Keyring
    client: Outgoing
    access: AccessCache
    propagation: Propagation


def house() -> House:
    """The house of the application that serves this request."""
    found: House = current_app.extensions["mcpweb_house"]
    return found
