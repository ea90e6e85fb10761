"""A process without a free file descriptor, or a machine without memory: ours to say, not the fault of whom we ask."""

from __future__ import annotations

import errno
import os
from http import HTTPStatus
from typing import Final

from mcpweb.errors import Unavailable
from mcpweb.jsonrpc import BUSY, RpcError

RETRY_AFTER_S: Final = 2
REASON: Final = "The server is busy."
_SHORT: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS))
_TOLD: Final = (os.strerror(errno.EMFILE), os.strerror(errno.ENFILE))


class Busy(Unavailable):
    """Something could not be done for want of descriptors or memory."""

    def __init__(self) -> None:
        super().__init__(REASON)


def is_cause(error: BaseException) -> bool:
    """Whether an error, or one that it came from, is such a want.

    Libraries in C say so in words (libpq).
    """
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, Busy) or (isinstance(found, OSError) and found.errno in _SHORT):
            return True
        if any(text in str(found) for text in _TOLD):
            return True
        found = found.__cause__ or found.__context__
    return False


def is_here() -> bool:
    """Whether no further file can be opened at this moment."""
    try:
        os.close(os.dup(0))
    except OSError as error:
        return error.errno in _SHORT
    return False


def is_behind(error: BaseException) -> bool:
    """As `is_cause`, also for what libraries take for something else (SQLite, the resolver) while this lasts."""
    return is_cause(error) or is_here()


def refusal() -> RpcError:
    """What an MCP client is told."""
    return RpcError(BUSY, f"{REASON} Try again in a moment.", status=HTTPStatus.SERVICE_UNAVAILABLE)
