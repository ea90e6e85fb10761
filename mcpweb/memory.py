"""What keeps the memory of many web workers with many threads small. gunicorn's settings call this."""

from __future__ import annotations

import ctypes
import gc
import sys

from sqlalchemy.orm import configure_mappers

M_ARENA_MAX = -8
"""`mallopt(3)`: how many arenas the C library may have."""
_ARENAS = 2


def read_program() -> None:
    """Read the whole program, which the processes that are forked from this one then share.

    It starts nothing and connects to nothing; each process puts its own application together.
    """
    import mcpweb.application  # noqa: F401

    configure_mappers()
    gc.freeze()  # no collection writes into what is shared


def use_few_arenas() -> None:
    """Have all threads take memory from the same two arenas, also in processes that are forked from this one.

    glibc would give each of the first threads one of its own, up to eight for a processor, and what is free in one
    serves no other: 10 MB a worker that nobody uses. Other C libraries have no such thing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_ARENA_MAX, _ARENAS)
