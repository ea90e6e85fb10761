"""What holds for every plugin that is shipped, and for the one in the README."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema_rs
import pytest

from mcpweb.catalog import registry
from mcpweb.catalog.registry import Service
from mcpweb.catalog.tools import Tool
from mcpweb.shipped import folder

ROOT = Path(__file__).parent.parent
FOUND = registry.discover([folder("plugins")], registry.read_ports(folder("deploy") / "ports.toml"), {})
TOOLS = [(service, tool) for service in FOUND.services.values() for tool in service.tools.values()]


def test_every_shipped_plugin_loads() -> None:
    assert FOUND.problems == {}
    assert set(FOUND.services) == {path.parent.name for path in folder("plugins").glob("*/plugin.toml")}


@pytest.mark.parametrize(("service", "tool"), TOOLS, ids=lambda one: one.name)
def test_a_tool_tells_a_model_what_it_needs(service: Service, tool: Tool) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]{1,39}", tool.name), "clients put a prefix before it and allow 60 in all"
    assert 20 <= len(tool.description) <= 1500
    assert not (tool.read_only and tool.destructive)
    jsonschema_rs.meta.validate(dict(tool.input_schema))
    for name, shape in tool.input_schema["properties"].items():
        assert len(shape["description"]) >= 5, f"{tool.name}: {name}"


@pytest.mark.parametrize("service", FOUND.services.values(), ids=lambda one: one.name)
def test_a_services_tools_leave_a_model_room_to_think(service: Service) -> None:
    size = sum(len(str(tool.definition())) for tool in service.tools.values())
    assert size < 60_000, "about 15,000 tokens"


def test_the_plugin_of_the_readme_works_as_written(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    home = tmp_path / "weather"
    home.mkdir()
    for name, language in (("plugin.toml", "toml"), ("tools.py", "python")):
        text = re.search(rf"```{language}\n(.*?)```", readme, re.DOTALL)
        assert text
        (home / name).write_text(text[1])
    (home / "logo.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    port = re.search(r"weather = (\d+)", readme)
    assert port

    found = registry.discover([tmp_path], {"weather": int(port[1])}, {})

    assert found.problems == {}
    assert list(found.services["weather"].tools) == ["get_forecast"]
