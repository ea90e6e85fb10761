"""What the pages about stops show."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mcpweb.instances import stops
from mcpweb.instances.models import Stop
from mcpweb.instances.stops import Target


def overview(page: int, now: datetime) -> dict[str, Any]:
    """The stops that are in force, and one page of those that are over."""
    over = stops.past(now, page)
    return {
        "in_force": [_row(stop) for stop in stops.in_force(now)],
        "past": [_row(stop) for stop in over[: stops.PAGE]],
        "page": page,
        "more": len(over) > stops.PAGE,
        "instances": stops.reach(Target(), now)[0],
    }


def confirm(target: Target, now: datetime) -> dict[str, Any]:
    """What a stop would hit, and the one that it would take the place of."""
    instances, users = stops.reach(target, now)
    return {
        "target": target,
        "name": name(target),
        "instances": instances,
        "users": users,
        "standing": stops.of_target(target, now),
    }


def name(target: Target) -> str:
    """What is stopped, as it reads in a list."""
    if target.user is not None:
        return target.user.email
    return target.service.title if target.service is not None else "Everything"


def _row(stop: Stop) -> dict[str, Any]:
    target = stops.of(stop)
    link = f"/admin/users/{stop.user_id}" if stop.user_id else ""
    return {"stop": stop, "kind": target.kind, "name": name(target), "link": link}
