"""What one service offers to clients, in the forms they ask for it: made once in each process, then only looked up."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from mcpweb.catalog.content import Prompt, Resource, ResourceTemplate
from mcpweb.catalog.registry import Service
from mcpweb.catalog.tools import Tool
from mcpweb.gateway.arguments import Arguments
from mcpweb.gateway.revisions import MODERN, SERVER_INFO

LIST_TTL_MS = 60_000
"""How long a client may keep a list. We announce no changes, and an owner may switch a tool off."""

_MAX_SELECTIONS = 500

Json = dict[str, Any]
ToolNames = frozenset[str] | None
"""The tools that an instance's owner left on; None means all."""


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A tool with its compiled input schema."""

    tool: Tool
    arguments: Arguments


@dataclass(slots=True)
class Offer:
    """A service's tools, prompts and resources, its capabilities, and the encoded answers that never change."""

    service: Service
    server_info: Mapping[str, Any]
    tools: Mapping[str, OfferedTool]
    resources: Mapping[str, Resource]
    capabilities: Json
    meta: orjson.Fragment
    _lists: dict[tuple[str, bool, ToolNames], orjson.Fragment] = field(default_factory=dict)

    @classmethod
    def of(cls, service: Service, server_info: Mapping[str, Any]) -> Offer:
        """Make everything ready that depends on the service alone.

        Raises:
            jsonschema_rs.ValidationError: a tool's input schema is none.
        """
        info = {**server_info, "title": service.title}
        return cls(
            service=service,
            server_info=info,
            tools={name: OfferedTool(tool, Arguments(tool)) for name, tool in service.tools.items()},
            resources={resource.uri: resource for resource in service.resources},
            capabilities=_capabilities(service),
            meta=orjson.Fragment(orjson.dumps({SERVER_INFO: info})),
        )

    @property
    def digest(self) -> str:
        """A hash over names, descriptions and schemas of all tools."""
        return hashlib.sha256(orjson.dumps(_tools(self.service, None), option=orjson.OPT_SORT_KEYS)).hexdigest()

    def listing(self, method: str, modern: bool, tool_names: ToolNames) -> orjson.Fragment:
        """The encoded result of one of the four list methods; every list fits on one page."""
        key = (method, modern, tool_names if method == "tools/list" else None)
        found = self._lists.get(key)
        if found is None:
            if len(self._lists) >= _MAX_SELECTIONS:
                self._lists.clear()
            found = self._lists[key] = self._encode(_LISTS[method](self.service, tool_names), modern)
        return found

    def discovery(self) -> orjson.Fragment:
        """The encoded result of `server/discover`."""
        key = ("server/discover", True, None)
        if key not in self._lists:
            self._lists[key] = self._encode({"supportedVersions": [MODERN], "capabilities": self.capabilities}, True)
        return self._lists[key]

    def _encode(self, result: Json, modern: bool) -> orjson.Fragment:
        if modern:
            # Private: what is on the list is the choice of one instance's owner.
            result |= {"resultType": "complete", "ttlMs": LIST_TTL_MS, "cacheScope": "private", "_meta": self.meta}
        return orjson.Fragment(orjson.dumps(result))


def _tools(service: Service, names: ToolNames) -> Json:
    tools = (tool for name, tool in service.tools.items() if names is None or name in names)
    return {"tools": [tool.definition() for tool in tools]}


def _prompts(service: Service, _: ToolNames) -> Json:
    return {"prompts": [prompt.definition() for prompt in service.prompts.values()]}


def _resources(service: Service, _: ToolNames) -> Json:
    return {"resources": [resource.definition() for resource in service.resources]}


def _templates(service: Service, _: ToolNames) -> Json:
    return {"resourceTemplates": [template.definition() for template in service.resource_templates]}


_LISTS: Mapping[str, Callable[[Service, ToolNames], Json]] = {
    "tools/list": _tools,
    "prompts/list": _prompts,
    "resources/list": _resources,
    "resources/templates/list": _templates,
}


def _capabilities(service: Service) -> Json:
    """Only what the service has. No listChanged and no subscribe: nothing is pushed."""
    completable: list[Prompt | ResourceTemplate] = [*service.prompts.values(), *service.resource_templates]
    have = {
        "tools": bool(service.tools),
        "prompts": bool(service.prompts),
        "resources": bool(service.resources or service.resource_templates),
        "completions": any(item.complete for item in completable),
        "logging": any(tool.streams for tool in service.tools.values()),
    }
    return {name: {} for name, has in have.items() if has}
