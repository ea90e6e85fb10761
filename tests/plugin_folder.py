"""Plugin folders for tests: a good one, to be spoilt by one change at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

MANIFEST = """\
name = "{name}"
title = "Weather"
summary = "Forecasts for places."
category = "Data"
logo = "logo.svg"
port = {port}
base_url = "https://api.weather.example"
hosts = ["api.weather.example", "*.cdn.weather.example"]
docs_url = "https://weather.example/docs"

[headers]
Authorization = "Bearer {{key}}"
X-Region = "eu-{{region}}"

[[credential]]
name = "key"
label = "API key"
help = "Under settings."
secret = true
pattern = "[0-9a-f]{{8}}"
format = "has 8 characters, 0-9 and a-f"
link = "https://weather.example/keys"
link_label = "Create a key"
scopes = [
    {{ name = "read", why = "read forecasts", implied_by = ["write"] }},
    {{ name = "history", why = "read the past", optional = true }},
]

[[credential]]
name = "region"
label = "Region"
secret = false

[[check]]
when = "^0"
path = "/old-account"

[[check]]
path = "/account"
account = "owner.name"
scopes_header = "X-Scopes"
expires_header = "X-Expires"

[[error]]
status = 403
contains = "Bad key"
means = "key_refused"

[[error]]
status = 418
header = "x-limit: 0"
means = "rate_limited"

[rate_limit]
reset = "x-reset"
"""

TOOLS = '''\
from typing import Annotated

from mcpweb.plugin_api import Api, tool


@tool("Forecast", read_only=True)
def get_forecast(api: Api, place: Annotated[str, "Name of a town."]) -> object:
    """Return the forecast for one place."""
    return api.get("/forecast/{place}", place=place)
'''

WELL = '''\
from typing import Annotated

from mcpweb.plugin_api import Api, tool


@tool("Well", read_only=True)
def well(api: Api, number: Annotated[int, "Any."] = 0) -> str:
    """Ask nobody."""
    return "well"
'''
"""A tool that asks no service."""

NAME, PORT = "weather", 8150


def plugin(
    parent: Path,
    name: str = NAME,
    port: int = PORT,
    *,
    change: Mapping[str, str] | None = None,
    manifest: str | bytes | None = None,
    tools: str = TOOLS,
) -> Path:
    """A plugin in a folder of its own; each text of `change` in its manifest is replaced."""
    folder = parent / name
    folder.mkdir(parents=True, exist_ok=True)
    text = MANIFEST.format(name=name, port=port) if manifest is None else manifest
    for old, new in (change or {}).items():
        assert isinstance(text, str) and old in text, old
        text = text.replace(old, new, 1)
    (folder / "plugin.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    (folder / "tools.py").write_text(tools)
    (folder / "logo.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    return folder


def settings(folder: Path, redis_url: str, tools: str) -> dict[str, str]:
    """Lay the plugin and its table of ports into the folder; what an operator would set to serve it from there."""
    plugin(folder / "plugins", tools=tools)
    (folder / "ports.toml").write_text(f"{NAME} = {PORT}\n")
    return {
        "MCPWEB_HOME": str(folder / "home"),
        "MCPWEB_REDIS_URL": redis_url,
        "MCPWEB_PLUGINS": str(folder / "plugins"),
        "MCPWEB_PORTS_FILE": str(folder / "ports.toml"),
    }
