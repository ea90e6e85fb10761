"""A service that takes every connection and never answers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silent_service() -> Iterator[int]:
    """Its port. The kernel takes the connections; nobody reads them."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        yield int(listener.getsockname()[1])
