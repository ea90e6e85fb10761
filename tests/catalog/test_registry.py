"""Finding plugins: the good ones are there, each bad one is named, and none stops another."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcpweb.catalog import registry
from mcpweb.catalog.destinations import parse
from mcpweb.catalog.manifest import PluginError
from mcpweb.catalog.outgoing import DestinationRefused, Outgoing
from mcpweb.catalog.registry import Registry
from tests.plugin_folder import TOOLS, plugin

PORTS = {"weather": 8150, "tides": 8151, "moon": 8152}


def discover(*parents: Path, ports: dict[str, int] | None = None, base_urls: dict[str, str] | None = None) -> Registry:
    return registry.discover(parents, ports or PORTS, base_urls or {})


def test_every_good_plugin_is_found_with_its_tools(tmp_path):
    plugin(tmp_path, "weather", 8150)
    plugin(tmp_path, "tides", 8151)

    found = discover(tmp_path)

    assert found.problems == {}
    assert set(found.services) == {"weather", "tides"}
    service = found.services["weather"]
    assert (service.name, service.title, service.port, set(service.tools)) == (
        "weather",
        "Weather",
        8150,
        {"get_forecast"},
    )


BROKEN = {
    "no manifest rules": ({"port = 8151": "port = 80"}, TOOLS, "plugin.toml", "port"),
    "another port": ({"port = 8151": "port = 8199"}, TOOLS, "plugin.toml", "ports.toml"),
    "syntax": ({}, "def (:\n", "tools.py", "SyntaxError"),
    "import": ({}, "import no_such_module\n", "tools.py", "no_such_module"),
    "raises": ({}, "raise RuntimeError('at import')\n", "tools.py", "at import"),
    "exits": ({}, "import sys\nsys.exit(3)\n", "tools.py", "SystemExit"),
    "no tool": ({}, "x = 1\n", "tools.py", "defines no tool"),
    "undescribed": ({}, TOOLS.replace('Annotated[str, "Name of a town."]', "str"), "tools.py", "Annotated"),
    "long name": ({}, TOOLS.replace("get_forecast", "get_" + "x" * 61), "tools.py", "64 characters"),
}


@pytest.mark.parametrize(("change", "tools", "file", "words"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_named_and_left_out_and_the_rest_works(change, tools, file, words, tmp_path):
    plugin(tmp_path, "moon", 8152)
    plugin(tmp_path, "tides", 8151, change=change, tools=tools)
    plugin(tmp_path, "weather", 8150)

    found = discover(tmp_path)

    assert set(found.services) == {"moon", "weather"}
    assert set(found.problems) == {"tides"}
    assert str(tmp_path / "tides" / file) in found.problems["tides"]
    assert words in found.problems["tides"]


def test_of_two_on_one_port_the_second_is_refused(tmp_path):
    plugin(tmp_path, "tides", 8150)
    plugin(tmp_path, "weather", 8150)

    found = discover(tmp_path, ports={"tides": 8150, "weather": 8150})

    assert set(found.services) == {"tides"}
    assert found.problems["weather"].endswith("port: 8150 is already the port of tides")


def test_a_plugin_that_is_not_in_the_table_of_ports_is_refused(tmp_path):
    plugin(tmp_path, "weather", 8150)

    found = discover(tmp_path, ports={"tides": 8151})

    assert "port" in found.problems["weather"] and not found.services


def test_a_second_folder_of_the_same_name_does_not_replace_the_first(tmp_path):
    plugin(tmp_path / "shipped", "weather", 8150)
    plugin(tmp_path / "own", "weather", 8150, tools=TOOLS.replace("get_forecast", "steal_forecast"))

    found = discover(tmp_path / "shipped", tmp_path / "own")

    assert set(found.services["weather"].tools) == {"get_forecast"}
    assert found.problems == {"weather": f"{tmp_path / 'own/weather/plugin.toml'}: name: another folder has this name"}


def test_folders_without_a_manifest_and_plain_files_are_passed_by(tmp_path):
    plugin(tmp_path, "weather", 8150)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "notes.txt").write_text("x")

    assert set(discover(tmp_path).services) == {"weather"}
    assert discover(tmp_path).problems == {}


def test_a_folder_that_is_not_there_is_named_and_the_others_are_read(tmp_path):
    plugin(tmp_path / "here", "weather", 8150)

    found = discover(tmp_path / "nowhere", tmp_path / "here")

    assert set(found.services) == {"weather"}
    assert str(tmp_path / "nowhere") in found.problems["nowhere"]


def test_the_modules_of_a_plugin_import_each_other_and_nobody_elses(tmp_path):
    for name, port in (("weather", 8150), ("tides", 8151)):
        tools = f"from .words import SENTENCE\n\nassert SENTENCE == '{name}'\n{TOOLS}"
        folder = plugin(tmp_path, name, port, tools=tools)
        (folder / "words.py").write_text(f"SENTENCE = '{name}'\n")

    assert discover(tmp_path).problems == {}


def test_loading_again_sees_what_has_changed(tmp_path):
    plugin(tmp_path, "weather", 8150)
    discover(tmp_path)
    plugin(tmp_path, "weather", 8150, tools=TOOLS.replace("get_forecast", "get_outlook_for_days"))

    assert set(discover(tmp_path).services["weather"].tools) == {"get_outlook_for_days"}


def test_headers_are_filled_from_the_credential_and_do_not_show_it(tmp_path):
    plugin(tmp_path, "weather", 8150)
    service = discover(tmp_path).services["weather"]

    api = service.api({"key": "01234567", "region": "north"}, Outgoing())

    assert dict(api.headers) == {"Authorization": "Bearer 01234567", "X-Region": "eu-north"}
    assert "01234567" not in repr(api)
    assert api.secrets == (b"01234567",), "what is too short to be a secret stays in answers"


def test_only_the_manifests_hosts_are_reached(tmp_path):
    plugin(tmp_path, "weather", 8150)
    to = discover(tmp_path).services["weather"].upstream.destinations

    assert parse("https://api.weather.example/x", to)
    assert parse("https://a.cdn.weather.example/x", to)
    for url in (
        "https://weather.example/",
        "http://api.weather.example/",
        "https://127.0.0.1/",
        "https://evil.example/",
    ):
        with pytest.raises(DestinationRefused):
            parse(url, to)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9000/api/v3", "https://weather.internal"])
def test_the_operators_address_replaces_the_manifests_and_may_be_private(address, tmp_path):
    plugin(tmp_path, "weather", 8150)

    upstream = discover(tmp_path, base_urls={"weather": address + "/"}).services["weather"].upstream

    assert upstream.base_url == address
    assert parse(f"{address}/x", upstream.destinations)[0].may_be_private


def test_the_table_of_ports_is_read(tmp_path):
    (tmp_path / "ports.toml").write_text("# comment\nweather = 8150\n")

    assert registry.read_ports(tmp_path / "ports.toml") == {"weather": 8150}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("weather = '8150'", "weather: must be a port number"),
        ("weather = true", "weather: must be a port number"),
        ("[weather]\nport = 1", "weather: must be a port number"),
        ("weather", "can not be read"),
        (None, "can not be read"),
    ],
)
def test_a_bad_table_of_ports_is_named(content, words, tmp_path):
    if content is not None:
        (tmp_path / "ports.toml").write_text(content)

    with pytest.raises(PluginError, match=words):
        registry.read_ports(tmp_path / "ports.toml")
