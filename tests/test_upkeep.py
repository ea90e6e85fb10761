"""Maintenance mode and key rotation on the command line, beside a server that runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import requests

from tests import plugin_folder
from tests.served import ROOT, Served, served


def said_to_calls(server: Served) -> set[str]:
    """What calls are told, so many that every process has answered one."""
    return {server.call("well").json()["result"]["content"][0]["text"] for _ in range(12)}


def test_what_an_operator_does_holds_for_the_next_call_of_every_process_that_runs(
    tmp_path: Path, redis_url: str
) -> None:
    settings = plugin_folder.settings(tmp_path, redis_url, plugin_folder.WELL) | {
        "MCPWEB_WEB_WORKERS": "2",
    }
    keys = tmp_path / "home" / "keys" / "encryption_keys"

    def mcpweb(*arguments: str) -> subprocess.CompletedProcess[str]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("MCPWEB_")} | settings
        command = [sys.executable, "-m", "mcpweb", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)

    with served(plugin_folder.NAME, "alice@example.com", **settings) as server:
        assert said_to_calls(server) == {"well"}
        old = keys.read_text()

        done = mcpweb("maintenance", "on", "--message", "New disk.")
        assert done.returncode == 0 and "maintenance mode is on until" in done.stdout
        [said] = said_to_calls(server)
        assert "closed for maintenance" in said and "New disk." in said
        assert requests.get(f"{server.url}/instances", timeout=10).status_code == 503

        done = mcpweb("rotate-keys", "--new-key")
        assert done.returncode == 0, done.stderr
        assert "0 to go" in done.stdout and "1  seals" in done.stdout and "0  may be taken out" in done.stdout
        assert keys.stat().st_mode & 0o777 == 0o600 and keys.read_text().endswith(f",{old}")

        assert "maintenance mode is off" in mcpweb("maintenance", "off").stdout
        # No process remembers the credential any more, and none knew the new key when it started.
        assert said_to_calls(server) == {"well"}

    new = keys.read_text()
    keys.write_text(f"{new.partition(':')[0]}:{old.partition(':')[2]}")
    done = mcpweb("rotate-keys", "--new-key")
    assert done.returncode == 1 and "is not the one that was used before" in done.stderr
    assert keys.read_text() == f"{new.partition(':')[0]}:{old.partition(':')[2]}"
