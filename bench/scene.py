"""What the faults are injected into."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.installation import Installation


@dataclass
class Scene:
    """The installation, its PostgreSQL, and how hard to try."""

    made: Installation
    postgres: Any
    gone_s: float
    """How long Redis and the database are gone."""
    requests: int
    """At least so many are made while the server is reloaded or replaced again and again."""
    logs_disk: Path | None
    """A disk that holds the logs and nothing else, if one could be made."""
