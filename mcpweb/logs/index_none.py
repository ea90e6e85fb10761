"""No log index at all: for installations that ship their lines elsewhere. The follower goes on counting from them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from http import HTTPStatus
from typing import NoReturn

from mcpweb.errors import AppError
from mcpweb.logs.index import LogIndex
from mcpweb.logs.index_line import IndexLine


class NotIndexed(AppError):
    """Somebody looks for lines that are not indexed here."""

    status = HTTPStatus.NOT_FOUND

    def __init__(self) -> None:
        super().__init__(
            "This installation keeps no index of its log lines. They are in the log files of each host, and where its "
            "operator has them shipped to."
        )


class NoIndex(LogIndex):
    """Takes every line and keeps none; whoever looks for one is told so."""

    def append(self, file_id: int, day: date, lines: Sequence[IndexLine]) -> int:
        """Keep nothing."""
        return 0

    def days(self) -> list[date]:
        """None."""
        return []

    def clear(self, day: date, file_ids: Sequence[int]) -> None:
        """There is nothing."""

    def drop_day(self, day: date) -> None:
        """There is nothing."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise NotIndexed

    # At once, and not when the first line of a stream is asked for: that would be in the middle of an answer.
    stream = search = count = facets = newest = sample = find = _counted = _tallied = _refuse
