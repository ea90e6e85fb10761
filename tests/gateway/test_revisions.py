import json

import pytest

from mcpweb import clock, jsonrpc
from mcpweb.gateway.revisions import CAPABILITIES, CLIENT_INFO, LEGACY, MODERN, SERVER_INFO, VERSION
from mcpweb.plugin_api import Api, tool
from tests.gateway.door import Door


@tool("Ping", read_only=True)
def reach(api: Api) -> object:
    """Reach the service."""
    return api.get("/user")


@pytest.fixture
def door():
    return Door.to(reach)


# The handshake


@pytest.mark.parametrize(
    "asked, answered",
    [
        *((version, version) for version in ("2024-11-05", *LEGACY)),
        (MODERN, "2025-11-25"),
        ("2099-01-01", "2025-11-25"),
        ("", "2025-11-25"),
    ],
)
def test_initialize_agrees_on_a_revision_with_a_handshake(door, asked, answered):
    result = door.ask("initialize", {"protocolVersion": asked, "capabilities": {}}, version=None).result

    assert result["protocolVersion"] == answered
    assert result["capabilities"] == {"tools": {}}
    assert result["serverInfo"] == {"name": "mcpweb", "version": "0", "title": "Figma"}


def test_initialize_without_a_version_is_an_error_in_an_answer_that_arrived(door):
    answer = door.ask("initialize", {"capabilities": {}}, version=None)

    assert (answer.status, answer.error["code"]) == (200, jsonrpc.INVALID_PARAMS)


def test_the_client_that_initializes_is_recorded(door):
    door.ask(
        "initialize", {"protocolVersion": "2025-06-18", "clientInfo": {"name": "Zed", "version": "1"}}, version=None
    )

    assert door.records[0].client == "Zed 1"


def test_no_session_is_ever_handed_out(door):
    answer = door.ask("initialize", {"protocolVersion": "2025-06-18"}, mcp_session_id="mine", last_event_id="9")

    assert not [name for name in answer.headers if "session" in name.lower()]


@pytest.mark.parametrize("version", [None, "2024-11-05", *LEGACY])
def test_ping_and_lists_answer_without_a_handshake(door, version):
    assert door.ask("ping", version=version).result == {}
    [listed] = door.ask("tools/list", version=version).result["tools"]
    assert listed["name"] == "reach"
    assert set(door.ask("tools/list", version=version).result) == {"tools"}


def test_what_a_service_lacks_is_neither_advertised_nor_answered(door):
    for method in ("prompts/list", "resources/list", "completion/complete", "logging/setLevel", "resources/subscribe"):
        answer = door.ask(method)
        assert (answer.status, answer.error["code"]) == (200, jsonrpc.METHOD_NOT_FOUND), method


def test_a_page_that_was_never_handed_out_does_not_exist(door):
    assert door.ask("tools/list", {"cursor": ""}).error["code"] == jsonrpc.INVALID_PARAMS


@pytest.mark.parametrize("version", [None, *LEGACY, MODERN])
def test_notifications_are_accepted_without_an_answer(door, version):
    headers = {} if version is None else {"mcp_protocol_version": version}
    for method in ("notifications/initialized", "notifications/cancelled", "unheard/of"):
        answer = door.send({"jsonrpc": "2.0", "method": method}, **headers)
        assert (answer.status, answer.body) == (202, b"")


def test_a_notification_in_an_unknown_revision_is_refused(door):
    answer = door.send({"jsonrpc": "2.0", "method": "x"}, mcp_protocol_version="2099-01-01")

    assert (answer.status, answer.error["code"]) == (400, jsonrpc.UNSUPPORTED_VERSION)
    assert "id" not in answer.json


def test_a_response_is_taken_where_clients_may_send_one(door):
    response = {"jsonrpc": "2.0", "id": 1, "result": {}}

    assert door.send(response, mcp_protocol_version="2025-11-25").status == 202
    assert door.send(response, mcp_protocol_version=MODERN).error["code"] == jsonrpc.INVALID_REQUEST


def test_it_is_on_record_which_tools_a_service_offers(door, caplog):
    caplog.set_level("INFO")
    for _ in range(3):
        door.ask("tools/list")

    [line] = [record for record in caplog.records if record.message == "service offered"]
    assert line.service == "figma" and len(line.tools_sha256) == 64


def test_ids_come_back_in_their_own_type(door):
    for id in (0, -1, 2**53, "", "1", "server-discover-probe-1", "é"):
        assert door.ask("ping", id=id).json["id"] == id


# Batches


def test_a_batch_is_answered_message_by_message(door):
    batch = [
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        5,
        {"jsonrpc": "2.0", "id": 2, "method": "initialize", "params": {"protocolVersion": "2025-03-26"}},
        {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "reach"}},
    ]

    for headers in ({}, {"mcp_protocol_version": "2025-03-26"}):
        ping, bad, initialize, call = door.send(batch, **headers).json
        assert ping["result"] == {}
        assert (bad["id"], bad["error"]["code"]) == (None, jsonrpc.INVALID_REQUEST)
        assert (initialize["id"], initialize["error"]["code"]) == (2, jsonrpc.INVALID_REQUEST)
        assert "octocat" in call["result"]["content"][0]["text"]
    assert [record.method for record in door.records[:5]] == [
        "ping",
        "notifications/initialized",
        "",
        "initialize",
        "tools/call",
    ]
    assert [record.outcome for record in door.records[:5]] == ["ok", "ok", "rejected", "rejected", "ok"]


def test_a_batch_that_takes_too_long_is_not_carried_on(door, monkeypatch):
    now = [0.0]

    @tool("Slow", read_only=True)
    def slow(api: Api) -> str:
        """Take twenty seconds."""
        now[0] += 20
        return "done"

    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    door = Door.to(slow)
    call = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "slow"}}

    answers = door.send([{**call, "id": id} for id in range(4)]).json

    assert [answer.get("error", {}).get("code") for answer in answers] == [None, None, jsonrpc.BUSY, jsonrpc.BUSY]
    assert [answer["id"] for answer in answers] == [0, 1, 2, 3]


def test_a_batch_that_wants_no_answer_gets_none(door):
    answer = door.send(
        [{"jsonrpc": "2.0", "method": "notifications/initialized"}, {"jsonrpc": "2.0", "id": 1, "result": {}}]
    )

    assert (answer.status, answer.body) == (202, b"")


@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25", MODERN])
def test_later_revisions_have_no_batches(door, version):
    answer = door.send([{"jsonrpc": "2.0", "id": 1, "method": "ping"}], mcp_protocol_version=version)

    assert (answer.status, answer.error["code"]) == (400, jsonrpc.INVALID_REQUEST)


def test_an_empty_batch_and_an_endless_one_are_refused(door):
    for batch in ([], [{"jsonrpc": "2.0", "id": 1, "method": "ping"}] * 1000):
        answer = door.send(batch)
        assert (answer.status, answer.error["code"]) == (400, jsonrpc.INVALID_REQUEST)


# 2026-07-28


def test_discovery_says_what_is_spoken_and_offered(door):
    result = door.modern("server/discover").result

    assert result["supportedVersions"] == [MODERN]
    assert result["capabilities"] == {"tools": {}}
    assert (result["resultType"], result["cacheScope"]) == ("complete", "private")
    assert result["ttlMs"] > 0
    assert result["_meta"][SERVER_INFO]["name"] == "mcpweb"


def test_lists_carry_caching_hints_and_calls_do_not(door):
    listed, called = door.modern("tools/list").result, door.modern("tools/call", {"name": "reach"}).result

    assert listed["cacheScope"] == "private"
    assert (called["resultType"], called["_meta"][SERVER_INFO]["title"]) == ("complete", "Figma")
    assert not {"ttlMs", "cacheScope"} & set(called)


@pytest.mark.parametrize(
    "method",
    [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "prompts/list",
        "subscriptions/listen",
        "nonsense",
    ],
)
def test_methods_that_do_not_exist_are_404_with_an_error_that_tells_why(door, method):
    answer = door.modern(method)

    assert (answer.status, answer.error["code"], answer.json["id"]) == (404, jsonrpc.METHOD_NOT_FOUND, 1)


@pytest.mark.parametrize(
    "meta",
    [
        None,
        5,
        [],
        {},
        {CAPABILITIES: {}},
        {VERSION: MODERN},
        {VERSION: 5, CAPABILITIES: {}},
        {VERSION: MODERN, CAPABILITIES: None},
        {VERSION: MODERN, CAPABILITIES: []},
    ],
)
def test_an_incomplete_envelope_is_refused(door, meta):
    answer = door.ask("tools/list", {"_meta": meta}, version=MODERN, mcp_method="tools/list")

    assert (answer.status, answer.error["code"], answer.json["id"]) == (400, jsonrpc.INVALID_PARAMS, 1)


@pytest.mark.parametrize(
    "headers",
    [
        {"mcp_protocol_version": None},
        {"mcp_protocol_version": "2099-01-01"},
        {"mcp_method": None},
        {"mcp_method": "tools/list"},
        {"mcp_method": "Tools/Call"},
        {"mcp_method": "tools/call, tools/call"},
        {"mcp_name": None},
        {"mcp_name": "other"},
        {"mcp_name": "Reach"},
        {"mcp_name": "=?base64?cmVhY2g?="},
        {"mcp_name": "=?base64?////?="},
        {"mcp_name": "=?base64?cmVhY2h=?="},
        {"mcp_name": "=?BASE64?cmVhY2g=?="},
        {"mcp_name": "=?base64?="},
        {"mcp_name": "reach\x01"},
    ],
)
def test_headers_that_disagree_with_the_body_are_refused(door, headers):
    answer = door.modern("tools/call", {"name": "reach"}, **headers)

    assert (answer.status, answer.error["code"], answer.json["id"]) == (400, jsonrpc.HEADER_MISMATCH, 1)
    assert door.upstream.sent == []


@pytest.mark.parametrize("name", ["  reach\t", "=?base64?cmVhY2g=?=", " =?base64?cmVhY2g=?= "])
def test_a_header_may_be_blank_padded_or_in_base64(door, name):
    assert door.modern("tools/call", {"name": "reach"}, mcp_name=name).status == 200


def test_a_name_that_is_no_text_is_the_bodys_fault(door):
    answer = door.modern("tools/call", {"name": 5}, mcp_name="5")

    assert (answer.status, answer.error["code"]) == (400, jsonrpc.INVALID_PARAMS)


def test_an_unknown_revision_is_told_which_one_is_known(door):
    answer = door.modern("ping", meta={VERSION: "2099-01-01"}, mcp_protocol_version="2099-01-01")

    assert (answer.status, answer.error["code"]) == (400, jsonrpc.UNSUPPORTED_VERSION)
    assert answer.error["data"] == {"supported": [MODERN], "requested": "2099-01-01"}


def test_an_unknown_header_alone_is_an_unknown_revision_too(door):
    answer = door.ask("ping", version="2025-12-31")

    assert (answer.status, answer.error["code"]) == (400, jsonrpc.UNSUPPORTED_VERSION)


def test_a_legacy_header_counts_more_than_a_modern_envelope(door):
    meta = {"_meta": {VERSION: MODERN, CAPABILITIES: {}}}

    assert "resultType" not in door.ask("tools/list", meta, version="2025-06-18").result


def test_the_client_of_a_modern_request_is_recorded_and_never_trusted(door):
    door.modern("tools/list", meta={CLIENT_INFO: {"name": "Claude", "version": "9" * 5000}})
    door.modern("tools/list", meta={CLIENT_INFO: json.loads("[" * 900 + "]" * 900)})

    assert door.records[0].client == "Claude " + "9" * 100
    assert door.records[1].client == ""
