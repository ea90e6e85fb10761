"""What was found out a moment ago, told to all who ask, so that asking often costs no more than asking now and then."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from mcpweb import clock

T = TypeVar("T")


class Recent(Generic[T]):
    """An answer that one thread at a time finds out; who comes meanwhile waits for it and takes the same one."""

    def __init__(self, find: Callable[[], tuple[T, float]]) -> None:
        """`find` gives what is so, and for how many seconds that may be told."""
        self._find = find
        self._finding = threading.Lock()
        self._found: tuple[T, float, float] | None = None

    def get(self) -> T:
        """What is so, as far as anybody knows; raises what finding it out raises."""
        asked_at = clock.monotonic()
        if (found := self._found) is not None and asked_at < found[2]:
            return found[0]
        with self._finding:
            found = self._found
            # What was found while this one waited for its turn is news to it, however short it may be told.
            if found is not None and (asked_at <= found[1] or clock.monotonic() < found[2]):
                return found[0]
            answer, keep_s = self._find()
            found_at = clock.monotonic()
            self._found = (answer, found_at, found_at + keep_s)
        return answer
