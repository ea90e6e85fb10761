"""docs/scale.md and deploy/shipping/: figures that are computed, commands that exist, and paths and names as in a line."""

from __future__ import annotations

import fnmatch
import importlib.util
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from bench import capacity, scale, shipping
from mcpweb import setting_names
from mcpweb.cli import cli
from mcpweb.gateway.record import CallRecord
from mcpweb.logs import maintenance
from mcpweb.logs.events import CATEGORIES
from mcpweb.logs.lines import entry, line
from mcpweb.logs.retention import Policy
from mcpweb.logs.writing import LogFiles

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
SHIPPED = ROOT / "deploy" / "shipping"
COMMON: dict[str, Any] = yaml.safe_load((SHIPPED / "fluent-bit.yaml").read_text())
DAY = datetime(2026, 11, 24, 23, 59, 59, 987000, UTC)


def outputs() -> dict[str, dict[str, Any]]:
    """The one output of each configuration, by the name of its file."""
    found = {}
    for path in SHIPPED.glob("*.yaml"):
        loaded = yaml.safe_load(path.read_text())
        if path.name != "fluent-bit.yaml":
            assert loaded["includes"] == ["fluent-bit.yaml"], path
            (found[path.stem],) = loaded["pipeline"]["outputs"]
    return found


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


def test_what_is_followed_is_every_system_file_while_it_is_written_and_none_that_is_compressed(tmp_path: Path):
    (source,) = COMMON["pipeline"]["inputs"]
    pattern = source["path"].replace("${MCPWEB_HOME}", str(tmp_path))
    files, policy = LogFiles(tmp_path / "logs"), Policy(key=b"k" * 32)
    for category in CATEGORIES:
        files.system(category, DAY, line(entry(category, DAY, "info", "said", {})))
    written = {str(path) for path in (tmp_path / "logs").rglob("*.jsonl")}

    assert {path for path in written if fnmatch.fnmatchcase(path, pattern)} == written
    maintenance.maintain(files, DAY + timedelta(days=1), policy)
    left = [path for path in (tmp_path / "logs").rglob("*") if path.is_file()]
    assert len([path for path in left if path.suffix == ".gz"]) == len(CATEGORIES)
    assert [path for path in left if fnmatch.fnmatchcase(str(path), pattern)] == []


def test_the_parser_reads_the_time_of_a_line_and_the_names_are_those_of_a_line():
    (parser,) = COMMON["parsers"]
    (source,) = COMMON["pipeline"]["inputs"]
    written = json.loads(line(entry("performance", DAY, "info", "call", {})))
    # Fluent Bit's %L are the digits after the point, which Python calls %f; both read +00:00 as %z.
    form = parser["time_format"].replace("%L", "%f")

    assert source["parser"] == parser["name"] and parser["format"] == "json"
    assert datetime.strptime(written[parser["time_key"]], form) == DAY
    ours = {*written, *CallRecord.__slots__}
    assert {source["path_key"], source["offset_key"], outputs()["opensearch"]["time_key"]}.isdisjoint(ours)
    labels = re.findall(r"\$(\w+)", outputs()["loki"]["labels"])
    assert labels and set(labels) <= written.keys()


def test_nothing_is_given_up_and_what_was_read_waits_on_the_disk():
    (source,) = COMMON["pipeline"]["inputs"]

    assert source["storage.type"] == "filesystem" and COMMON["service"]["storage.path"]
    assert source["db"] and source["db.compare_filename"] and source["read_from_head"]
    assert outputs().keys() == set(shipping.KINDS)
    for name, output in outputs().items():
        assert (output["name"], output["match"]) == (name, source["tag"])
        assert output["retry_limit"] == "no_limits" and output["storage.total_limit_size"]
    # The same line is the same document when it is sent again.
    assert outputs()["opensearch"]["generate_id"] and outputs()["opensearch"]["write_operation"] == "create"
