"""The time zone in which somebody reads times: kept in a cookie, as the theme is; UTC for whoever has chosen none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from functools import cache
from itertools import groupby
from zoneinfo import ZoneInfo, available_timezones

from flask import has_request_context, request

COOKIE = "zone"
_REGIONS = frozenset(
    ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
)


def chosen() -> str:
    """The name of the zone, or an empty text; empty, too, where nobody reads a page, as in a mail."""
    name = request.cookies.get(COOKIE, "") if has_request_context() else ""
    return name if is_known(name) else ""


def zone() -> tzinfo:
    """The zone to show times in."""
    name = chosen()
    return ZoneInfo(name) if name else UTC


def is_known(name: str) -> bool:
    """Whether it is a zone to choose."""
    return name in _names()


@cache
def _names() -> frozenset[str]:
    return frozenset(name for names in regions().values() for name in names)


@cache
def regions() -> Mapping[str, Sequence[str]]:
    """The zones that this host knows, by region; it may know none, and then there is UTC alone."""
    names = sorted(name for name in available_timezones() if name.partition("/")[0] in _REGIONS)
    return {region: tuple(found) for region, found in groupby(names, lambda name: name.partition("/")[0])}
