"""Calls by the minute: each once, and what is the service's fault apart from what is ours."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mcpweb.instances import traffic
from mcpweb.jsonrpc import BUSY
from tests.instances.test_usage import HOST, NOON, call, count


@pytest.fixture
def instance(make_instance):
    return make_instance()[0]


def test_a_failure_of_the_service_is_told_from_one_of_ours_and_from_one_of_the_caller(instance):
    upstream = ("key_refused", "scope_missing", "rate_limited", "unavailable")
    count(
        *(call(instance, service="github", outcome="tool_error", refusal=kind) for kind in upstream),
        *(
            call(instance, service="github", outcome="tool_error", refusal=kind)
            for kind in ("not_found", "invalid", [])
        ),
        *(call(instance, service="github", outcome=outcome) for outcome in ("ok", "limited", "rejected", "error")),
        call(instance, service="github", outcome="refused", rpc_code=BUSY),
    )

    found = traffic.by_minute(NOON - timedelta(hours=1))[NOON]
    assert (found.calls, found.errors, found.upstream_errors, found.faults) == (12, 11, 4, 2)
    assert found.p50_ms and found.p50_ms < 25


def test_minutes_services_and_hosts_add_up(instance):
    for host in (HOST, "other"):
        count(
            call(instance, service="github"), call(instance, NOON + timedelta(seconds=59), service="figma"), host=host
        )
    count(call(instance, NOON + timedelta(seconds=60), service="github"), call(instance, method="tools/list"))

    assert {minute: one.calls for minute, one in traffic.by_minute(NOON).items()} == {
        NOON: 4,
        NOON + timedelta(minutes=1): 1,
    }
    assert {name: one.calls for name, one in traffic.by_service(NOON).items()} == {"github": 3, "figma": 2}
    assert traffic.total(NOON + timedelta(minutes=1)).calls == 1
    assert traffic.total(NOON + timedelta(hours=1)) == traffic.Traffic()
