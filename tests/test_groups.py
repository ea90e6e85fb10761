"""What shares a port, a browser or an installation runs in one process: the groups of pytest-xdist hold."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dealing import FEWEST, WAITS

ROOT = Path(__file__).parent.parent
TESTS = f"""
import pathlib, os, pytest

def note(kind):
    pathlib.Path(kind, os.environ["PYTEST_XDIST_WORKER"]).touch()

@pytest.mark.parametrize("number", range(20))
def test_something(number):
    note("others")

@pytest.mark.parametrize("number", [pytest.param(n, marks=pytest.mark.xdist_group(f"{WAITS}{{n}}")) for n in range(9)])
def test_waiting(number):
    note("waiting")
"""


@pytest.mark.xdist_group("nothing else")
def test_a_group_is_known_to_whoever_deals_out_the_tests(request):
    if "PYTEST_XDIST_WORKER" in os.environ:
        assert request.node.nodeid.endswith("@nothing else")


def test_the_last_of_three_processes_does_what_mostly_waits_and_nothing_else(tmp_path):
    (tmp_path / "test_it.py").write_text(TESTS)
    for kind in ("others", "waiting"):
        (tmp_path / kind).mkdir()
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "tests.dealing", "-n", str(FEWEST)]
    command += ["--dist=loadgroup", "-c", os.devnull, "--rootdir", ".", "--basetemp", "of-its-own", "test_it.py"]
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}

    ended = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)

    assert "29 passed" in ended.stdout, ended.stdout
    who = {kind: {path.name for path in (tmp_path / kind).iterdir()} for kind in ("others", "waiting")}
    assert "gw2" in who["waiting"] and who["others"] <= {"gw0", "gw1"}
