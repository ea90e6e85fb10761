"""Which services exist: every plugin folder, validated, loaded once, and found by name."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

from mcpweb.catalog import manifest
from mcpweb.catalog.api import Api, Upstream
from mcpweb.catalog.content import Prompt, Resource, ResourceTemplate
from mcpweb.catalog.manifest import Manifest, PluginError
from mcpweb.catalog.outgoing import Destinations, Outgoing
from mcpweb.catalog.tools import Tool

_MAX_TOOL_NAME = 64
"""The most that MCP clients take. They put the server's name before it, so a shipped plugin stays well below."""
_SECRET_LENGTH = 8
"""A shorter field (a user name, a region) may stand in any text; taking it out would only damage answers."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service that works: its manifest, its tools, and how to reach it."""

    manifest: Manifest
    upstream: Upstream
    tools: Mapping[str, Tool]
    resources: tuple[Resource, ...] = ()
    resource_templates: tuple[ResourceTemplate, ...] = ()
    prompts: Mapping[str, Prompt] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The plugin's folder name, `github`."""
        return self.manifest.name

    @property
    def title(self) -> str:
        """What people call it, `GitHub`."""
        return self.manifest.title

    @property
    def port(self) -> int:
        """The service's own port."""
        return self.manifest.port

    def api(self, credential: Mapping[str, str], client: Outgoing) -> Api:
        """A way to the service with this credential, for one call."""
        headers = {name: template.format_map(credential) for name, template in self.manifest.headers.items()}
        secrets = tuple(value.encode() for value in credential.values() if len(value) >= _SECRET_LENGTH)
        return Api(self.upstream, headers, client, secrets)


@dataclass(frozen=True, slots=True)
class Registry:
    """The services by name, and a sentence for every plugin folder that could not be used."""

    services: Mapping[str, Service]
    problems: Mapping[str, str]


def discover(folders: Iterable[Path], ports: Mapping[str, int], base_urls: Mapping[str, str]) -> Registry:
    """Load every plugin in the given folders; a broken one is reported and left out.

    `ports` is the deployment's table; a service whose manifest says otherwise is refused. `base_urls` are the
    operator's addresses, by service.
    """
    services: dict[str, Service] = {}
    problems: dict[str, str] = {}
    taken: dict[int, str] = {}
    for folder in _plugin_folders(folders, problems):
        try:
            if folder.name in services:
                raise PluginError(f"{folder / 'plugin.toml'}: name: another folder has this name")
            service = _load(folder, ports, base_urls.get(folder.name))
            if other := taken.get(service.port):
                raise PluginError(f"{folder / 'plugin.toml'}: port: {service.port} is already the port of {other}")
        except PluginError as error:
            problems[folder.name] = error.sentence
        else:
            services[service.name] = service
            taken[service.port] = service.name
    return Registry(services, problems)


def _plugin_folders(parents: Iterable[Path], problems: dict[str, str]) -> list[Path]:
    found: list[Path] = []
    for parent in parents:
        try:
            found += sorted(path for path in parent.iterdir() if (path / "plugin.toml").is_file())
        except OSError as error:
            problems[parent.name] = f"{parent}: can not be read: {error.strerror}"
    return found


def read_ports(path: Path) -> dict[str, int]:
    """The deployment's table of service ports.

    Raises:
        PluginError: the file is missing, is no TOML, or holds something else than numbers.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PluginError(f"{path}: can not be read: {error}") from None
    for name, port in table.items():
        if type(port) is not int:
            raise PluginError(f"{path}: {name}: must be a port number")
    return table


def _load(folder: Path, ports: Mapping[str, int], base_url: str | None) -> Service:
    found = manifest.read(folder)
    if ports.get(found.name) != found.port:
        raise PluginError(
            f"{folder / 'plugin.toml'}: port: {found.port} is not what deploy/ports.toml says for {found.name}"
        )
    values = list(vars(_import(folder)).values())
    tools = {value.name: value for value in values if isinstance(value, Tool)}
    for name in tools:
        if len(name) > _MAX_TOOL_NAME:
            raise PluginError(f"{folder / 'tools.py'}: {name}: a tool's name has at most {_MAX_TOOL_NAME} characters")
    if not tools:
        raise PluginError(f"{folder / 'tools.py'}: defines no tool")
    return Service(
        manifest=found,
        upstream=_upstream(found, base_url),
        tools=tools,
        resources=tuple(value for value in values if isinstance(value, Resource)),
        resource_templates=tuple(value for value in values if isinstance(value, ResourceTemplate)),
        prompts={value.name: value for value in values if isinstance(value, Prompt)},
    )


def _upstream(found: Manifest, base_url: str | None) -> Upstream:
    destinations = Destinations(hosts=found.hosts)
    if base_url:
        # Naming an address is how an operator allows it, private or plain http as it may be.
        destinations = replace(destinations, private_hosts=(urlsplit(base_url).netloc,))
    return Upstream(
        title=found.title,
        base_url=(base_url or found.base_url).rstrip("/"),
        destinations=destinations,
        refusals=found.refusals,
        reset_header=found.reset_header,
    )


def _import(folder: Path) -> ModuleType:
    """Import the folder as the package `mcpweb_plugins.<name>`, so that its modules can import each other."""
    package = f"mcpweb_plugins.{folder.name}"
    parent = sys.modules.setdefault("mcpweb_plugins", ModuleType("mcpweb_plugins"))
    parent.__path__ = []
    spec = importlib.util.spec_from_loader(package, loader=None, is_package=True)
    if spec is None:
        raise PluginError(f"{folder}: can not be imported")
    spec.submodule_search_locations = [str(folder)]
    for name in [name for name in sys.modules if name == package or name.startswith(package + ".")]:
        del sys.modules[name]
    sys.modules[package] = importlib.util.module_from_spec(spec)
    try:
        return importlib.import_module(f"{package}.tools")
    except (Exception, SystemExit) as error:  # a plugin is foreign code: whatever it does must not stop the others
        raise PluginError(f"{folder / 'tools.py'}: can not be imported: {type(error).__name__}: {error}") from None
