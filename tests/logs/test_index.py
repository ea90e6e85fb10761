"""The log index: what is found, in which order, and that both databases agree."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcpweb.errors import Unavailable
from mcpweb.logs.index import Cursor, LogIndex, TooBroad
from mcpweb.logs.index_line import parse
from mcpweb.logs.index_postgres import PostgresIndex
from mcpweb.logs.index_postgres_tables import SCHEMA
from mcpweb.logs.index_sqlite import SqliteIndex
from mcpweb.logs.query import MAX_TERMS, Query
from tests.logs.index_lines import DAY, NOON, encoded, fill, numbers, parsed


@pytest.fixture(params=["sqlite", "postgresql"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> LogIndex:
    """An empty index of each kind."""
    if request.param == "sqlite":
        return SqliteIndex(tmp_path / "index")
    url: str = request.getfixturevalue("postgres_url")
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    return PostgresIndex(url)


def found(index: LogIndex, text: str = "", **rest: Any) -> list[int]:
    """The numbers of the lines that fit, newest first."""
    return numbers(index.search(Query(text, **rest), limit=100))


def add(index: LogIndex, *messages: str, **fields: Any) -> None:
    """Add a line for each message, numbered from 0, a second apart."""
    raws = [
        encoded(NOON + timedelta(seconds=number), message, number=number, **fields)
        for number, message in enumerate(messages)
    ]
    index.append(1, DAY, parsed(raws))


def test_nothing_is_found_in_an_empty_index(index):
    assert index.search(Query("x"), limit=10) == []
    assert index.count(Query(), 10) == 0
    assert index.facets(Query(), ["tool"], 5) == {"tool": []}
    assert index.histogram(Query(), timedelta(hours=1)) == []
    assert index.find(1) is None and index.context(1, 2, 2) == [] and index.days() == []


WORDS = {
    "get_file": [0],
    "GET": [0],
    "api.figma.com": [1],
    "figma": [1],
    "com api": [1],
    '"com api"': [],
    '"figma com"': [1],
    "alice@example.com": [2],
    "-alice": [5, 4, 3, 1, 0],
    "example -alice -figma": [3],
    "cafe": [4],
    "CAFÉ": [4],
    "strasse": [4],
    "3fa9": [],
    "3fa9*": [5],
    '"mcp 3fa9*"': [],
    "mcp/3fa9*": [5],
    "/mcp/3fa9c2e1/tools": [5],
    "level:info -message": [5, 4, 3, 2, 1, 0],
    "level:error": [],
    "-level:info": [],
    "color:red": [],
    "host:web1 example": [3, 2],
    "1e5": [3],
    "0x1f": [3],
}


def test_words_phrases_beginnings_exclusions_and_columns(index):
    add(
        index,
        "tool get_file",
        "asked https://api.figma.com/v1",
        "mail to alice@example.com",
        "bob, example.org: 1e5 0x1F",
        "Cafe\u0301 Straße",
        "path /mcp/3fa9c2e1/tools",
    )

    assert {text: found(index, text) for text in WORDS} == WORDS


def test_values_of_fields_are_found_by_their_words_and_field_names_are_not(index):
    add(index, "call", arguments={"owner": "octo", "list": ["deep", {"x": "deeper"}], "issue": 4711}, tool="get_issue")

    assert found(index, "octo deep deeper 4711 get_issue") == [0]
    assert found(index, "arguments") == []


def test_columns_filter_by_any_of_their_values_and_all_of_the_columns(index):
    raws = [
        encoded(NOON + timedelta(seconds=number), number=number, tool=tool, user_id=user, outcome=outcome)
        for number, (tool, user, outcome) in enumerate(
            [("a", 1, "ok"), ("b", 1, "error"), ("a", 2, "ok"), ("", 3, "ok"), ("b", 2, "ok")]
        )
    ]
    index.append(1, DAY, parsed(raws))

    assert found(index, equal={"tool": ("a", "b")}) == [4, 2, 1, 0]
    assert found(index, equal={"tool": ("a", "b"), "user_id": ("2",)}) == [4, 2]
    assert found(index, unequal={"tool": ("a",)}) == [4, 3, 1]
    assert found(index, "tool:b -outcome:error") == [4]
    assert found(index, equal={"user_id": ("x' OR 1=1", "\0", "\ud800", "9" * 50)}) == []
    assert found(index, equal={"tool": ()}) == []
    assert index.facets(Query(), ["tool", "user_id"], 2) == {
        "tool": [("a", 2), ("b", 2)],
        "user_id": [("1", 2), ("2", 2)],
    }
    assert index.facets(Query("error"), ["tool"], 9) == {"tool": [("b", 1)]}
    with pytest.raises(KeyError):
        found(index, equal={"line; DROP TABLE line": ("a",)})


def test_the_beginning_of_a_span_is_included_and_its_end_is_not(index):
    fill(index, 5)
    second = timedelta(seconds=1)

    assert found(index, since=NOON + second, until=NOON + 3 * second) == [2, 1]
    assert found(index, since=NOON + second + timedelta(microseconds=1)) == [4, 3, 2]
    assert found(index, until=NOON) == [] and found(index, since=NOON + 5 * second) == []


def test_pages_hold_every_line_once_whatever_the_moment_and_the_day(index):
    rng = random.Random(4)
    at = [NOON + timedelta(milliseconds=rng.randrange(300)) for _ in range(90)]
    for file_id, day in ((1, 0), (2, 0), (7, 1)):
        raws = [encoded(moment + timedelta(days=day), number=file_id * 100 + n) for n, moment in enumerate(at)]
        index.append(file_id, DAY + timedelta(days=day), parsed(raws, DAY + timedelta(days=day)))
    everything = index.search(Query(), limit=1000)
    assert [one.at for one in everything] == sorted((one.at for one in everything), reverse=True)
    assert len({one.id for one in everything}) == 270

    for text in ("", "call", "-nothing"):
        forwards, cursor = [], None
        while page := index.search(Query(text), limit=7, before=cursor):
            forwards += page
            cursor = page[-1].cursor
        backwards, cursor = [], everything[-1].cursor
        while page := index.search(Query(text), limit=7, after=cursor):
            backwards += reversed(page)
            cursor = page[0].cursor
        assert forwards == everything, text
        assert backwards == everything[-2::-1], text


@pytest.mark.parametrize(
    "text", ["", "1", "1.", "x.1", "-1.5", "1.2.3", "²1.1", "9" * 16 + ".1", "1." + "9" * 20, "1.5 "]
)
def test_what_is_no_cursor_is_none(text):
    assert Cursor.parse(text) is None


def test_a_cursor_comes_back_from_its_text_and_a_made_up_one_breaks_nothing(index):
    fill(index, 5)
    line = index.search(Query(), limit=1)[0]
    assert Cursor.parse(str(line.cursor)) == line.cursor

    for text in ("0.0", "999999999999999.9999999999999999999", f"{line.ts}.0", f"{line.ts}.9999999999999999999"):
        cursor = Cursor.parse(text)
        assert cursor
        older, newer = (index.search(Query(), limit=9, **{side: cursor}) for side in ("before", "after"))
        assert len(older) + len(newer) == 5, text
    assert index.find(-1) is None and index.find(2**63) is None and index.context(10**30, 1, 1) == []


def test_a_stream_gives_all_lines_either_way(index, monkeypatch):
    monkeypatch.setattr("mcpweb.logs.index._PAGE", 10)
    fill(index, 35)

    assert numbers(index.stream(Query())) == list(range(34, -1, -1))
    assert numbers(index.stream(Query("call"), newest_first=False)) == list(range(35))


def test_counting_stops_at_the_most_that_is_asked_for(index):
    fill(index, 30)

    assert index.count(Query("call"), 100) == 30
    assert index.count(Query("call"), 30) == index.count(Query(), 7) + 23 == 30


def test_a_histogram_counts_by_span_and_level(index):
    for day in (0, 1):
        at = NOON + timedelta(days=day)
        raws = [
            encoded(at + timedelta(minutes=number), number=number, level="error" if number % 10 == 0 else "info")
            for number in range(120)
        ]
        index.append(1 + day, at.date(), parsed(raws, at.date()))

    assert index.histogram(Query(since=NOON + timedelta(hours=1)), timedelta(hours=1)) == [
        (NOON + timedelta(hours=hours), level, lines)
        for hours in (1, 24, 25)
        for level, lines in (("error", 6), ("info", 54))
    ]
    assert sum(lines for _, _, lines in index.histogram(Query("call"), timedelta(minutes=7))) == 240
    weeks = index.histogram(Query("level:error"), timedelta(days=7))
    assert weeks == [(datetime(2026, 11, day, tzinfo=UTC), "error", 12) for day in (19, 26)]


def test_a_line_is_found_by_its_id_and_shown_between_its_neighbours_of_the_same_host(index):
    fill(index, 10)
    fill(index, 10, file_id=2, host="web2")
    line = index.search(Query("host:web1"), limit=1, before=Cursor(parsed([encoded(NOON)])[0].ts + 5000, 0))[0]

    assert line.fields["number"] == 4
    assert index.find(line.id) == line
    assert numbers(index.context(line.id, 2, 3)) == [2, 3, 4, 5, 6, 7]
    assert {one.fields["host"] for one in index.context(line.id, 2, 3)} == {"web1"}


def test_adding_again_what_is_there_adds_nothing(index):
    raws = [encoded(NOON + timedelta(seconds=number), number=number) for number in range(10)]
    lines = parsed(raws)
    assert index.append(1, DAY, lines[:6]) == 6

    assert index.append(1, DAY, lines) == 4
    assert index.append(1, DAY, lines) == 0
    assert index.append(2, DAY, lines[:1]) == 1, "another file's"
    assert index.count(Query("call"), 100) == 11


def test_a_day_is_forgotten_and_another_one_stays(index):
    fill(index, 5)
    fill(index, 3, file_id=2, at=NOON + timedelta(days=1))
    assert index.days() == [date(2026, 11, 26), DAY]

    index.drop_day(DAY)
    index.drop_day(DAY)

    assert index.days() == [date(2026, 11, 26)]
    assert index.count(Query(), 100) == 3
    assert fill(index, 5) == 5, "and it can come back"


def test_a_day_that_was_cleared_can_be_filled_anew(index):
    fill(index, 5)

    index.clear(DAY, [1])

    assert index.count(Query(), 100) == 0
    assert fill(index, 5) == 5
    assert found(index, "call") == [4, 3, 2, 1, 0]


def test_a_text_narrows_what_the_columns_allow_and_never_widens_it(index):
    add(index, "mine", instance_id="a" * 8)
    index.append(2, DAY, parsed([encoded(NOON, "theirs", number=9, instance_id="b" * 8)]))

    for text in ("instance:bbbbbbbb", 'instance:"bbbbbbbb"', "instance:aaaaaaaa instance:bbbbbbbb"):
        assert 9 not in found(index, text, equal={"instance": ("a" * 8,)})
    assert found(index, "instance:bbbbbbbb") == [9]
    assert found(index, "instance:aaaaaaaa", equal={"instance": ("a" * 8, "b" * 8)}) == [0]


@pytest.mark.parametrize("what", ["search", "facets", "histogram", "count"])
def test_a_search_that_takes_too_long_is_ended_with_a_sentence(index, what):
    fill(index, 6000)
    index.budget_s = 0.001
    ask = {
        "search": lambda: index.search(Query("ca* -x*"), limit=6000),
        "facets": lambda: index.facets(Query("-x"), ["tool", "host", "service"], 3),
        "histogram": lambda: index.histogram(Query("-x"), timedelta(seconds=1)),
        "count": lambda: index.count(Query("-x"), 10_000),
    }

    with pytest.raises(TooBroad, match="Narrow the range"):
        ask[what]()

    index.budget_s = 5
    assert index.count(Query("call"), 10) == 10


HOSTILE = [
    "", " ", '"', '""', '-"', "-", "--", "*", "a:b", "foo-bar", "(x", "x)", "AND", "NOT", "OR x", "a AND", "NEAR(a b)",
    "\0", "a\0b", "\ud800", "\ud800x", "😀", "😀a", "x" * 10_000, "x " * 5_000, "-x " * 50, '"' * 999, "'", "';--",
    "%s", "{}", "{0}", "level:", ":x", "level:\0", "-level:\ud800", "&|!:*<->", "a:* & b", "\\", "é*", "\u202e",
    "a\nb", "level:%",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_raises_and_all_of_its_words_are_looked_for(index, text):
    add(index, "call")

    for limit in (1, 10):
        assert len(index.search(Query(text), limit=limit)) <= 1
    index.count(Query(text), 10)
    index.facets(Query(text), ["level"], 10)
    index.histogram(Query(text), timedelta(hours=1))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.sampled_from("ab é\"-*:()\0\ud800%\\'{}&|!<> ") | st.characters(), max_size=30))
def test_no_made_up_text_raises(index, text):
    index.search(Query(text), limit=5)


def test_a_text_of_more_terms_than_may_be_is_searched_by_the_first_ones(index):
    add(index, " ".join(f"word{number}" for number in range(MAX_TERMS)))

    assert found(index, " ".join(f"word{number}" for number in range(MAX_TERMS + 10))) == [0]


def test_hostile_lines_go_in_and_come_out_whole(index):
    values = [
        "a\0b",
        "\ud800",
        "\udfff\ud800",
        "tab\tnew\nline\\N",
        "\\.",
        "é" * 900,
        "\u202e",
        "x" * 1900,
        "{}%s'\"",
        "я" * 1900,
    ]
    raws = [
        encoded(NOON + timedelta(seconds=number), value, number=number, tool=value, user_id=value, request_id=value)
        for number, value in enumerate(values)
    ]
    raws.append(encoded(NOON + timedelta(minutes=1), level={"x": 1}, number=len(values), user_id=10**17, tool=[1]))
    index.append(1, DAY, parsed(raws))

    assert found(index) == list(range(len(values), -1, -1))
    assert {one.fields["message"] for one in index.search(Query(), limit=100)} == {*values, "call"}
    assert found(index, equal={"level": ("other",)}) == [len(values)]
    assert found(index, "user_id:100000000000000000") == [len(values)]


def test_of_a_very_long_line_the_first_words_are_looked_for(index):
    words = " ".join(f"w{number:x}" for number in range(120_000))
    index.append(1, DAY, [parse(f'{{"time":"{NOON}","number":1,"said":"{words}"}}'.encode(), 0, "app", DAY)])

    assert found(index, "w0 w1ff") == [1] and found(index, "w1d4bf") == []
    assert index.search(Query(), limit=1)[0].fields["said"] == words


@pytest.mark.parametrize(
    "raw",
    [b"", b"x", b"\xff\xfe", b"[1]", b"{}",
     b'{"time":5}', b'{"time":"x"}', b'{"time":"2026-11-25T12:00"', b"null", b"[" * 9999],
    ids=range(10),
)  # fmt: skip
def test_what_is_no_line_is_none(raw):
    assert parse(raw, 0, "app", DAY) is None


@pytest.mark.parametrize("time", ["0001-01-01", "9999-12-31T23:59:59+00:00", "2026-11-25T23:30:00-05:00"])
def test_a_line_with_a_time_of_another_day_is_found_in_the_day_of_its_file(index, time):
    index.append(1, DAY, [parse(b'{"time":"%s","number":1}' % time.encode(), 0, "app", DAY)])  # type: ignore[list-item]

    assert found(index, since=datetime(2026, 11, 25, tzinfo=UTC), until=datetime(2026, 11, 26, tzinfo=UTC)) == [1]


# One kind each.


def test_files_are_ours_alone(tmp_path):
    index = SqliteIndex(tmp_path / "logs" / "index")
    fill(index, 1)

    made = list((tmp_path / "logs").rglob("*"))
    assert {path.stat().st_mode & 0o777 for path in made if path.is_file()} == {0o600}
    assert (tmp_path / "logs" / "index").stat().st_mode & 0o777 == 0o700


def broken(kind: str, path: Path, whole: bytes) -> None:
    """Put something broken in the place of a day's file."""
    path.unlink()
    if kind == "folder":
        path.mkdir()
    else:
        half = whole[: len(whole) // 2]
        path.write_bytes({"garbage": b"\xff" * 9000, "empty": b"", "cut": half, "zeros": bytes(len(whole))}[kind])


@pytest.mark.parametrize("kind", ["garbage", "cut", "folder", "zeros", "empty"])
def test_a_broken_day_is_left_out_and_named_and_new_lines_of_it_are_taken(tmp_path, kind):
    index = SqliteIndex(tmp_path)
    fill(index, 500)
    fill(index, 3, file_id=2, at=NOON + timedelta(days=1))
    path = tmp_path / "2026-11-25.sqlite3"
    broken(kind, path, path.read_bytes())
    (tmp_path / "foreign-99-99.sqlite3").write_text("x")

    assert set(found(index, "call")) >= {0, 1, 2}
    assert [problem.split(":")[0] for problem in index.problems] == ["2026-11-25.sqlite3"]

    late = parsed([encoded(NOON, number=1000)], start=10**6)
    assert index.append(1, DAY, late) == 1
    assert found(index, since=NOON, until=NOON + timedelta(hours=1)) == [1000]
    assert index.problems == []


def test_a_search_is_not_in_the_way_of_new_lines_and_of_dropping(tmp_path):
    index = SqliteIndex(tmp_path)
    fill(index, 2500)
    stream = index.stream(Query())
    first = next(stream)

    assert fill(index, 5, file_id=2) == 5
    index.drop_day(DAY)

    assert first.fields["number"] == 2499
    assert len(list(stream)) == 999, "the page at hand"


def test_a_database_that_is_away_is_said_in_a_sentence():
    index = PostgresIndex("postgresql+psycopg://nobody:s3cret@127.0.0.1:9/none")

    for ask in (lambda: fill(index, 1), lambda: index.search(Query(), limit=1), index.days):
        with pytest.raises(Unavailable) as caught:
            ask()
        assert "s3cret" not in caught.value.sentence
