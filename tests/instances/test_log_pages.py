"""What an owner sees of an instance's calls: each one, found again by what is in it; files; and numbers that add up."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from urllib.parse import urlencode

import pytest
from flask import Flask

from mcpweb import clock
from mcpweb.database import db, transaction
from mcpweb.hosts import host_id
from mcpweb.instances import counting
from mcpweb.instances.models import Instance, UsageRollup
from mcpweb.logs import events
from mcpweb.logs.following import Follower
from mcpweb.web.current import log_index, settings
from tests.instances import endpoint
from tests.instances.living import actions, stored


@pytest.fixture
def follow(app: Flask) -> Callable[[], int]:
    """Brings the index up to date, as the ticker does."""
    home, index = settings().home, log_index()
    for day in index.days():  # the database is empty, so the files are read from their start
        index.drop_day(day)
    host = host_id(home / "run")
    return Follower(home / "logs", host, index, partial(counting.count, host)).step


@pytest.fixture
def called(app, make_instance, follow) -> Instance:
    """Alice's instance, called four times: two that worked, one that did not, one for a tool that is not there."""
    instance, token = make_instance()
    for tool, arguments in (
        ("get_me", {}),
        ("list_issues", {"owner": "octocat", "repo": "hello-world"}),
        ("get_me", {"nonsense": "pumpernickel", "password": "hunter2"}),
        ("no_such_tool", {}),
    ):
        endpoint.call(app, instance.id, token, tool, **arguments)
    follow()
    return instance


def logs(person, instance, **args):
    return person.get(f"/instances/{instance.id}/logs" + (f"?{urlencode(args)}" if args else ""))


def shown(page) -> list[str]:
    """The tools of the calls on the page."""
    return [text.partition("</code>")[0] for text in page.text.split("<summary><code>")[1:]]


def test_every_call_is_there_newest_first_with_what_it_was_called_with(alice, called):
    page = logs(alice, called)

    assert shown(page) == ["no_such_tool", "get_me", "list_issues", "get_me"]
    assert "hello-world" in page.text and "pumpernickel" in page.text
    assert "hunter2" not in page.text and "[redacted]" in page.text


@pytest.mark.parametrize(
    "args, tools",
    [
        ({"q": "pumpernickel"}, ["get_me"]),
        ({"q": "PUMPER*"}, ["get_me"]),
        ({"q": "-pumpernickel", "tool": "get_me"}, ["get_me"]),
        ({"outcome": "ok"}, ["list_issues", "get_me"]),
        ({"outcome": "rejected"}, ["no_such_tool"]),
        ({"tool": "list_issues"}, ["list_issues"]),
        ({"tool": "list_issues", "outcome": "error"}, []),
        ({"q": "tool:list_issues"}, ["list_issues"]),
    ],
    ids=str,
)
def test_a_filter_shows_what_fits(args, tools, alice, called):
    page = logs(alice, called, **args)

    assert shown(page) == tools
    assert bool(tools) != ("No match" in page.text)


def test_older_and_newer_lead_through_all_calls_without_losing_one(alice, app, make_instance, follow):
    instance, token = make_instance()
    for _ in range(120):
        endpoint.call(app, instance.id, token, "no_such_tool")
    follow()

    page, sizes, ids = logs(alice, instance), [], []
    while True:
        sizes.append(len(shown(page)))
        ids += list(page.text.split("Request id</dt><dd>")[1:])
        older = [link for link in page.links if "before=" in link]
        if not older:
            break
        page = alice.get(older[0])
    assert sizes == [50, 50, 20]
    assert len({text[:24] for text in ids}) == 120
    assert ">Newest</a>" in page.text
    page = alice.get(next(link for link in page.links if "after=" in link))
    assert len(shown(page)) == 50
    page = alice.get(next(link for link in page.links if "after=" in link))
    assert len(shown(page)) == 50 and not [link for link in page.links if "after=" in link]


def test_nobody_sees_the_calls_of_somebody_else_or_of_another_instance(alice, bob, called, make_instance):
    other, _ = make_instance(label="Other")
    assert shown(logs(alice, other)) == []
    assert shown(logs(alice, other, q=f"instance:{called.id}")) == []
    for path in ("logs", "usage", "logs/export/csv", "logs/export/jsonl"):
        assert bob.get(f"/instances/{called.id}/{path}").status == 404


def test_an_export_holds_exactly_what_fits(alice, called):
    exported = alice.open("GET", f"/instances/{called.id}/logs/export/jsonl?tool=get_me")
    lines = [json.loads(line) for line in exported.text.splitlines()]

    assert [line["tool"] for line in lines] == ["get_me", "get_me"]
    assert {line["instance_id"] for line in lines} == {str(called.id)}
    assert "attachment" in exported.headers["Content-Disposition"]

    exported = alice.open("GET", f"/instances/{called.id}/logs/export/csv")
    rows = list(csv.DictReader(io.StringIO(exported.text)))
    assert [row["tool"] for row in rows] == ["no_such_tool", "get_me", "list_issues", "get_me"]
    assert exported.headers["Content-Type"].startswith("text/csv")
    assert "hunter2" not in exported.text
    assert alice.open("GET", f"/instances/{called.id}/logs/export/exe").status == 404


def test_a_formula_that_a_model_sends_is_text_in_the_table(alice, app, make_instance, follow):
    instance, token = make_instance()
    endpoint.call(app, instance.id, token, "=cmd|' /C calc'!A0")
    follow()

    exported = alice.open("GET", f"/instances/{instance.id}/logs/export/csv").text
    assert next(iter(csv.DictReader(io.StringIO(exported))))["tool"] == "'=cmd|' /C calc'!A0"


def test_arguments_are_stored_only_as_long_as_the_owner_wants_it(alice, app, make_instance, follow):
    instance, token = make_instance()
    page = logs(alice, instance)
    page = alice.submit(page.form("/arguments"), "keep")
    assert "no longer stored" in page.text
    assert not stored(instance.id).keeps_arguments
    endpoint.call(app, instance.id, token, "get_me", nonsense="pumpernickel")
    follow()

    page = logs(alice, instance)
    assert shown(page) == ["get_me"]
    folder = events.files().instance_folder(instance.owner_id, instance.id)
    assert "pumpernickel" not in page.text + "".join(path.read_text() for path in folder.iterdir())
    alice.submit(page.form("/arguments"), "keep")
    endpoint.call(app, instance.id, token, "get_me", nonsense="knäckebröd")
    follow()
    assert "knäckebröd" in logs(alice, instance).text
    assert actions(instance.id) == ["instance.arguments"] * 2


def test_usage_adds_up_and_the_list_says_it_too(alice, called):
    page = alice.get(f"/instances/{called.id}/usage")

    assert "<dd>4</dd>" in page.text, "calls"
    assert '<dd>2 <span class="muted">50.0 %</span></dd>' in page.text, "failed"
    assert page.text.index("get_me") < page.text.index("list_issues"), "the most used tool first"
    assert "600 calls a minute and 50,000 calls a day" in page.text
    assert 'role="img"' in page.text and "<caption" in page.text
    assert stored(called.id).usage_count == 4
    token = stored(called.id).tokens[0]
    assert token.last_used_at and clock.utcnow() - token.last_used_at < timedelta(minutes=1)
    assert "</svg>4</span>" in alice.get("/instances").text


@pytest.mark.parametrize("span", ["day", "week", "month", "quarter", "", "nonsense"])
def test_a_span_counts_what_lies_in_it(span, alice, called):
    with transaction():
        for row in db.session.query(UsageRollup).all():
            row.hour -= timedelta(days=20)

    page = alice.get(f"/instances/{called.id}/usage?range={span}")

    assert ("<dd>4</dd>" in page.text) == (span in ("month", "quarter"))
    assert ("No calls" in page.text) == (span not in ("month", "quarter"))


def test_an_instance_without_calls_says_so(alice, make_instance):
    instance, _ = make_instance()

    assert "Nothing has called" in logs(alice, instance).text
    assert "Nothing has called" in alice.get(f"/instances/{instance.id}/usage").text
