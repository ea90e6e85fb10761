"""What stands beside the log: searches that are kept, hints, ways out of an empty search, and how lines look."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest

from mcpweb.accounts.models import Role
from mcpweb.admin import log_searches
from mcpweb.admin.log_hints import hints
from mcpweb.admin.log_traces import folded
from mcpweb.admin.models import SavedSearch
from mcpweb.database import db
from tests.admin.test_logs import MINUTE, facet, follow_link, logs, shown
from tests.form_client import FormClient, Page


def save(person: FormClient, name: str, shared: str = "", **args: str) -> Page:
    return person.submit(logs(person, **args).form("/searches/save"), name=name, shared=shared)


def test_a_search_is_kept_under_a_name_for_oneself_or_for_all_administrators(carol, sign_in, some):
    page = save(carol, " My  calls ", q="call", category="performance", range="1h")
    assert "“My calls” is kept" in page.text and shown(page) == ["call", "call"], "the search stays in view"
    save(carol, "Errors", "1", level="error")

    assert shown(follow_link(carol, logs(carol), "My calls")) == ["call", "call"]
    dave = sign_in("dave@example.com", Role.ADMIN)
    page = logs(dave)
    assert "My calls" not in page.text and "carol@example.com" in page.text
    assert shown(follow_link(dave, page, "Errors")) == ["connection lost"]
    mine = db.session.query(SavedSearch.id).filter_by(name="My calls").scalar()
    token = dict(page.form("/searches/save").fields)["csrf_token"]
    assert dave.post(f"/admin/logs/searches/{mine}/delete", {"csrf_token": token}).status == 404
    assert not any("/delete" in form.action for form in page.forms), "what others share is theirs to delete"

    save(carol, "My calls", q="mail")
    page = logs(carol)
    assert page.text.count("My calls</a>") == 1
    page = carol.submit(page.form(f"/searches/{mine}/delete"))
    assert "not kept any more" in page.text and "My calls</a>" not in page.text


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "a\x07b"], ids=["none", "blank", "long", "odd"])
def test_a_search_without_a_proper_name_is_not_kept(name, carol, some):
    page = save(carol, name, q="call")

    assert page.status == 422 and "Give the search a name" in page.text
    assert db.session.query(SavedSearch).count() == 0


def test_an_administrator_keeps_so_many_searches_and_the_address_of_one_leads_nowhere_else(carol, some, monkeypatch):
    monkeypatch.setattr(log_searches, "MOST_SAVED", 1)
    form = logs(carol).form("/searches/save")
    page = carol.submit(form, name="Odd", address="q=call&next=https://evil.example&x=<b>&range=forever")
    assert page.path == "/admin/logs"
    assert db.session.query(SavedSearch.address).scalar() == "q=call"

    page = save(carol, "One more")
    assert page.status == 422 and "already" in page.text


def test_the_last_ten_searches_of_an_administrator_are_listed_newest_first(carol, sign_in, some):
    logs(carol)
    for number in range(12):
        logs(carol, q=f"word{number}")
    logs(carol, q="word5", before="99999999999999.1")
    logs(carol, q="word4")

    recent = logs(carol).text.split('id="recent"')[1].partition("</section>")[0]
    found = re.findall(r">word(\d+)</a>", recent)
    assert found == ["4", "11", "10", "9", "8", "7", "6", "5", "3", "2"]
    assert "word4" not in logs(sign_in("dave@example.com", Role.ADMIN)).text


def test_what_is_read_otherwise_than_it_may_be_meant_is_said_at_the_search(carol, some):
    page = logs(carol, q='usr:alice "link refused')

    assert 'aria-describedby="hints"' in page.text
    text = html.unescape(page.text)
    assert "“usr” is no field" in text and "has no partner" in text
    assert hints('tool:get_me -user_id:"3" "two words" begin* https://x') == []
    assert "no letter" in hints("-- **")[0] and "first 20 parts" in hints("a " * 21)[0]


def test_an_empty_search_says_which_part_keeps_out_most_and_offers_a_longer_time(carol, some):
    page = logs(carol, q="call", tool="get_nothing", range="15m")
    assert "Without “Tool: get_nothing”: 2 lines" in html.unescape(page.text)
    assert shown(follow_link(carol, page, "Without “Tool: get_nothing”: 2 lines")) == ["call", "call"]
    assert "range=30d" in follow_link(carol, logs(carol, q="nothing-at-all"), "Look at 30 days").url
    assert follow_link(carol, page, "Look at 24 hours").path == "/admin/logs"


def test_all_values_of_a_long_facet_can_be_had(carol, wrote, monkeypatch):
    for number in range(15):
        wrote(timedelta(seconds=60 + number), "call", "performance", tool=f"tool_{number:02}")

    page = logs(carol)
    assert len(facet(page, "tool")) == 12 and "data-find" not in page.text
    page = follow_link(carol, page, "More values of Tool")
    assert len(facet(page, "tool")) == 15 and "data-find" in page.text
    assert shown(follow_link(carol, page, "Only tool_14")) == ["call"]
    assert logs(carol, more="nothing").status == 200


def test_a_traceback_shows_our_frames_first(carol, wrote):
    frames = [
        ("/srv/app/.venv/lib/python3.11/site-packages/flask/app.py", "wsgi"),
        ("/usr/lib/python3.11/json.py", "x"),
    ]
    frames += [("/srv/app/mcpweb/gateway/calling.py", "call"), ("/usr/lib/python3.11/ssl.py", "read")]
    body = "".join(f'  File "{path}", line 7, in {name}\n    {name}()\n' for path, name in frames)
    trace = f"Traceback (most recent call last):\n{body}ValueError: boom"
    wrote(MINUTE, "a bug", level="error", traceback=trace)

    assert folded(trace).splitlines() == [
        "Traceback (most recent call last):",
        "  … 2 frames of others",
        '  File "/srv/app/mcpweb/gateway/calling.py", line 7, in call',
        "    call()",
        "  … 1 frame of others",
        "ValueError: boom",
    ]
    assert folded("ValueError: boom") == folded(trace.replace("mcpweb", "other")) == ""
    page = logs(carol)
    assert "2 frames of others" in page.text and "flask/app.py" in page.text, "all of it is there too"


def test_how_lines_look_is_kept_and_the_search_stays(carol, some):
    page = logs(carol, q="call")
    page = carol.submit(page.form("/looks"), rows="compact")
    assert shown(page) == ["call", "call"] and "lines--compact" in page.text and 'data-times="utc"' in page.text
    page = carol.submit(page.form("/looks"), times="local")
    assert 'data-times="local"' in page.text and "lines--compact" in page.text
    page = carol.submit(page.form("/looks"), rows="<script>", times="Mars")
    assert "lines--compact" in page.text, "what makes no sense changes nothing"


def test_the_log_leads_to_who_looked_into_it(carol, some):
    page = logs(carol)
    links = [html.unescape(link) for link in page.links if "viewed" in link or "logs+export" in link]
    assert len(links) == 2 and all(carol.get(link).status == 200 for link in links)


def test_the_fields_of_the_rows_are_chosen_in_the_address_and_stay_on_every_way_from_there(carol, some):
    def fields(page: Page) -> list[str]:
        rows = re.findall(r'<span class="line__text">(.*?)</summary>', page.text, re.DOTALL)
        return [" ".join(re.findall(r"<i>(.*?)</i>=([^<]*)", row)[0]) if "<i>" in row else "" for row in rows]

    page = logs(carol, category="performance")
    assert fields(page) == ["tool list_issues", "tool get_me"]
    assert 'name="show" value="outcome">' in page.text

    page = logs(carol, **dict(page.form("/admin/logs").fields), show="outcome")

    assert fields(page) == ["outcome error", "outcome ok"] and "(1 chosen)" in page.text
    assert fields(follow_link(carol, page, "Last 7 days")) == ["outcome error", "outcome ok"]
    assert fields(logs(carol, "/lines", category="performance", show="outcome")) == ["outcome error", "outcome ok"]
    save(carol, "Outcomes", category="performance", show="outcome")
    assert fields(follow_link(carol, logs(carol), "Outcomes")) == ["outcome error", "outcome ok"]
    assert fields(logs(carol, category="performance", show=["<b>", "x" * 61, ""])) == ["", ""]
