"""What the faults are injected into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.installation import Installation
from tests.fault_proxy import FaultProxy


@dataclass
class Scene:
    """The installation, and the ways to what it needs."""

    made: Installation
    upstream_port: int
    to_database: FaultProxy
    postgres: Any
    gone_s: float
    """How long Redis and the database are gone."""
    requests: int
    """At least so many are made while the server is reloaded or replaced again and again."""
