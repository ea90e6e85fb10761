"""What the pages about users, instances and services show: rows turned into what the templates expect."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from mcpweb.accounts import directory, sessions
from mcpweb.accounts.directory import UserFilter
from mcpweb.accounts.models import User
from mcpweb.catalog import changes
from mcpweb.catalog.registry import Service
from mcpweb.instances import oversight, owners, pages, stops, switching
from mcpweb.instances.house import house
from mcpweb.instances.models import Instance, ServiceRow
from mcpweb.instances.oversight import InstanceFilter
from mcpweb.instances.stops import Target
from mcpweb.web import agents


def users(asked: UserFilter) -> dict[str, Any]:
    """One page of the list of users."""
    found = directory.find(asked)
    shown = found[: directory.PAGE]
    counts = oversight.counts([user.id for user in shown])
    return {
        "asked": asked,
        "users": [{"user": user, "instances": counts.get(user.id, 0)} for user in shown],
        "more": len(found) > directory.PAGE,
        "states": directory.STATES,
        "total": directory.count(asked),
    }


def user(one: User, viewer: User, idle: timedelta, now: datetime) -> dict[str, Any]:
    """Everything on the page of one user."""
    alive = sessions.alive(one, idle) if one.is_enabled else []
    return {
        "user": one,
        "is_oneself": one.id == viewer.id,
        "sessions": [
            {"agent": agents.label(row.agent), "ip": row.ip, "last_seen_at": row.last_seen_at} for row in alive
        ],
        "instances": [instance(found, now) for found in owners.of_user(one)],
        "stop": stops.of_target(Target(user=one), now),
    }


def instances(asked: InstanceFilter, now: datetime) -> dict[str, Any]:
    """One page of the list of all instances."""
    found = oversight.find(asked)
    return {
        "asked": asked,
        "instances": [instance(one, now) | {"owner": one.owner} for one in found[: oversight.PAGE]],
        "more": len(found) > oversight.PAGE,
        "total": oversight.count(asked),
        "states": oversight.STATES,
        "services": switching.services(),
    }


def instance(one: Instance, now: datetime) -> dict[str, Any]:
    """An instance as an administrator sees it: what it is, and how much it is used."""
    head = pages.summary(one, house().registry, now)
    return head | {"created_at": one.created_at, "usage_count": one.usage_count}


def services(now: datetime) -> Sequence[dict[str, Any]]:
    """Every service with what is known of it, and the stop that is in force."""
    stopped = {stop.service_name: stop for stop in stops.in_force(now)}
    return [service(row) | {"stop": stopped.get(row.name)} for row in switching.services()]


def service(row: ServiceRow) -> dict[str, Any]:
    """A service as registered, with the tools that this process has of it."""
    registry = house().registry
    loaded = registry.services.get(row.name)
    return {
        "row": row,
        "logo_url": pages.logo_url(row.name) if loaded else "",
        "tools": list(loaded.tools.values()) if loaded else [],
        "problem": "" if loaded else registry.problems.get(row.name, "Its plugin is not there any more."),
        "is_changed": loaded is not None and loaded.manifest.digest != row.manifest_digest,
        **_changes(row, loaded),
    }


def _changes(row: ServiceRow, loaded: Service | None) -> dict[str, Any]:
    """What differs from the last registration, or, if nothing does, what that one changed."""
    told = changes.definitions(loaded) if loaded else row.definitions
    if pending := changes.between(row.definitions, told):
        return {"changes": pending, "are_pending": True}
    before = row.definitions if row.definitions_before is None else row.definitions_before
    return {"changes": changes.between(before, row.definitions), "are_pending": False}
