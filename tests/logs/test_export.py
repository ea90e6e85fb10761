"""What leaves as a file: every field, and nothing that a spreadsheet would calculate."""

from __future__ import annotations

import csv
import io
import json

import pytest

from mcpweb.logs import export

LINES = [
    {"time": "2026-11-25T10:00:00.000+00:00", "tool": "get_me", "duration_ms": 12.5, "arguments": {"owner": "a,b"}},
    {"time": "2026-11-25T10:00:01.000+00:00", "tool": 'say "hi"\r\nthere', "outcome": "ok", "arguments": None},
]


def read(chunks) -> list[list[str]]:
    return list(csv.reader(io.StringIO(b"".join(chunks).decode("utf-8"), newline="")))


def test_json_lines_are_the_lines():
    assert [json.loads(line) for line in b"".join(export.json_lines(LINES)).splitlines()] == LINES


def test_csv_has_a_head_and_a_row_a_line_whatever_stands_in_them():
    rows = read(export.csv_rows(LINES, ["time", "tool", "duration_ms", "arguments"]))

    assert rows[0] == ["time", "tool", "duration_ms", "arguments"]
    assert rows[1] == [LINES[0]["time"], "get_me", "12.5", '{"owner":"a,b"}']
    assert rows[2][1] == 'say "hi"\r\nthere'
    assert rows[2][3] == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\0", "\uff1d", ' "=', " =", "'="])
def test_no_cell_is_a_formula(start):
    ((_,), (cell,)) = read(export.csv_rows([{"tool": f"{start}cmd|' /C calc'!A0"}], ["tool"]))

    assert cell.startswith("'")


def test_a_negative_number_stays_a_number():
    assert read(export.csv_rows([{"n": -3.5}], ["n"]))[1] == ["-3.5"]


def test_a_lone_surrogate_is_written_as_its_escape():
    assert b"\\ud800" in b"".join(export.csv_rows([{"tool": "\ud800"}], ["tool"]))


def test_a_lone_surrogate_ends_no_file_in_its_middle():
    lines = [{"message": "\ud800"}, {"message": "next"}]

    assert [json.loads(line) for line in b"".join(export.json_lines(lines)).splitlines()] == lines
    assert b"\\ud800" in next(iter(export.csv_rows([{"arguments": ["\ud800"]}], ["arguments"])))


def test_a_text_line_is_one_line_that_steers_no_terminal():
    odd = {
        "time": "12:00",
        "level": "info",
        "category": "app",
        "message": "two\nlines \x1b[31m\u202e\ud800",
        "a b": "x=y z",
        "n": [1],
    }

    (line,) = b"".join(export.text_lines([odd])).decode().splitlines()

    assert line == '12:00 info app two\\u000alines \\u001b[31m\\u202e\\ud800 a b="x=y z" n=[1]'


def test_nothing_is_still_a_head():
    assert read(export.csv_rows([], ["time"])) == [["time"]]
    assert b"".join(export.json_lines([])) == b"".join(export.text_lines([])) == b""
