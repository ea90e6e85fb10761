"""`mcpweb migrate` and `mcpweb services`: what plugins there are becomes rows, and doing it again changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mcpweb.cli import cli
from mcpweb.database import db
from mcpweb.instances import registration
from mcpweb.instances.house import house
from mcpweb.instances.models import Instance, ServiceRow
from mcpweb.logs.models import AuditEvent
from tests.instances.endpoint import call
from tests.plugin_folder import plugin


@pytest.fixture
def command(app: object, environ: dict[str, str], process_state: None, tmp_path: Path) -> Callable[..., Result]:
    """Runs `mcpweb` with the shipped plugins and those in a folder of the test."""
    ports = tmp_path / "ports.toml"
    ports.write_text("github = 8101\nfigma = 8102\nweather = 8150\ntides = 8151\n")
    (tmp_path / "plugins").mkdir()
    environ = environ | {"MCPWEB_PLUGINS": str(tmp_path / "plugins"), "MCPWEB_PORTS_FILE": str(ports)}
    return lambda *arguments: CliRunner().invoke(cli, arguments, env=environ, catch_exceptions=False)


def rows() -> dict[str, dict[str, Any]]:
    db.session.rollback()
    return {
        row.name: {name: value for name, value in vars(row).items() if not name.startswith("_")}
        for row in db.session.query(ServiceRow)
    }


def outcomes(result: Result) -> dict[str, str]:
    """Name to outcome, from the printed table."""
    return {line.split()[0]: line.split()[1] for line in result.output.splitlines()}


def test_a_new_plugin_is_registered_and_can_be_connected(command, tmp_path):
    plugin(tmp_path / "plugins")

    result = command("migrate")

    assert result.exit_code == 0
    assert outcomes(result) == {"figma": "unchanged", "github": "unchanged", "weather": "registered"}
    assert "port 8150" in result.output and "1 tools" in result.output
    assert (rows()["weather"]["port"], rows()["weather"]["is_enabled"]) == (8150, True)
    assert "service.register" in [event.action for event in db.session.query(AuditEvent)]


def test_migrating_again_changes_nothing(command, tmp_path):
    plugin(tmp_path / "plugins")
    command("migrate")
    before, audited = rows(), db.session.query(AuditEvent).count()

    result = command("migrate")

    assert set(outcomes(result).values()) == {"unchanged"}
    assert rows() == before
    assert db.session.query(AuditEvent).count() == audited


def test_looking_changes_nothing(command, tmp_path):
    plugin(tmp_path / "plugins")
    before = rows()

    assert outcomes(command("services"))["weather"] == "registered"
    assert rows() == before


def test_a_changed_manifest_is_taken_over(command, tmp_path):
    plugin(tmp_path / "plugins")
    command("migrate")
    plugin(tmp_path / "plugins", change={'title = "Weather"': 'title = "Weather and wind"'})

    assert outcomes(command("migrate"))["weather"] == "changed"

    assert rows()["weather"]["title"] == "Weather and wind"


def test_a_plugin_that_breaks_is_kept_but_switched_off_and_the_rest_goes_on(command, tmp_path, make_instance):
    folder = plugin(tmp_path / "plugins")
    plugin(tmp_path / "plugins", "tides", 8151)
    command("migrate")
    (folder / "plugin.toml").write_text("broken")

    result = command("migrate")

    assert result.exit_code == 0, "one broken plugin stops nothing"
    assert outcomes(result) == {"figma": "unchanged", "github": "unchanged", "tides": "unchanged", "weather": "broken"}
    assert str(folder / "plugin.toml") in result.output
    assert {name: row["is_enabled"] for name, row in rows().items()} == {
        "figma": True,
        "github": True,
        "tides": True,
        "weather": False,
    }
    assert command("migrate", "--strict").exit_code == 1

    plugin(tmp_path / "plugins")
    assert outcomes(command("migrate"))["weather"] == "changed"
    assert rows()["weather"]["is_enabled"]


def test_a_plugin_whose_folder_is_gone_is_switched_off(command, tmp_path):
    folder = plugin(tmp_path / "plugins")
    command("migrate")
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    folder.rmdir()

    assert outcomes(command("migrate"))["weather"] == "missing"
    assert not rows()["weather"]["is_enabled"]
    assert command("migrate", "--strict").exit_code == 1


def test_a_second_folder_of_the_same_name_disturbs_nothing(command, tmp_path):
    plugin(tmp_path / "plugins", "github", 8101)
    before, audited = rows(), db.session.query(AuditEvent).count()

    result = command("migrate")

    assert "github" in result.output and "another folder has this name" in result.output
    assert rows() == before
    assert db.session.query(AuditEvent).count() == audited


def test_the_instances_of_a_broken_service_stay_and_their_endpoints_refuse(
    command, make_instance, app, alice, other_app, tmp_path
):
    instance, token = make_instance()
    broken = tmp_path / "broken-ports.toml"
    broken.write_text("figma = 8102\n")
    without = other_app(ports_file=str(broken))
    with without.app_context():
        registration.register(house().registry)

    assert call(without, instance.id, token)[0] == 401
    alice.transport.client.application = without
    assert alice.get(f"/instances/{instance.id}").status == 200
    assert alice.get("/services/github/connect").status == 404
    db.session.rollback()
    assert db.session.query(Instance).count() == 1


def test_a_bad_setting_is_told_in_a_sentence(app, environ, process_state):
    result = CliRunner().invoke(cli, ["services"], env=environ | {"MCPWEB_BIND": "nowhere", "MCPWEB_WEB_THREADS": "x"})

    assert result.exit_code == 1
    assert "MCPWEB_BIND must be host:port" in result.output
    assert "MCPWEB_WEB_THREADS must be a whole number" in result.output
    assert "Traceback" not in result.output
