"""The heartbeats of the processes that know the whole application: web and worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Flask

from mcpweb.instances.house import House
from mcpweb.monitoring.heartbeat import Also, Heartbeat
from mcpweb.settings import Settings


def web(app: Flask, also: Sequence[Also] = ()) -> Heartbeat:
    """A web process says from now on that it is there, and what its cache of accesses does; call it after the fork."""
    house: House = app.extensions["mcpweb_house"]

    def cache() -> dict[str, int]:
        stats = house.access.stats
        return {"hits": stats.hits, "misses": stats.misses, "size": stats.size}

    return _start(app, "web", cache, also)


def worker(app: Flask) -> Heartbeat:
    """A worker says from now on that it is there."""
    return _start(app, "worker", dict)


def _start(app: Flask, role: str, figures: Callable[[], Mapping[str, Any]], also: Sequence[Also] = ()) -> Heartbeat:
    settings: Settings = app.extensions["mcpweb_settings"]
    return Heartbeat(settings.database, settings.home / "run", role, figures, also).start()
