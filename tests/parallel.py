"""Several people at once: real threads that all start at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def at_once(actions: Sequence[Callable[[], T]]) -> list[T]:
    """The results of all actions, each done in a thread of its own; an error in one of them is raised here."""
    start = threading.Barrier(len(actions))

    def act(action: Callable[[], T]) -> T:
        start.wait(10)
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(act, actions))
