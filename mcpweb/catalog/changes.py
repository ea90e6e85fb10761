"""What changed about a service's tools between two registrations: a model reads them, so a change is worth a look."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mcpweb.catalog.registry import Service
from mcpweb.catalog.tools import Json

Definitions = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Change:
    """One tool that was added, removed or changed, with the lines of its definition that differ."""

    tool: str
    kind: Literal["added", "removed", "changed"]
    diff: str


def definitions(service: Service) -> dict[str, Json]:
    """Every tool by its name as clients are told of it, as it comes back from JSON."""
    found: dict[str, Json] = json.loads(json.dumps({tool.name: tool.definition() for tool in service.tools.values()}))
    return found


def between(before: Definitions, after: Definitions) -> Sequence[Change]:
    """The tools that differ, by name."""
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return [Change(name, _kind(name, before, after), _diff(before.get(name), after.get(name))) for name in names]


def _kind(name: str, before: Definitions, after: Definitions) -> Literal["added", "removed", "changed"]:
    if name not in before:
        return "added"
    return "changed" if name in after else "removed"


def _diff(before: Json, after: Json) -> str:
    """In the form of `diff -u`, without its head."""
    old, new = ([] if one is None else _lines(one) for one in (before, after))
    return "\n".join(list(difflib.unified_diff(old, new, lineterm=""))[2:])


def _lines(definition: Json) -> list[str]:
    return json.dumps(definition, indent=2, ensure_ascii=False, sort_keys=True).splitlines()
