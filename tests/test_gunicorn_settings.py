from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mcpweb import shipped

WORKER = "mcpweb.web_worker.WebWorker"
SETTINGS = shipped.folder("deploy") / "gunicorn.conf.py"


def _settings(folder: Path, *, limit: str = "", **environ: str) -> dict[str, Any]:
    """What gunicorn itself makes of the file, under these variables and, with `limit`, `ulimit -n`."""
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "-c",
        str(SETTINGS),
        "--print-config",
        "wsgiref.simple_server:demo_app",
    ]
    if limit:
        command = ["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", *command]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MCPWEB_")}
    done = subprocess.run(command, cwd=folder, env={**clean, **environ}, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        name, equals, value = line.partition("=")
        try:
            found[name.strip()] = ast.literal_eval(value.strip()) if equals else None
        except (SyntaxError, ValueError):
            found[name.strip()] = value.strip()
    return found


def test_without_any_variable_one_worker_with_many_threads_listens_on_loopback(tmp_path: Path) -> None:
    found = _settings(tmp_path)

    assert found["bind"] == ["127.0.0.1:8080"]
    assert (found["worker_class"], found["workers"], found["threads"]) == (WORKER, 1, 256)
    assert found["worker_connections"] > found["threads"]
    assert found["forwarded_allow_ips"] == []
    assert found["control_socket_disable"] is True


def test_the_variables_of_mcpweb_decide(tmp_path: Path) -> None:
    found = _settings(
        tmp_path,
        MCPWEB_BIND="[::1]:9000",
        MCPWEB_WEB_WORKERS="3",
        MCPWEB_WEB_THREADS="40",
        MCPWEB_TRUSTED_PROXIES="127.0.0.1/32, 10.0.0.0/8",
    )

    assert found["bind"] == ["[::1]:9000"]
    assert (found["workers"], found["threads"]) == (3, 40)
    assert found["forwarded_allow_ips"] == ["127.0.0.1/32", "10.0.0.0/8"]


def test_the_services_own_ports_are_listened_on_at_the_same_host_when_asked_for(tmp_path: Path) -> None:
    table = tmp_path / "ports.toml"
    table.write_text("github = 8101\nfigma = 8102\n")
    chosen = {"MCPWEB_BIND": "127.0.0.5:9000", "MCPWEB_PORTS_FILE": str(table)}

    assert _settings(tmp_path, **chosen)["bind"] == ["127.0.0.5:9000"]
    both = _settings(tmp_path, **chosen, MCPWEB_SERVICE_PORTS="1")
    assert both["bind"] == ["127.0.0.5:9000", "127.0.0.5:8101", "127.0.0.5:8102"]


def test_the_shipped_table_of_ports_is_used_unless_another_is_named(tmp_path: Path) -> None:
    found = _settings(tmp_path, MCPWEB_SERVICE_PORTS="1")

    assert found["bind"][0] == "127.0.0.1:8080"
    assert "127.0.0.1:8101" in found["bind"]


@pytest.mark.parametrize(("limit", "most"), [("64", 4), ("256", 48), ("1024", 432)])
def test_no_more_clients_are_taken_than_there_are_descriptors_for(tmp_path: Path, limit: str, most: int) -> None:
    assert _settings(tmp_path, limit=limit)["worker_connections"] == most


LIMITS = [
    ("/", {".": "max 100000"}, 2),
    ("/", {}, 2),
    ("/", {".": "400000 100000"}, 4),
    ("/system.slice/web.service", {"system.slice/web.service": "150000 100000", "system.slice": "max 100000"}, 2),
    ("/a/b", {"a/b": "max 100000", "a": "300000 100000"}, 3),
    ("/", {".": "20000 100000"}, 1),
]
"""The control group of the process, what stands in the files of limits, and how many workers that allows."""


def test_as_many_workers_as_a_limit_allows_processors(tmp_path: Path) -> None:
    for number, (group, limits, _) in enumerate(LIMITS):
        root = tmp_path / str(number)
        for folder, text in limits.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            (root / folder / "cpu.max").write_text(f"{text}\n")
        (tmp_path / f"own{number}").write_text(f"0::{group}\n")
    ask = """
import runpy, sys
from pathlib import Path
conf, home = runpy.run_path(sys.argv[1]), Path(sys.argv[2])
for number in range(int(sys.argv[3])):
    print(conf["_workers"](conf["_processors"](home / str(number), home / f"own{number}")))
"""
    environ = {**os.environ, "MCPWEB_WEB_WORKERS": "auto"}
    command = [sys.executable, "-c", ask, str(SETTINGS), str(tmp_path), str(len(LIMITS))]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30, check=True)

    assert [int(line) for line in done.stdout.split()] == [workers for *_, workers in LIMITS]
    assert _settings(tmp_path, MCPWEB_WEB_WORKERS="auto")["workers"] >= 1


def test_reading_the_settings_imports_nothing_of_the_application() -> None:
    imported: set[str] = set()
    for node in ast.parse(SETTINGS.read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])

    assert imported <= sys.stdlib_module_names
