"""What a web server does last: it tells the other hosts that it serves no calls any more."""

from __future__ import annotations

import os

from mcpweb import config, queue
from mcpweb.instances.generations import Generations
from mcpweb.instances.propagation import Propagation


def say_goodbye() -> None:
    """Call it when the last worker has ended; without a Redis, or while it is away, nothing happens."""
    settings = config.load(os.environ)
    if settings.redis_url:
        run = settings.home / "run"
        Propagation(Generations(run / "generations"), queue.connect(settings.redis_url), run).leave()
