"""A plugin as the gateway uses it: loaded by the registry, pointed at a server, its tools called with arguments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from mcpweb.catalog import registry
from mcpweb.catalog.outgoing import Outgoing
from mcpweb.plugin_api import Result, UpstreamError
from tests.spec_server import TOKENS

_ROOT = Path(__file__).parents[1]


class CalledPlugin:
    """The plugin of that name, with its service at `url`, as an operator's base URL would put it there."""

    def __init__(self, name: str, url: str, client: Outgoing) -> None:
        ports = registry.read_ports(_ROOT / "deploy" / "ports.toml")
        found = registry.discover([_ROOT / "plugins"], ports, {name: url})
        assert name not in found.problems, found.problems
        self.service = found.services[name]
        self.client = client

    def call(self, tool_name: str, arguments: dict[str, Any], token: str = "good", *, deadline_s: float = 25.0) -> Any:
        """The tool's result as a client reads it: JSON decoded; of several blocks, the first with the others as `text`.

        Raises:
            UpstreamError, ToolError: as the tool does.
        """
        tool = self.service.tools[tool_name]
        jsonschema_rs.Draft202012Validator(dict(tool.input_schema)).validate(arguments)
        credential = {self.service.manifest.fields[0].name: TOKENS[self.service.name][token]}
        api = self.service.api(credential, self.client)
        api.deadline_s = deadline_s
        result = tool.run(api, **arguments)
        if isinstance(result, Result):
            about, *texts = (block["text"] for block in result.content)
            return json.loads(about) | {"text": "".join(texts)}
        return json.loads(json.dumps(result, allow_nan=False))

    def refusal(
        self, tool_name: str, arguments: dict[str, Any], token: str = "good", *, deadline_s: float = 25.0
    ) -> UpstreamError:
        """The error that the call must end in."""
        with pytest.raises(UpstreamError) as caught:
            self.call(tool_name, arguments, token, deadline_s=deadline_s)
        return caught.value
