"""docs/scale.md: figures that are computed, and commands, settings and files that exist."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from bench import capacity, scale
from mcpweb import setting_names
from mcpweb.cli import cli

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")


def test_both_tables_of_the_document_are_what_the_program_computes():
    for table in (scale.inputs(), scale.outputs()):
        assert "\n\n" + "\n".join(table) + "\n\n" in TEXT


def test_more_workers_make_more_first_calls_unless_an_endpoint_stays_on_one_host():
    few, many, kept = (scale.need(*column) for column in scale._COLUMNS[1:])

    assert few.first < kept.first < many.first
    assert kept.web_cores < many.web_cores and kept.workers <= many.workers


def test_every_command_setting_and_file_that_the_document_names_exists():
    modules = re.findall(r"python -m ([a-z_.]+)", TEXT)
    commands = re.findall(r"`mcpweb ([a-z-]+)(?: ([a-z][a-z-]+))?", TEXT)
    paths = re.findall(r"`((?:bench|deploy|docs|mcpweb)/[\w./-]*)`", TEXT)

    assert modules and commands and paths
    for module in modules:
        assert importlib.util.find_spec(module), module
    for name, below in commands:
        command = cli.commands[name]
        assert not below or below in command.commands, (name, below)  # type: ignore[attr-defined]
    assert set(re.findall(r"--only (\w+)", TEXT)) <= set(capacity.PARTS)
    assert setting_names.unknown(dict.fromkeys(re.findall(r"MCPWEB_[A-Z_]*[A-Z]", TEXT), "")) == []
    assert [path for path in paths if not (ROOT / path).exists()] == []
