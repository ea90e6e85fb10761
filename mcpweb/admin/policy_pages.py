"""What the pages of policies show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from mcpweb import policies
from mcpweb.database import db
from mcpweb.errors import NotFound
from mcpweb.policies import POLICIES, Policy, PolicyRow
from mcpweb.settings import Settings

SECTIONS: Mapping[str, tuple[str, str]] = {
    "logs": ("Logs", "The days beyond go with the next maintenance; of the disk budget, the oldest days first."),
    "instances": ("Instances", "Instances that exist keep the end that they have."),
    "alerts": ("Alerts", "The thresholds hold from the next look on."),
}
"""Title and explanation of each form."""


def section_of(name: str) -> str:
    """The section, which is there.

    Raises:
        NotFound: no policy stands in it.
    """
    if name not in SECTIONS or not in_section(name):
        raise NotFound("There are no such policies.")
    return name


def in_section(section: str) -> Sequence[Policy]:
    """The policies of a section, in their order."""
    return [policy for policy in POLICIES.values() if policy.section == section]


def overview(settings: Settings) -> dict[str, Any]:
    """All sections with what holds in them."""
    rows = _rows()
    return {"groups": [_section(name, settings, rows) for name in SECTIONS if in_section(name)]}


def section_page(section: str, settings: Settings) -> dict[str, Any]:
    """One section with what holds in it."""
    return _section(section, settings, _rows())


def present(section: str, settings: Settings) -> dict[str, int]:
    """What holds now, by name."""
    return {policy.name: policies.value(policy.name, settings) for policy in in_section(section)}


def _section(section: str, settings: Settings, rows: Mapping[str, PolicyRow]) -> dict[str, Any]:
    title, note = SECTIONS[section]
    shown = [_policy(policy, settings, rows.get(policy.name)) for policy in in_section(section)]
    return {"section_name": section, "title": title, "note": note, "policies": shown}


def _policy(policy: Policy, settings: Settings, row: PolicyRow | None) -> dict[str, Any]:
    decided, default = policies.decided_value(policy, row), policy.default_of(settings)
    return {
        "name": policy.name,
        "title": policy.title,
        "value": policy.words(default if decided is None else decided),
        "default": policy.words(default),
        "setting": f"MCPWEB_{policy.name.upper()}" if policy.default is None else "",
        "is_decided": row is not None,
        "is_readable": row is None or decided is not None,
        "changed_at": row.changed_at if row else None,
        "changed_by": row.changed_by if row else "",
    }


def _rows() -> Mapping[str, PolicyRow]:
    return {row.name: row for row in db.session.scalars(select(PolicyRow))}
