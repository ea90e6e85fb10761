"""No input, however odd, is answered with a 5xx, with something that is no JSON, or with a lost connection."""

import json
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpweb.gateway.revisions import CAPABILITIES, LEGACY, LOG_LEVEL, MODERN, VERSION
from mcpweb.plugin_api import Api, Call, InputRequired, Progress, prompt, resource, resource_template, tool
from tests.gateway.door import Door


@tool("Find", read_only=True)
def find(
    api: Api,
    text: Annotated[str, "Text."],
    page: Annotated[int, "Page.", {"x-mcp-header": "Page"}] = 1,
    more: Annotated[dict | None, "More."] = None,
) -> object:
    """Find something."""
    return api.get("/find/{text}", text=text, query={"page": page, "more": more})


@tool("Count", read_only=True)
def count(api: Api, to: Annotated[int, "To.", {"maximum": 3}] = 1):
    """Count."""
    for number in range(to):
        yield Progress(number)
    return to


@tool("Ask", read_only=True)
def ask(api: Api, call: Call) -> object:
    """Ask."""
    if not call.input_responses:
        raise InputRequired({"a": {"method": "roots/list"}}, 1)
    return call.request_state


@prompt("Greet", complete={"name": lambda typed, chosen: [typed]})
def greet(api: Api, name: Annotated[str, "Who."]) -> str:
    """Greet."""
    return name


@resource("test://a", name="A", mime_type="text/plain")
def fixed(api: Api) -> str:
    """Fixed."""
    return "a"


@resource_template("test://{name}/x", name="X", mime_type="text/plain")
def family(api: Api, name: str) -> object:
    """A family."""
    return api.get("/x/{name}", name=name)


ITEMS = (find, count, ask, greet, fixed, family)
METHODS = [
    "initialize",
    "ping",
    "server/discover",
    "tools/list",
    "tools/call",
    "prompts/get",
    "resources/read",
    "completion/complete",
    "logging/setLevel",
    "notifications/x",
]
WORDS = st.sampled_from(
    [
        "find",
        "count",
        "ask",
        "greet",
        "test://a",
        "test://b/x",
        "name",
        "uri",
        "arguments",
        "text",
        "page",
        "to",
        "ref",
        "_meta",
    ]
)
META = st.fixed_dictionaries(
    {},
    optional={
        VERSION: st.sampled_from([MODERN, *LEGACY]) | st.integers(),
        CAPABILITIES: st.just({}) | st.dictionaries(WORDS, st.none()) | st.none(),
        LOG_LEVEL: st.sampled_from(["debug", "loud"]) | st.lists(st.integers()),
        "progressToken": st.integers() | st.text() | st.booleans() | st.lists(st.none()),
    },
)
# Lone surrogates are no UTF-8, so a body can hold them as an escape only; json.dumps writes them so.
TEXT = st.text(st.characters(), max_size=20) | WORDS
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "_meta": META | JSON,
        "name": WORDS | JSON,
        "uri": WORDS | JSON,
        "arguments": st.dictionaries(WORDS, JSON, max_size=4) | JSON,
        "ref": st.fixed_dictionaries(
            {"type": st.sampled_from(["ref/prompt", "ref/resource"]), "name": WORDS, "uri": WORDS}
        )
        | JSON,
        "argument": st.fixed_dictionaries({"name": WORDS, "value": TEXT}) | JSON,
        "context": JSON,
        "cursor": JSON,
        "level": JSON,
        "protocolVersion": JSON,
        "clientInfo": JSON,
        "inputResponses": JSON,
        "requestState": JSON,
    },
)
MESSAGE = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0"), "method": st.sampled_from(METHODS)},
    optional={"id": st.integers() | TEXT | JSON, "params": PARAMS | JSON, "result": JSON, "error": JSON},
)
BODY = st.one_of(
    st.binary(max_size=200),
    JSON.map(lambda value: json.dumps(value).encode()),
    MESSAGE.map(lambda value: json.dumps(value).encode()),
    st.lists(MESSAGE | JSON, max_size=4).map(lambda value: json.dumps(value).encode()),
)
HEADER = st.text(st.characters(max_codepoint=255), max_size=30)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "mcp_protocol_version": st.sampled_from(["", "2024-11-05", MODERN, *LEGACY, "2099-01-01"]) | HEADER,
        "mcp_method": st.sampled_from(METHODS) | HEADER,
        "mcp_name": WORDS | HEADER | st.just("=?base64?====?="),
        "mcp_param_page": HEADER,
        "accept": st.sampled_from(["*/*", "text/event-stream, */*", ";;,q=;", ""]) | HEADER,
        "content_type": st.sampled_from(["application/json", "text/plain"]) | HEADER,
        "content_length": HEADER,
        "origin": HEADER,
        "authorization": HEADER,
    },
)


@pytest.fixture(scope="module")
def door():
    return Door.to(*ITEMS)


def check(door, answer):
    assert answer.status < 500
    assert [record.error for record in door.records if record.outcome == "error"] == []
    door.records.clear()
    if answer.headers.get("Content-Type") == "text/event-stream":
        assert answer.events
    elif answer.body:
        json.loads(answer.body)
    else:
        assert answer.status == 202


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(body=BODY)
def test_no_body_breaks_the_endpoint(door, body):
    check(door, door.send(body))


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(body=BODY, headers=HEADERS)
def test_no_header_breaks_the_endpoint(door, body, headers):
    check(door, door.send(body, **headers))


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    method=st.sampled_from(METHODS),
    params=PARAMS.filter(lambda params: "_meta" not in params),
    meta=META.map(lambda meta: {**meta, VERSION: MODERN, CAPABILITIES: {"roots": {}}}),
)
def test_no_parameter_of_a_modern_request_breaks_the_endpoint(door, method, params, meta):
    named = params.get("name") if method != "resources/read" else params.get("uri")
    named = named if isinstance(named, str) else "x"
    check(door, door.modern(method, params, meta=meta, mcp_name=named, mcp_param_page="1"))


ARGUMENTS = st.fixed_dictionaries(
    {}, optional={"text": TEXT | JSON, "page": st.integers() | JSON, "to": JSON, "more": JSON}
)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    name=st.sampled_from(["find", "count", "ask"]),
    arguments=ARGUMENTS | JSON,
    version=st.sampled_from([None, *LEGACY]),
    meta=META,
)
def test_no_argument_breaks_a_tool(door, name, arguments, version, meta):
    params = {"name": name, "arguments": arguments, "_meta": meta}
    version = LEGACY[0] if VERSION in meta and version is None else version
    check(door, door.ask("tools/call", params, version=version))


def test_a_call_may_be_as_odd_as_it_likes_and_the_next_one_is_answered(door):
    for odd in (b"", b"[]", b"null", b"0", b'"x"', b"{}", b"{" * 100_000, b"\x00" * 1000, b'{"jsonrpc":"2.0"}'):
        assert door.send(odd).status == 400
    assert door.ask("ping").result == {}
