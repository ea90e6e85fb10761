"""Reading a log back from its end, sound or damaged."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from mcpweb.logs import reading


def write(folder: Path, name: str, *lines: object) -> None:
    (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_the_last_lines_come_newest_first_and_no_more_than_asked_for(tmp_path):
    write(tmp_path, "access-2026-11-23.jsonl", *({"n": number} for number in range(1000)))

    assert [line["n"] for line in reading.last(tmp_path, "access", 3)] == [999, 998, 997]


def test_the_days_before_are_read_when_today_has_too_few(tmp_path):
    write(tmp_path, "access-2026-11-21.jsonl", {"n": 1})
    write(tmp_path, "access-2026-11-22.jsonl", {"n": 2}, {"n": 3})
    write(tmp_path, "access-2026-11-23.jsonl")
    write(tmp_path, "error-2026-11-23.jsonl", {"n": 99})

    assert [line["n"] for line in reading.last(tmp_path, "access", 10)] == [3, 2, 1]


@pytest.mark.parametrize("size", [1, 7, 32_767, 32_768, 32_769, 100_000])
def test_lines_are_whole_wherever_a_block_ends(size, tmp_path):
    write(tmp_path, "access-2026-11-23.jsonl", {"n": 1, "x": "a" * size}, {"n": 2}, {"n": 3, "x": "b" * size})

    lines = reading.last(tmp_path, "access", 10)

    assert [line["n"] for line in lines] == [3, 2, 1]
    assert [len(line.get("x", "")) for line in lines] == [size, 0, size]


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\n\n\n",
        b"not json\n",
        b"\xff\xfe\x00garbage\x80\n",
        b"\0" * 5000,
        b'{"n": 5',
        b"[1, 2]\n7\nnull\n",
        b"[" * 200_000 + b"\n",
        b'{"a":' * 100_000 + b"\n",
    ],
    ids=["empty", "blank", "text", "bytes", "zeros", "torn", "not an object", "deep list", "deep object"],
)
def test_damage_costs_the_damaged_lines_only(damage, tmp_path):
    path = tmp_path / "access-2026-11-23.jsonl"
    path.write_bytes(b'{"n": 1}\n' + damage)

    assert [line["n"] for line in reading.last(tmp_path, "access", 10)] == [1]


def test_what_is_no_log_file_is_passed_by(tmp_path):
    (tmp_path / "access-2026-11-23.jsonl").mkdir()
    (tmp_path / "access-2026-11-22.jsonl").symlink_to(tmp_path / "nowhere")
    write(tmp_path, "access-2026-11-21.jsonl", {"n": 1})
    write(tmp_path, "access-2026-11-21.jsonl.gz", {"n": 2})
    write(tmp_path, "access-foreign.jsonl", {"n": 3})

    assert [line["n"] for line in reading.last(tmp_path, "access", 10)] == [1]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    assert reading.last(tmp_path / "nowhere", "access", 10) == []


def test_a_link_to_somebody_elses_log_is_not_read(tmp_path):
    for name in ("alice", "bob"):
        (tmp_path / name).mkdir()
    write(tmp_path / "bob", "access-2026-11-23.jsonl", {"n": "bob's"})
    (tmp_path / "bob" / "access-2026-11-22.jsonl.gz").write_bytes(gzip.compress(b'{"n": "bob\'s too"}\n'))
    for name in ("access-2026-11-23.jsonl", "access-2026-11-22.jsonl.gz"):
        (tmp_path / "alice" / name).symlink_to(tmp_path / "bob" / name)

    assert len(reading.last(tmp_path / "bob", "access", 10)) == 2
    assert reading.last(tmp_path / "alice", "access", 10) == []


@pytest.mark.parametrize("kept", [10, 60, -9])
def test_of_a_compressed_day_that_is_cut_short_what_can_be_read_is_read(kept, tmp_path):
    write(tmp_path, "access-2026-11-23.jsonl", {"n": 1})
    packed = gzip.compress(b"".join(b'{"n": %d, "x": "%d"}\n' % (number, number * 7919) for number in range(5000)))
    (tmp_path / "access-2026-11-22.jsonl.gz").write_bytes(packed[:kept])

    lines = reading.last(tmp_path, "access", 10)

    assert lines[0]["n"] == 1 and len(lines) == (10 if kept < 0 else 1)


def test_the_end_of_a_very_long_compressed_day_is_read(tmp_path):
    line = b'{"n": %d, "x": "' + b"x" * 1000 + b'"}\n'
    packed = gzip.compress(b"".join(line % number for number in range(20_000)), 1)
    (tmp_path / "access-2026-11-22.jsonl.gz").write_bytes(packed)

    assert [entry["n"] for entry in reading.last(tmp_path, "access", 3)] == [19_999, 19_998, 19_997]
