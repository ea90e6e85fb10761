"""What an administrator finds in the logs: by words, values and times, one by one, as a file; and what that leaves."""

from __future__ import annotations

import csv
import html
import io
import itertools
import json
import re
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from mcpweb import clock
from mcpweb.admin import log_search, log_views
from mcpweb.database import db
from mcpweb.logs import events
from mcpweb.logs.index import LogIndex, TooBroad
from mcpweb.logs.models import AuditEvent
from mcpweb.web.current import log_index
from tests.conftest import user
from tests.form_client import FormClient, Page
from tests.logs.index_lines import encoded, parsed

MINUTE = timedelta(minutes=1)


def logs(person: FormClient, path: str = "", **args: Any) -> Page:
    return person.get(f"/admin/logs{path}" + (f"?{urlencode(args, doseq=True)}" if args else ""))


def shown(page: Page) -> list[str]:
    """The messages on the page, in its order."""
    found = re.findall(r'<span class="line__text"><strong>(.*?)</strong>', page.text)
    return [html.unescape(re.sub("<[^>]+>", "", one)) for one in found]


def follow_link(person: FormClient, page: Page, label: str) -> Page:
    """Click on a link by its whole text or its spoken name."""
    for attributes, inside in re.findall(r"<a\b([^>]*)>(.*?)</a>", page.text, re.DOTALL):
        text = " ".join(html.unescape(re.sub("<[^>]+>", "", inside)).split())
        spoken = re.search(r'aria-label="([^"]*)"', attributes)
        if label in (text, html.unescape(spoken[1]) if spoken else None):
            return person.get(html.unescape(re.search(r'href="([^"]*)"', attributes)[1]))
    raise AssertionError(f"no link {label!r} in {page.text}")


def test_all_lines_of_all_categories_are_there_newest_first(carol, some):
    page = logs(carol)

    assert shown(page) == ["connection lost", "mail delivered", "call", "call", "sign-in link refused"]
    assert "5 lines" in page.text
    assert "alice@example.com" in page.text, "the user behind the number"
    assert "Traceback: &lt;boom&gt;" in page.text
    assert shown(logs(carol, "/lines")) == shown(page)


@pytest.mark.parametrize(
    "args, messages",
    [
        ({"q": "mail"}, ["mail delivered"]),
        ({"q": '"link refused"'}, ["sign-in link refused"]),
        ({"q": '"refused link"'}, []),
        ({"q": "PUMPER*"}, ["mail delivered"]),
        ({"q": "call -get"}, ["call"]),
        ({"q": "tool:get_me"}, ["call"]),
        ({"q": "-category:performance"}, ["connection lost", "mail delivered", "sign-in link refused"]),
        ({"category": ["database", "security"]}, ["connection lost", "sign-in link refused"]),
        ({"category": ["database", "security"], "level": "error"}, ["connection lost"]),
        ({"not-category": ["performance", "app"]}, ["connection lost", "sign-in link refused"]),
        ({"host": "web2"}, ["connection lost"]),
        ({"outcome": "error"}, ["call"]),
        ({"service": "github", "tool": "get_me"}, ["call"]),
        ({"request_id": "abc123"}, ["mail delivered"]),
    ],
    ids=str,
)
def test_a_filter_shows_what_fits(args, messages, carol, some):
    page = logs(carol, **args)

    assert shown(page) == messages
    assert bool(messages) != ("No match" in page.text)


def test_a_time_shows_what_was_written_in_it_and_a_range_moves_on(carol, wrote):
    for ago in (timedelta(seconds=30), 30 * MINUTE, timedelta(hours=5), timedelta(days=3), timedelta(days=20)):
        wrote(ago, f"{ago} ago")

    assert [len(shown(logs(carol, range=name))) for name in ("15m", "1h", "24h", "7d", "30d")] == [1, 2, 3, 4, 5]
    since, until = (f"{wrote.now - ago:%Y-%m-%dT%H:%M:%S}" for ago in (timedelta(hours=6), 10 * MINUTE))
    assert len(shown(logs(carol, since=since, until=until))) == 2
    assert len(shown(logs(carol, since=since))) == 3
    assert "lies before the start" in logs(carol, since=until, until=since).text
    assert "is no time" in logs(carol, since="yesterday", until="0001-01-01T00:00+14:00").text


def test_a_bar_leads_to_the_time_it_stands_for(carol, wrote):
    for number in range(7):
        wrote(timedelta(hours=3, seconds=number), "a few", level="error")
    wrote(MINUTE, "one")

    page = logs(carol)
    assert 'class="chart__bar chart__bar--bad"' in page.text and "<caption" in page.text
    bars = dict.fromkeys(
        html.unescape(link) for link in re.findall(r'<a href="(/admin/logs\?[^"]*since=[^"]*)" tab', page.text)
    )
    found = [carol.get(bar) for bar in bars]
    assert sum(len(shown(one)) for one in found) == 8
    assert all(set(shown(one)) in ({"a few"}, {"one"}) for one in found)
    assert len(bars) in (2, 3), "the seven may lie on both sides of a bar's end"


def test_facets_count_what_fits_and_can_be_chosen_dropped_and_combined(carol, some):
    page = logs(carol, level=["error", "warning"])
    assert shown(page) == ["connection lost", "sign-in link refused"]
    assert facet(page, "level") == {"info": 3, "warning": 1, "error": 1}, "of its own column the others are counted too"
    assert facet(page, "category") == {"database": 1, "security": 1}

    page = follow_link(carol, page, "Only warning")
    assert shown(page) == ["sign-in link refused"]
    page = follow_link(carol, page, "info")
    assert len(shown(page)) == 4
    page = follow_link(carol, page, "Not performance")
    assert shown(page) == ["mail delivered", "sign-in link refused"]
    page = follow_link(carol, page, "Level: warning, remove")
    assert shown(page) == ["mail delivered"]
    page = follow_link(carol, page, "Category: not performance, remove")
    assert shown(page) == ["mail delivered", "call", "call"]


def test_of_very_many_lines_the_newest_are_counted_by_value(carol, wrote, monkeypatch):
    monkeypatch.setattr(log_search, "COUNTED", 2)
    for hours in (10, 5, 2, 1):
        wrote(timedelta(hours=hours), "hourly", host=f"web{hours}")

    page = logs(carol)

    assert "Counted since" in page.text
    assert facet(page, "host") == {"web1": 1, "web2": 1}
    assert len(shown(page)) == 4


def facet(page: Page, column: str) -> dict[str, int]:
    """The values of one facet with their counts."""
    part = page.text.split(f'aria-labelledby="facet-{column}"')[1].partition("</section>")[0]
    names = [re.sub("<[^>]+>", "", one).strip() for one in re.findall(r'"facet__name"[^>]*>(.*?)</a>', part, re.DOTALL)]
    return dict(zip(names, map(int, re.findall(r'"facet__lines">(\d+)<', part)), strict=True))


def test_the_search_form_keeps_what_was_chosen_beside_it(carol, some):
    page = logs(carol, category="performance", **{"not-tool": "get_me"}, range="1h")

    form = page.form("/admin/logs", holding="q")
    page = carol.get(
        f"{form.action}?{urlencode([(name, 'call' if name == 'q' else value) for name, value in form.fields])}"
    )

    assert shown(page) == ["call"]
    asked = parse_qs(urlsplit(page.url).query)
    assert {
        "q": ["call"],
        "category": ["performance"],
        "not-tool": ["get_me"],
        "range": ["1h"],
    }.items() <= asked.items()


def test_what_was_looked_for_is_marked_and_nothing_of_a_line_becomes_markup(carol, wrote):
    wrote(MINUTE, 'Ünder <b>attack</b> & "more"', note="<script>alert(1)</script> attack_s")

    page = logs(carol, q="under attack*")

    assert "<mark>Ünder</mark> &lt;b&gt;<mark>attack</mark>&lt;/b&gt; &amp;" in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; <mark>attack</mark>_s" in page.text
    assert "<b>" not in page.text and "<script>alert" not in page.text


def test_a_line_leads_to_lines_like_it_and_without_its_value(carol, some):
    page = logs(carol)

    assert shown(follow_link(carol, page, "Only lines with tool list_issues")) == ["call"]
    assert len(shown(follow_link(carol, page, "Not lines with tool list_issues"))) == 4
    assert shown(follow_link(carol, page, "Only lines with to pumpernickel@example.com")) == ["mail delivered"]
    assert len(shown(follow_link(carol, page, "Not lines with to pumpernickel@example.com"))) == 4
    assert shown(follow_link(carol, page, "Same request")) == ["mail delivered"]


def test_a_line_is_shown_between_its_neighbours_under_an_address_that_stays(carol, wrote):
    for number in range(130):
        wrote(130 * MINUTE - number * MINUTE, f"number {number}", host="web1")
    wrote(60 * MINUTE, "elsewhere", host="web2")

    page = follow_link(carol, logs(carol, q='"number 64"'), "50 lines before and after")

    assert shown(page) == [f"number {number}" for number in range(14, 115)]
    assert re.search(r'class="line--here" id="line">.*?<strong>number 64</strong>', page.text, re.DOTALL)
    for absent in ("1", str(2**63 - 1), str(2**80)):
        assert carol.get(f"/admin/logs/lines/{absent}").status == 404


def test_older_and_newer_lead_through_all_lines_without_losing_one(carol, wrote):
    for number in range(230):
        wrote(timedelta(seconds=300 - number // 2), f"number {number}")

    page, found = logs(carol, range="1h"), []
    while True:
        found += shown(page)
        if not re.search(">Older<", page.text):
            break
        page = follow_link(carol, page, "Older")
    assert found == [f"number {number}" for number in range(229, -1, -1)]
    page = follow_link(carol, page, "Newer")
    assert shown(page) == [f"number {number}" for number in range(79, 29, -1)]
    page = follow_link(carol, page, "Newer")
    page = follow_link(carol, page, "Newer")
    page = follow_link(carol, page, "Newer")
    assert shown(page) == [f"number {number}" for number in range(229, 179, -1)] and ">Newer<" not in page.text


def test_who_follows_gets_what_came_since_and_what_came_late(carol, some):
    page = follow_link(carol, logs(carol, category="app"), "Follow new lines")
    url = html.unescape(re.search(r'data-tail="([^"]*)"', page.text)[1])
    cursor = re.search(r'data-cursor="([^"]*)"', page.text)[1]
    assert shown(carol.get(f"{url}&after={cursor}")) == ["mail delivered"], "a page knows what it has"

    some(timedelta(), "brand new")
    some(2 * MINUTE + timedelta(seconds=5), "of another host, a little late")
    some(timedelta(), "of another category", "database")

    fragment = carol.get(f"{url}&after={cursor}")
    assert shown(fragment) == ["brand new", "mail delivered", "of another host, a little late"]
    assert 'id="tail"' in fragment.text and "<html" not in fragment.text and "lines__gap" not in fragment.text
    assert shown(follow_link(carol, page, "Look again"))[:2] == ["brand new", "mail delivered"]
    assert "data-tail" not in follow_link(carol, page, "Stop following").text
    older = logs(carol, follow="1", before="99999999999999.1")
    assert "data-tail" not in older.text, "an older page does not change"


def test_of_a_burst_who_follows_gets_the_newest_lines_and_how_many_are_left_out(carol, wrote):
    wrote(MINUTE, "before")
    page = logs(carol, follow="1")
    cursor = re.search(r'data-cursor="([^"]*)"', page.text)[1]
    raws = [encoded(wrote.now, f"number {number}", "app") for number in range(10_050)]
    wrote.index.append(9, wrote.now.date(), parsed(raws, wrote.now.date(), "app"))

    fragment = logs(carol, "/lines", follow="1", after=cursor)

    assert shown(fragment) == [f"number {number}" for number in range(10_049, 9_949, -1)]
    assert "More than 10,000 lines came faster than one can read" in fragment.text


def test_the_link_to_copy_holds_the_times_as_they_are_now(carol, some):
    page = logs(carol, q="call", range="1h")
    link = html.unescape(re.search(r'data-copy-text="(http[^"]*/admin/logs\?[^"]*)"', page.text)[1])

    assert {"since", "until", "q"} == set(parse_qs(urlsplit(link).query))
    assert shown(carol.get(link)) == ["call", "call"]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "txt"])
def test_an_export_holds_exactly_what_fits_and_is_in_the_audit_trail(kind, carol, some):
    some(MINUTE, "=cmd|' /C calc'!A0\r\n\x1b[31mred", category="app", note="\u202eright to left", odd="\ud800")

    answer = carol.open("GET", f"/admin/logs/export/{kind}?category=app&category=database&q=-nothing")

    assert answer.status == 200 and "attachment" in answer.headers["Content-Disposition"]
    if kind == "txt":
        lines = answer.text.splitlines()
        assert len(lines) == 3 and "\x1b" not in answer.text and "\u202e" not in answer.text
        assert any("error database connection lost host=web2" in line for line in lines)
    else:
        rows = list(csv.DictReader(io.StringIO(answer.text, newline=""))) if kind == "csv" else None
        rows = rows or [json.loads(line) for line in answer.text.splitlines()]
        assert [row["category"] for row in rows].count("app") == 2 and len(rows) == 3
        assert kind != "csv" or sorted(row["message"][:5] for row in rows) == ["'=cmd", "conne", "mail "]
    event = db.session.query(AuditEvent).filter_by(action="logs.export").one()
    assert (event.actor, event.subject, event.details["kind"]) == ("carol@example.com", "logs", kind)
    assert event.details["query"] == "-nothing" and event.details["columns"] == {"category": ["app", "database"]}


def test_an_export_of_another_kind_is_not_there_and_leaves_nothing(carol, some):
    assert carol.open("GET", "/admin/logs/export/exe").status == 404
    assert db.session.query(AuditEvent).filter_by(action="logs.export").count() == 0


def test_looking_at_lines_of_others_is_noted_once_a_page_with_what_was_asked(carol, some, security):
    logs(carol, category="database")
    assert security("log of others viewed") == [], "these lines are about nobody"

    logs(carol, q="call", service="github")

    (note,) = security("log of others viewed")
    assert (note["actor"], note["whose"]) == ("carol@example.com", [str(user("alice@example.com").id)])
    assert note["query"] == "call" and note["columns"] == {"service": ["github"]}
    page = logs(carol, q="call")
    follow_link(carol, page, "50 lines before and after")
    assert len(security("log of others viewed")) == 3


def test_following_is_noted_again_only_when_there_is_something_new_of_others(carol, some, security):
    for _ in range(3):
        logs(carol, "/lines", follow="1", q="call", tool="get_me")
    assert len(security("log of others viewed")) == 1

    some(timedelta(), "call", "performance", user_id=user("alice@example.com").id, tool="get_me")
    for _ in range(3):
        logs(carol, "/lines", follow="1", q="call", tool="get_me")
    assert len(security("log of others viewed")) == 2
    logs(carol, "/lines", q="call", tool="get_me")
    logs(carol, "/lines", follow="1", q="call", tool="get_me", before="99999999999999.1")
    logs(carol, "/lines", follow="1", q="call", tool="get_me", range="30d")
    assert len(security("log of others viewed")) == 5, "only what is followed just so is spared"


@pytest.fixture
def security(app, monkeypatch) -> Callable[[str], list[dict[str, Any]]]:
    """The lines with this message that were added to the security log since the test began."""
    monkeypatch.setattr(log_views, "_followed", OrderedDict())
    path = events.files().root / "system" / f"security-{clock.utcnow():%Y-%m-%d}.jsonl"
    start = path.stat().st_size if path.exists() else 0

    def added(message: str) -> list[dict[str, Any]]:
        lines = map(json.loads, path.read_bytes()[start:].splitlines()) if path.exists() else []
        return [line for line in lines if line["message"] == message]

    return added


def test_a_search_that_takes_too_long_says_so_and_offers_to_be_changed(carol, some, monkeypatch):
    monkeypatch.setattr(log_search, "BUDGET_S", 0.0)

    page = logs(carol, q="call")

    assert page.status == 200
    assert "took longer than 5 seconds" in page.text and 'value="call"' in page.text and "No match" not in page.text


def test_an_export_whose_first_lines_take_too_long_is_a_sentence_and_no_file(carol, some, monkeypatch):
    def too_broad(*_: Any, **__: Any) -> None:
        raise TooBroad

    monkeypatch.setattr(type(log_index()), "search", too_broad)

    answer = carol.open("GET", "/admin/logs/export/csv")

    assert answer.status == 400 and "took longer than" in answer.text
    assert db.session.query(AuditEvent).filter_by(action="logs.export").count() == 0


def test_what_can_not_be_counted_in_time_is_left_out_and_the_lines_are_there(carol, some, monkeypatch):
    def too_broad(*_: Any) -> None:
        raise TooBroad

    monkeypatch.setattr(type(log_index()), "newest", too_broad)

    page = logs(carol)

    assert len(shown(page)) == 5 and "no time to count everything" in page.text


def test_all_questions_of_a_page_share_the_time_of_one(carol, some, monkeypatch):
    given: list[float] = []
    spent = itertools.count()
    monkeypatch.setattr(clock, "monotonic", lambda: next(spent) * 1.0)
    monkeypatch.setattr(LogIndex, "within", lambda self, left: given.append(left) or self)

    logs(carol)

    assert given == sorted(given, reverse=True) and len(given) < 6 and given[0] <= 5


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # which has files
def test_a_broken_part_of_the_index_is_named_and_the_rest_is_shown(carol, some, settings):
    broken = next((settings.home).rglob(f"{some.now:%Y-%m-%d}.sqlite3"))
    other = broken.with_name(f"{some.now - timedelta(days=1):%Y-%m-%d}.sqlite3")
    other.write_bytes(b"no database" * 1000)

    page = logs(carol, range="7d")

    assert len(shown(page)) == 5 and f"{other.name}: " in page.text and "can not be read" in page.text


@pytest.mark.parametrize(
    "args",
    [
        {"q": '"' * 1000},
        {"q": "\0\ud800x".encode("utf-8", "surrogatepass")},
        {"q": '* - : ( ) AND OR NOT NEAR(a b) ^ {x} user_id: -tool: level:"" ' * 30},
        {"q": "a* " * 400},
        {"user_id": ["' OR 1=1 --", "9" * 300, "\u0663"], "instance": ["x" * 5000, "{0}"]},
        {"since": "9999-12-31T23:59:59.999999Z", "until": "1970-01-01"},
        {"since": "1971-01-01", "until": "2998-12-31"},
        {"until": "0001-01-01"},
        {"since": "9999-12-31T23:59:59.9Z"},
        {"since": "2026-11-25T12:00:00", "until": "2026-11-25T12:00:00.001"},
        {"before": "999999999999999.9999999999999999999", "after": "0.0"},
        {"range": "forever", "follow": "yes", "tool": [""] * 100, "not-nothing": "x"},
    ],
    ids=lambda args: str(args)[:40],
)
def test_a_hostile_query_is_answered(args, carol, some):
    for path in ("", "/lines", "/export/txt"):
        assert carol.open("GET", f"/admin/logs{path}?{urlencode(args, doseq=True)}").status == 200


def test_odd_text_in_a_line_harms_no_page(carol, wrote):
    wrote(MINUTE, "half \ud800 of a pair", nested={"deep": ["\udfff", None, {"a": 1}]}, number=10**30, none=None)

    page = logs(carol)

    assert "half \ufffd of a pair" in page.text
    assert follow_link(carol, page, "50 lines before and after").status == 200


def test_the_widths_of_bars_fit_any_time():
    start = datetime.fromisoformat("1971-01-01T00:00+00:00")
    for span in (timedelta(milliseconds=1), MINUTE, timedelta(days=1), timedelta(days=375_000)):
        assert span / log_search.width(start, start + span) <= 60
