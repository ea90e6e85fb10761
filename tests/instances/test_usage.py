"""Counting the use of instances from log lines, and its figures for pages."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event

from mcpweb import clock
from mcpweb.database import db, now, transaction
from mcpweb.instances import counting, lifecycle, usage
from mcpweb.instances.models import BUCKETS_MS, Instance, InstanceToken, UsageRollup
from tests.parallel import at_once

HOST = "aaaaaaaaaaaa"
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)

Make = Callable[..., tuple[Instance, str]]


@pytest.fixture
def instance(make_instance: Make) -> Instance:
    return make_instance()[0]


def call(instance: Instance, at: datetime = NOON, **fields: Any) -> dict[str, Any]:
    """A line as a tool call leaves it."""
    said = {"message": "call", "time": at.isoformat(), "instance_id": str(instance.id), "user_id": instance.owner_id}
    tool = {"method": "tools/call", "tool": "get_issue", "outcome": "ok", "upstream_requests": 1, "agent": "curl/8"}
    times = {"duration_ms": 12.5, "upstream_ms": 9.6, "token_id": instance.tokens[0].id}
    return said | tool | times | fields


def refused(instance: Instance, **fields: Any) -> dict[str, Any]:
    return call(instance, outcome="tool_error", refusal="key_refused", **fields)


def count(*lines: dict[str, Any], host: str = HOST) -> None:
    with transaction():
        counting.count(host, lines)


def stored(instance: Instance) -> Instance:
    db.session.rollback()
    found = db.session.get(Instance, instance.id, populate_existing=True)
    assert found
    return found


def rows() -> list[UsageRollup]:
    db.session.rollback()
    query = db.select(UsageRollup).order_by(UsageRollup.hour, UsageRollup.tool, UsageRollup.host)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


def test_a_tool_call_counts_for_its_instance_its_token_and_its_hour(instance):
    count(call(instance), call(instance, NOON + timedelta(minutes=59), outcome="tool_error", duration_ms=30_000))
    count(call(instance, NOON + timedelta(minutes=1), client="claude 1.0"))

    row = stored(instance)
    assert (row.usage_count, row.last_used_at) == (3, NOON + timedelta(minutes=59))
    token = db.session.get(InstanceToken, row.tokens[0].id, populate_existing=True)
    assert token and (token.last_used_at, token.last_client) == (NOON + timedelta(minutes=59), "curl/8")
    [hour] = rows()
    assert (hour.instance_id, hour.hour, hour.tool, hour.host) == (instance.id, NOON, "get_issue", HOST)
    assert (hour.calls, hour.errors, hour.upstream_ms, hour.ms_25, hour.ms_more) == (3, 1, 30, 2, 1)


def test_other_requests_are_a_use_but_no_tool_call(instance):
    count(call(instance, method="tools/list", tool="", client="claude 1.0"))

    row = stored(instance)
    assert (row.usage_count, row.last_used_at, rows()) == (0, NOON, [])
    assert row.tokens[0].last_used_at == NOON


def test_hours_tools_and_hosts_are_kept_apart(instance):
    count(call(instance), call(instance, tool="b"), call(instance, NOON - timedelta(seconds=1)))
    count(call(instance), host="bbbbbbbbbbbb")

    assert [(row.hour.hour, row.tool, row.host[0], row.calls) for row in rows()] == [
        (11, "get_issue", "a", 1), (12, "b", "a", 1), (12, "get_issue", "a", 1), (12, "get_issue", "b", 1),
    ]  # fmt: skip


def test_the_last_use_never_goes_back(instance):
    count(call(instance, client="new"))
    count(call(instance, NOON - timedelta(days=1), client="old"))

    row = stored(instance)
    assert (row.last_used_at, row.tokens[0].last_used_at, row.tokens[0].last_client) == (NOON, NOON, "new")


def test_the_calls_of_deleted_instances_and_lines_that_are_no_calls_are_left_out(instance, make_instance):
    gone, _ = make_instance(label="Gone")
    line = call(gone)
    lifecycle.remove(gone, "alice@example.com")

    count(line, call(instance, message="request"), call(instance, user_id=None), {"message": "call"}, call(instance))

    assert stored(instance).usage_count == 1
    assert [row.instance_id for row in rows()] == [instance.id]


HOSTILE = [
    {"instance_id": 5}, {"instance_id": "x"}, {"instance_id": str(uuid4())}, {"time": None}, {"time": "x"},
    {"time": "0001-01-01T00:00:00+14:00"}, {"time": "2026-11-25T12:00:00"}, {"tool": "\0" * 99},
    {"tool": "\ud800" * 300}, {"tool": 7}, {"tool": "é" * 999}, {"duration_ms": math.nan},
    {"duration_ms": -5}, {"duration_ms": 1e300}, {"upstream_ms": math.nan},
    {"duration_ms": "x"}, {"upstream_ms": math.inf}, {"upstream_ms": 10**17}, {"upstream_ms": None},
    {"token_id": 10**17}, {"token_id": "x"}, {"token_id": -1}, {"client": "\0\ud800"},
    {"client": ["x"], "agent": {}}, {"client": "c" * 999},
    {"outcome": None}, {"method": ["tools/call"]}, {"user_id": "x"}, {"refusal": 5}, {"upstream_requests": "x"},
]  # fmt: skip


def test_no_line_can_hold_the_counting_up(instance):
    for fields in HOSTILE:
        count(call(instance, **fields))
    count(*(call(instance, upstream_ms=10**17) for _ in range(1200)))

    assert stored(instance).usage_count >= 1200
    assert all(0 <= row.upstream_ms < 2**62 for row in rows())
    assert stored(instance).tokens[0].last_client is not None


def test_a_batch_takes_few_statements_however_many_lines_it_has(instance, make_instance):
    others = [instance, *(make_instance(label=f"Work {number}")[0] for number in range(4))]
    statements: list[str] = []
    lines = [call(others[number % 5], tool=f"tool_{number % 7}") for number in range(500)]
    with transaction():

        @event.listens_for(db.engine, "before_cursor_execute")
        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            statements.append(statement.split()[0])

        try:
            counting.count(HOST, lines)
        finally:
            event.remove(db.engine, "before_cursor_execute", note)

    assert [word for word in statements if word != "BEGIN"] == ["SELECT", "UPDATE", "UPDATE", "INSERT", "INSERT"]
    assert {stored(one).usage_count for one in others} == {100}


def test_hosts_that_count_the_same_instances_at_once_do_not_lock_each_other_out(app, make_instance):
    instances = [make_instance(label=f"Work {number}")[0] for number in range(6)]
    lines = {one.id: call(one) for one in instances}
    ids = list(lines)
    db.session.rollback()

    def work(host: str, order: list[Any]) -> None:
        with app.app_context():
            for _ in range(15):
                count(*(lines[one] for one in order), host=host)

    at_once([lambda: work("a", ids), lambda: work("b", ids[::-1]), lambda: work("c", ids[3:] + ids[:3])])

    assert {stored(one).usage_count for one in instances} == {45}


def test_the_third_refusal_of_the_key_in_a_row_makes_its_check_due(instance):
    later = now() + timedelta(days=1)
    with transaction():
        instance.credential_due_at = later
    count(refused(instance), refused(instance))
    assert (stored(instance).credential_refusals, stored(instance).credential_due_at) == (2, later)

    count(refused(instance))

    row = stored(instance)
    assert row.credential_refusals == 3 and row.credential_due_at and row.credential_due_at <= now()


def test_further_refusals_do_not_bring_the_check_forward_again(instance):
    count(refused(instance), refused(instance), refused(instance))
    later = now() + timedelta(days=1)
    row = stored(instance)
    with transaction():
        row.credential_due_at = later

    count(*[refused(instance)] * 5)

    assert (stored(instance).credential_refusals, stored(instance).credential_due_at) == (8, later)


def test_a_call_that_the_service_let_in_ends_the_row_of_refusals(instance):
    later = now() + timedelta(days=1)
    with transaction():
        instance.credential_due_at = later
    count(refused(instance), refused(instance), call(instance), refused(instance), refused(instance))
    assert (stored(instance).credential_refusals, stored(instance).credential_due_at) == (2, later)
    count(call(instance))
    assert stored(instance).credential_refusals == 0

    count(call(instance), *[refused(instance)] * 3)
    assert stored(instance).credential_refusals == 3 and stored(instance).credential_due_at != later


def test_what_the_service_was_not_asked_for_says_nothing_about_the_key(instance):
    count(refused(instance), refused(instance))

    count(call(instance, method="tools/list"), call(instance, upstream_requests=0), call(instance, outcome="error"))

    assert stored(instance).credential_refusals == 2


def test_a_percentile_lies_within_its_bucket():
    def spread(**calls: int) -> list[int]:
        return [calls.get(f"ms_{bound}", 0) for bound in (*BUCKETS_MS, "more")]

    assert usage.percentile(spread(), 0.5) is None
    assert usage.percentile(spread(ms_10=10), 0.5) == 5
    assert usage.percentile(spread(ms_10=10, ms_25=10), 0.5) == 10
    assert usage.percentile(spread(ms_10=10, ms_25=10), 0.95) == pytest.approx(23.5)
    assert usage.percentile(spread(ms_10=1, ms_more=9), 0.95) == 10_000
    assert usage.percentile(spread(ms_250=1), 1.0) == 250


def test_figures_by_hour_day_and_tool(instance):
    day = timedelta(days=1)
    count(*[call(instance, duration_ms=5)] * 9, call(instance, duration_ms=80, outcome="error"))
    count(call(instance, NOON + timedelta(hours=1), tool="b"), call(instance, NOON - day), host="bbbbbbbbbbbb")

    hours = usage.by_time(instance.id, NOON, "hour")
    assert [(span.start, span.calls, span.errors) for span in hours] == [
        (NOON, 10, 1), (NOON + timedelta(hours=1), 1, 0),
    ]  # fmt: skip
    assert hours[0].p50_ms == pytest.approx(5.56, abs=0.01) and hours[0].p95_ms == 75
    midnight = NOON.replace(hour=0)
    assert [span[:3] for span in usage.by_time(instance.id, NOON - day, "day")] == [
        (midnight - day, 1, 0), (midnight, 11, 1),
    ]  # fmt: skip
    assert [use[:3] for use in usage.by_tool(instance.id, NOON - day, 5)] == [("get_issue", 11, 1), ("b", 1, 0)]
    assert [use.tool for use in usage.by_tool(instance.id, NOON - day, 1)] == ["get_issue"]
    assert usage.by_time(uuid4(), NOON, "day") == []


def test_the_calls_of_today_and_of_the_last_hours(instance, make_instance, monkeypatch):
    other, _ = make_instance(label="Other")
    monkeypatch.setattr(clock, "utcnow", lambda: NOON + timedelta(minutes=30))
    ago = [NOON - timedelta(hours=hours) for hours in (0, 0, 3, 13, 23, 24)]
    count(*(call(instance, at) for at in ago))

    assert usage.calls_today([instance.id, other.id]) == {instance.id: 3, other.id: 0}
    lines = usage.sparkline([instance.id, other.id])
    assert lines[other.id] == [0] * 24
    assert {place: calls for place, calls in enumerate(lines[instance.id]) if calls} == {0: 1, 10: 1, 20: 1, 23: 2}
    assert usage.sparkline([instance.id], hours=4) == {instance.id: [1, 0, 0, 2]}
    assert usage.sparkline([]) == {} == usage.calls_today([])
