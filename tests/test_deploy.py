"""What `deploy/` ships says the same as the program: names of settings, commands, ports, times to end."""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mcpweb import setting_names
from mcpweb.cli import cli
from mcpweb.config import load
from mcpweb.settings import Settings

DEPLOY = Path(__file__).parent.parent / "deploy"
UNITS = DEPLOY / "systemd"
ROLES = {"web", "worker", "ticker"}
IMAGE = "localhost/mcpweb"
MOST_EXPOSED = 1.5
"""Of systemd's figures for a unit: 10 is unprotected."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file, merged as compose does it."""
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return loaded


def _ours(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: service for name, service in compose["services"].items() if service["image"] == IMAGE}


def test_every_setting_and_command_that_is_shipped_exists(compose):
    texts = {path: path.read_text() for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    shipped = {path: text for path, text in texts.items() if path.suffix not in (".py", ".html", ".toml")}

    for path, text in shipped.items():
        named = re.findall(r"MCPWEB_[A-Z_]*[A-Z]", text)
        assert setting_names.unknown(dict.fromkeys(named, "")) == [], path
    for path in UNITS.glob("*.service"):
        (command,) = re.findall(r"^ExecStart=/opt/mcpweb/current/bin/mcpweb (\S+)$", path.read_text(), re.MULTILINE)
        assert command in cli.commands and command == path.stem.removeprefix("mcpweb-")
    plain = {name: service["command"] for name, service in _ours(compose).items() if "entrypoint" not in service}
    assert plain == {name: [name] for name in ROLES | {"migrate"}} | {"command": ["--help"]}
    containerfile = (DEPLOY / "Containerfile").read_text()
    assert 'ENTRYPOINT ["mcpweb"]' in containerfile and 'CMD ["web"]' in containerfile


def test_every_part_runs_and_they_all_start_with_the_units_and_with_compose(compose):
    assert {path.stem.removeprefix("mcpweb-") for path in UNITS.glob("*.service")} == ROLES | {"migrate"}
    for name in ROLES | {"migrate"}:
        assert f"mcpweb-{name}.service" in (UNITS / "mcpweb.target").read_text()
    assert compose["services"].keys() == ROLES | {"migrate", "command", "front", "nginx", "postgres", "valkey"}
    unasked = {name for name, service in compose["services"].items() if "profiles" not in service}
    assert unasked == compose["services"].keys() - {"command"}
    # podman starts only these again when the machine was restarted.
    assert all(compose["services"][name]["restart"] == "always" for name in unasked - {"migrate", "front"})


def test_the_settings_of_the_image_and_of_compose_can_be_used(compose, tmp_path):
    image = dict(re.findall(r"(MCPWEB_\w+)=(\S+)", (DEPLOY / "Containerfile").read_text()))
    (given,) = re.findall(r"^```\n(MCPWEB_.*?)^```$", _chapter("Containers"), re.MULTILINE | re.DOTALL)
    secrets = {
        "database-url": "postgresql://mcpweb:secret@postgres/mcpweb",
        "redis-url": "redis://:secret@valkey:6379/0",
        "secret-key": "k" * 64,
        "encryption-keys": "k1:c2VjcmV0",
        "mail-password": "",
        "backup-passphrase": "p" * 32,
    }
    for name, text in secrets.items():
        (tmp_path / name).write_text(text)
    for name, service in _ours(compose).items():
        assert set(service["secrets"]) == secrets.keys() - ({"backup-passphrase"} if name != "command" else set())
        assert service["env_file"] == "mcpweb.env"
        environ = image | dict(re.findall(r"^(MCPWEB_\w+)=(.+)$", given, re.MULTILINE))
        environ |= {key: value.replace("/run/secrets", str(tmp_path)) for key, value in service["environment"].items()}

        settings = load(environ)

        assert settings.database_url.startswith("postgresql+psycopg://") and settings.redis_url and settings.is_https
        assert not settings.has_local_mailbox
        nginx = compose["services"]["nginx"]["networks"]["front"]["ipv4_address"]
        assert settings.trusted_proxies == (f"{nginx}/32",)


def test_all_agree_on_the_port(compose):
    host, port = Settings().bind
    assert f"ListenStream={host}:{port}\n" in (UNITS / "mcpweb-web.socket").read_text()
    containerfile = (DEPLOY / "Containerfile").read_text()
    assert f"EXPOSE {port}\n" in containerfile and f"MCPWEB_BIND=0.0.0.0:{port}\n" in containerfile
    web = compose["services"]["web"]
    assert f"http://127.0.0.1:{port}/readyz" in web["healthcheck"]["test"]
    # nginx asks for a name once, when it starts; a container that is made anew would have another address.
    address = web["networks"]["front"]["ipv4_address"]
    assert f"--web {address}:{port}" in compose["services"]["front"]["command"][0]
    assert compose["services"]["command"]["environment"]["MCPWEB_BIND"] == f"{address}:{port}"
    assert {name for name, service in compose["services"].items() if "ports" in service} == {"nginx"}


def test_nobody_is_killed_before_the_graceful_time_of_gunicorn_is_over(compose):
    (graceful_s,) = re.findall(r"^graceful_timeout = (\d+)", (DEPLOY / "gunicorn.conf.py").read_text(), re.MULTILINE)
    (unit,) = re.findall(r"^TimeoutStopSec=(\d+)$", (UNITS / "mcpweb-web.service").read_text(), re.MULTILINE)
    assert int(unit) > int(graceful_s)
    assert int(compose["services"]["web"]["stop_grace_period"].removesuffix("s")) > int(graceful_s)


def test_idle_connections_of_nginx_hold_up_the_exchange_of_a_web_server_for_a_few_seconds_at_most():
    upstream = (DEPLOY / "nginx.conf").read_text().partition("    upstream {{ name }} {")[2].partition("    }\n")[0]
    (idle_s,) = re.findall(r"^ +keepalive_timeout (\d+)s;$", upstream, re.MULTILINE)
    assert int(idle_s) <= 5


def test_a_container_can_write_to_its_volumes_alone_and_is_nobody_special(compose):
    for name, service in compose["services"].items():
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert service["image"] == IMAGE or re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"]), name
        # Where it can write and nobody deletes is what the README lists.
        for place in service.get("volumes", ()):
            assert place.partition(":")[0] in compose["volumes"], name
    last_stage = (DEPLOY / "Containerfile").read_text().rpartition("\nFROM ")[2]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", last_stage, re.MULTILINE)
    assert not re.search(r"\bpip\b|gcc|build-essential|-dev\b", last_stage)
    assert compose["networks"]["back"]["internal"]
    assert compose["services"]["postgres"]["networks"] == compose["services"]["valkey"]["networks"] == ["back"]


def test_the_image_is_built_once_and_never_asked_of_a_registry(compose):
    assert [name for name, service in compose["services"].items() if "build" in service] == ["migrate"]
    assert all(service["pull_policy"] == "never" for service in _ours(compose).values())
    for name, service in compose["services"].items():
        assert service["image"] == IMAGE or "/" in service["image"].partition(".")[2], name


def test_no_container_can_be_given_the_fixed_address_of_another(compose):
    (given,) = compose["networks"]["front"]["ipam"]["config"]
    fixed = [
        ipaddress.ip_address(service["networks"]["front"]["ipv4_address"])
        for service in compose["services"].values()
        if isinstance(service["networks"], dict)
    ]

    assert len(set(fixed)) == len(fixed) == 2
    assert all(address in ipaddress.ip_network(given["subnet"]) for address in fixed)
    assert not any(address in ipaddress.ip_network(given["ip_range"]) for address in fixed)


def test_podman_understands_the_tmpfs_and_the_health_checks(compose):
    for name, service in compose["services"].items():
        for mount in service.get("tmpfs", ()):
            assert not re.search(r"[:,][ug]id=", mount), name
        check = service.get("healthcheck", {}).get("test", "")
        # The words of a list are taken apart at their spaces.
        assert isinstance(check, str) or check[0] == "CMD-SHELL" or not any(" " in word for word in check), name


def test_the_image_holds_no_secret_that_lies_beside_its_sources(compose):
    ignored = (DEPLOY.parent / ".dockerignore").read_text().splitlines()
    places = {Path(secret["file"]).parent for secret in compose["secrets"].values()}

    assert places == {Path("secrets")} and "deploy/secrets" in ignored[ignored.index("!deploy") :]
    assert {"deploy/.env", "deploy/*.env"} <= set(ignored[ignored.index("!deploy") :])
    assert {"/deploy/secrets/", "/deploy/mcpweb.env", "/deploy/.env"} <= set(
        (DEPLOY.parent / ".gitignore").read_text().splitlines()
    )
    copied = re.findall(r"^COPY ([^-\n].*) \S+$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
    assert {f"!{name}" for line in copied for name in line.split()} == {line for line in ignored if line[0] == "!"}


def test_the_image_can_make_a_backup_of_the_server_that_compose_starts(compose):
    server = compose["services"]["postgres"]["image"].rpartition(":")[2]
    for tool in ("pg_dump", "pg_restore"):
        assert f"/usr/lib/postgresql/{server}/bin/{tool} " in (DEPLOY / "Containerfile").read_text()
    command = compose["services"]["command"]
    assert command["environment"]["MCPWEB_BACKUP_PASSPHRASE_FILE"] == "/run/secrets/backup-passphrase"
    assert "backups:/var/lib/mcpweb-backups" in command["volumes"]
    assert "command backup /var/lib/mcpweb-backups/" in _chapter("Containers")
    # Nobody wants a migration in front of a restore.
    assert "migrate" not in command["depends_on"]


def test_the_secrets_of_the_units_are_credentials_and_in_no_environment():
    text = (UNITS / "mcpweb-.service.d" / "50-common.conf").read_text()
    loaded = dict(re.findall(r"^LoadCredential=([a-z-]+):(\S+)$", text, re.MULTILINE))
    named = dict(re.findall(r"^Environment=(MCPWEB_\w+)_FILE=%d/([a-z-]+)$", text, re.MULTILINE))

    assert set(named.values()) == loaded.keys()
    assert all(path == f"/etc/mcpweb/secrets/{name}" for name, path in loaded.items())
    assert {"MCPWEB_SECRET_KEY", "MCPWEB_ENCRYPTION_KEYS", "MCPWEB_DATABASE_URL", "MCPWEB_REDIS_URL"} <= named.keys()
    assert "LimitCORE=0" in text


def test_a_command_of_root_has_the_passphrase_and_a_folder_for_backups_which_no_service_has():
    command = (UNITS / "mcpweb-command-.service.d" / "60-backup.conf").read_text()
    common = (UNITS / "mcpweb-.service.d" / "50-common.conf").read_text()

    assert "LoadCredential=backup-passphrase:/etc/mcpweb/secrets/backup-passphrase\n" in command
    assert "Environment=MCPWEB_BACKUP_PASSPHRASE_FILE=%d/backup-passphrase\n" in command
    assert "StateDirectory=mcpweb-backups\n" in command and "backup" not in common
    assert '--unit="mcpweb-command-$$"' in (UNITS / "mcpweb").read_text()
    assert "mcpweb backup /var/lib/mcpweb-backups/" in _chapter("A host with systemd")


def test_the_commands_of_the_readme_make_every_secret_and_leave_no_umask_behind(tmp_path):
    drop_ins = "".join(path.read_text() for path in UNITS.glob("*.d/*.conf"))
    blocks = re.findall(r"^```\n(.*?)^```$", _chapter("A host with systemd"), re.MULTILINE | re.DOTALL)
    commands = [block for block in blocks if not block.startswith("MCPWEB_")]
    settings = dict(re.findall(r"^(MCPWEB_\w+)=(.+)$", "".join(blocks), re.MULTILINE))

    for block in commands:
        subprocess.run(["sh", "-n"], input=block, text=True, check=True)
    (secrets,) = (block for block in commands if "/etc/mcpweb/secrets" in block)
    made = re.findall(r"(?:^touch |>)([a-z-]+)$", secrets, re.MULTILINE)
    assert sorted(made) == sorted(re.findall(r"^LoadCredential=([a-z-]+):", drop_ins, re.MULTILINE))
    # In a shell of its own: what is installed afterwards by the same person has to be readable.
    assert secrets.startswith("(\n") and secrets.endswith("\n)\n")
    assert not any("umask" in block for block in commands if block != secrets)
    assert setting_names.unknown(settings) == [] and load({**settings, "MCPWEB_HOME": str(tmp_path)}).is_https


def test_the_commands_of_the_readme_make_every_secret_of_the_containers(compose):
    blocks = re.findall(r"^```\n(.*?)^```$", _chapter("Containers"), re.MULTILINE | re.DOTALL)
    commands = [block for block in blocks if not block.startswith("MCPWEB_")]

    for block in commands:
        subprocess.run(["sh", "-n"], input=block, text=True, check=True)
    (secrets,) = (block for block in commands if "deploy/secrets" in block)
    made = set(re.findall(r"(?:^touch |>)([a-z-]+)$", secrets, re.MULTILINE))
    files = {Path(secret["file"]).name for secret in compose["secrets"].values()}
    assert made == files - {"certificate.pem", "certificate-key.pem"}
    named = [re.findall(r"podman compose run [-\w ]*?--rm (?:-T )?(\w+)", block) for block in commands]
    assert {name for names in named for name in names} == {"command", "front"} <= compose["services"].keys()


def _chapter(title: str) -> str:
    """A chapter of the README, without its title."""
    readme = (DEPLOY.parent / "README.md").read_text()
    return readme.partition(f"### {title}\n")[2].partition("\n### ")[0]


def test_systemd_understands_the_units_and_finds_little_exposed(tmp_path):
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        pytest.skip("no systemd-analyze on the PATH (install Debian's package systemd)")
    shutil.copytree(UNITS, tmp_path / "units")
    for unit in (tmp_path / "units").glob("*.service"):
        unit.write_text(unit.read_text().replace("/opt/mcpweb/current/bin", str(Path(sys.executable).parent)))
    environ = {**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path / 'units'}:"}
    units = sorted(str(path) for path in (tmp_path / "units").glob("mcpweb*.*") if path.is_file())

    said = subprocess.run([analyze, "verify", *units], env=environ, capture_output=True, text=True)

    assert (said.returncode, said.stderr) == (0, "")
    for unit in (unit for unit in units if unit.endswith(".service")):
        command = [analyze, "security", "--offline=true", "--no-pager", unit]
        table = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
        found = re.search(r"exposure level for (\S+): ([\d.]+)", table)
        assert found, table
        print(f"{found[1]}: exposure {found[2]}")
        assert float(found[2]) <= MOST_EXPOSED, table
