"""The official MCP conformance suite against the whole program, which serves a plugin with the suite's fixtures."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests import tooling

NEEDS_REQUESTS_TO_THE_CLIENT = {"tools-call-sampling", "tools-call-elicitation"}
NEEDS_THEM_SINCE_2025_11 = {"elicitation-sep1034-defaults", "elicitation-sep1330-enums"}
NEEDS_SUBSCRIPTIONS = {"resources-subscribe", "resources-unsubscribe"}
PENDING_2026 = {"json-schema-2020-12", "http-header-validation", "http-custom-header-server-validation"}

pytestmark = [pytest.mark.conformance, pytest.mark.xdist_group("conformance")]


@pytest.fixture(scope="module")
def command() -> list[str]:
    """How the suite is run."""
    try:
        return tooling.conformance()
    except tooling.Missing as missing:
        pytest.skip(str(missing))


def test_2026_07_28_passes_whole_with_what_is_pending(command: list[str], url: str, tmp_path: Path) -> None:
    results = _run(command, url, tmp_path, "--requirements", "2026-07-28")

    core = {name: failures for name, failures in results.items() if not name.startswith("tasks-")}  # an extension
    assert {name: failures for name, failures in core.items() if failures} == {}
    assert len(core) >= 40
    assert core.keys() >= PENDING_2026


def test_2025_11_25_lacks_only_what_needs_a_session(command: list[str], url: str, tmp_path: Path) -> None:
    results = _run(command, url, tmp_path, "--requirements", "2025-11-25")

    lacking = NEEDS_REQUESTS_TO_THE_CLIENT | NEEDS_THEM_SINCE_2025_11 | NEEDS_SUBSCRIPTIONS
    assert {name: failures for name, failures in results.items() if failures and name not in lacking} == {}
    assert len(results) >= 33


def test_2025_06_18_lacks_only_what_needs_a_session(command: list[str], url: str, tmp_path: Path) -> None:
    results = _run(command, url, tmp_path, "--suite", "all", "--spec-version", "2025-06-18")

    lacking = NEEDS_REQUESTS_TO_THE_CLIENT | NEEDS_SUBSCRIPTIONS
    assert {name: failures for name, failures in results.items() if failures and name not in lacking} == {}
    assert len(results) >= 27


def _run(command: list[str], url: str, folder: Path, *arguments: str) -> dict[str, list[str]]:
    """The failures of each scenario that ran, from the files that the suite leaves."""
    done = subprocess.run(
        [*command, "server", "--url", url, "--output-dir", str(folder), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    results: dict[str, list[str]] = {}
    for file in folder.glob("*/checks.json"):
        scenario = re.split(r"-\d{4}-\d\d-\d\dT", file.parent.name.removeprefix("server-"))[0]
        checks = json.loads(file.read_text())
        results[scenario] = [
            f"{check['id']}: {check.get('errorMessage')}" for check in checks if check["status"] == "FAILURE"
        ]
    assert results, done.stdout + done.stderr
    return results
