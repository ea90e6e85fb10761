"""The trace that a caller names stands on the lines of its request."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from mcpweb.logs import traces

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "header", [f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00", f"cc-{TRACE}-{PARENT}-01-what-comes-later"]
)
def test_a_header_of_the_standard_names_its_trace(header):
    assert traces.trace_id(header) == TRACE


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01x",
        f"00-{TRACE}-{PARENT}-01\n",
        f"cc-{TRACE}-{PARENT}-011",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f" 00-{TRACE}-{PARENT}-01",
        f"cc-{TRACE}-{PARENT}-01-" + "x" * 300,
    ],
)
def test_what_is_no_such_header_names_none(header):
    assert traces.fields(header) == {}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_pages_calls_and_refusals_are_logged_with_the_trace_that_the_caller_named(
    app, browser, settings, make_instance
):
    instance, token = make_instance()
    trace = uuid4().hex  # the log has lines of other tests
    header = f"00-{trace}-{PARENT}-01"

    browser.open("GET", "/help", traceparent=header)
    browser.open("GET", f"/mcp/{instance.id}", traceparent=header, Authorization=f"Bearer {token}")
    browser.open("GET", f"/mcp/{instance.id}", traceparent=header)
    browser.open("GET", "/help", traceparent=f"00-{trace}-{PARENT}")

    files = (settings.home / "logs" / "system").glob("*.jsonl")
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines() if trace in line]
    assert sorted(line["message"] for line in lines) == ["call", "call refused", "page"]
    assert {line["trace_id"] for line in lines} == {trace}
