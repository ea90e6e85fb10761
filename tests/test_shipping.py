"""deploy/shipping/ follows what the program writes, and what measures it would see a line that is lost."""

from __future__ import annotations

import fnmatch
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from bench.receivers import KINDS, Receiver
from bench.shipper import CONFIGURATIONS, Shipping
from mcpweb.gateway.record import CallRecord
from mcpweb.logs import maintenance
from mcpweb.logs.events import CATEGORIES
from mcpweb.logs.lines import entry, line
from mcpweb.logs.retention import Policy
from mcpweb.logs.writing import LogFiles

COMMON: dict[str, Any] = yaml.safe_load((CONFIGURATIONS / "fluent-bit.yaml").read_text())
DAY = datetime(2026, 11, 24, 23, 59, 59, 987000, UTC)


def outputs() -> dict[str, dict[str, Any]]:
    """The one output of each configuration, by the name of its file."""
    found = {}
    for path in CONFIGURATIONS.glob("*.yaml"):
        loaded = yaml.safe_load(path.read_text())
        if path.name != "fluent-bit.yaml":
            assert loaded["includes"] == ["fluent-bit.yaml"], path
            (found[path.stem],) = loaded["pipeline"]["outputs"]
    return found


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
    assert not COMMON["service"]["storage.checksum"]
    assert source["db"] and source["db.compare_filename"] and source["read_from_head"]
    assert outputs().keys() == set(KINDS)
    for name, output in outputs().items():
        assert (output["name"], output["match"]) == (name, source["tag"])
        assert output["retry_limit"] == "no_limits" and output["storage.total_limit_size"]
        # A password goes to whom it is for, or nowhere: without SHIPPING_TLS, Fluent Bit does not start.
        assert output["tls"] == "${SHIPPING_TLS}" and output["tls.verify_hostname"]
    # The same line is the same document when it is sent again.
    assert outputs()["opensearch"]["generate_id"] and outputs()["opensearch"]["write_operation"] == "create"


def bulk(*numbers: int) -> bytes:
    """Documents as Fluent Bit sends them."""
    pairs = (({"create": {"_index": "mcpweb", "_id": f"id{number}"}}, {"number": number}) for number in numbers)
    return b"".join(json.dumps(row).encode() + b"\n" for pair in pairs for row in pair)


def test_a_document_is_kept_once_and_what_is_refused_is_not_kept():
    receiver = Receiver("opensearch")
    try:
        assert receiver.take("/_bulk", bulk(1, 2))[0] == 200
        again = json.loads(receiver.take("/_bulk", bulk(2, 3))[1])
        receiver.is_choosy = True
        choosy = json.loads(receiver.take("/_bulk", bulk(4, 5))[1])
        receiver.refusing = 503
        assert receiver.take("/_bulk", bulk(6))[0] == 503
    finally:
        receiver.down()

    assert [item["create"]["status"] for item in again["items"] + choosy["items"]] == [409, 201, 429, 201]
    assert again["errors"] and choosy["errors"]
    assert [one["number"] for one in receiver.kept.values()] == [1, 2, 3, 5] and receiver.again == 1


def test_an_entry_of_loki_is_kept_once_for_its_labels_time_and_text():
    receiver = Receiver("loki")
    values = [["1795655904000000000", '{"number":1}'], ["1795655904000000001", '{"number":2}']]
    body = json.dumps({"streams": [{"stream": {"job": "mcpweb"}, "values": values}]}).encode()
    try:
        assert receiver.take("/somewhere", body)[0] == 404
        assert [receiver.take("/loki/api/v1/push", body)[0] for _ in range(2)] == [204, 204]
    finally:
        receiver.down()

    assert [one["number"] for one in receiver.kept.values()] == [1, 2] and receiver.again == 2


def test_a_line_that_does_not_arrive_is_missed_and_one_under_two_names_is_there_twice(tmp_path: Path):
    made = Shipping("fluent-bit", "opensearch", tmp_path)
    for _ in range(3):
        made.writer.write()
    made.receiver.down()

    made.receiver.keep("one", {"number": 1})
    made.receiver.keep("other", {"number": 1})
    made.receiver.keep("two", {"number": 2})

    assert made.found() == (1, 1)
