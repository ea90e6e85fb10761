"""Every tool against the official document, arguments as people paste them, and Figma's refusals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import cycle
from typing import Any

import orjson
import pytest

from mcpweb.catalog.checking import CheckRefused, check
from mcpweb.plugin_api import ToolError, UpstreamError
from tests.spec_server import TOKENS

KEY = "AbCdEfGhIjKlMnOpQrStUv"
URL = f"https://www.figma.com/design/{KEY}/Shop?node-id=1-2&t=x-1"
RESULT_CHARS = 60_000

# Every tool, in each of its ways: arguments, the operation of the official document, and what must arrive there.
CALLS: list[tuple[str, dict[str, Any], str, dict[str, str]]] = [
    ("get_me", {}, "getMe", {}),
    ("get_file", {"file": KEY}, "getFile", {"depth": "2", "branch_data": "true"}),
    (
        "get_file",
        {"file": URL, "depth": 1, "version": "7", "detail": "design"},
        "getFile",
        {"depth": "1", "version": "7"},
    ),
    ("get_nodes", {"file": URL}, "getFileNodes", {"ids": "1:2", "depth": "4"}),
    (
        "get_nodes",
        {"file": KEY, "nodes": ["1-2", "I3:4;5:6"], "fields": ["size"]},
        "getFileNodes",
        {"ids": "1:2,I3:4;5:6"},
    ),
    ("get_file_meta", {"file": KEY}, "getFileMeta", {}),
    (
        "list_file_versions",
        {"file": KEY, "limit": 50, "before": 9},
        "getFileVersions",
        {"page_size": "50", "before": "9"},
    ),
    ("render_images", {"file": URL}, "getImages", {"ids": "1:2", "format": "png", "scale": "1"}),
    (
        "render_images",
        {"file": KEY, "nodes": ["1:2"], "format": "svg", "scale": 0.5, "use_absolute_bounds": True, "version": "7"},
        "getImages",
        {"ids": "1:2", "format": "svg", "scale": "0.5", "use_absolute_bounds": "true", "version": "7"},
    ),
    ("get_image_fills", {"file": KEY, "image_refs": ["key"]}, "getImageFills", {}),
    (
        "list_comments",
        {"file": KEY, "open_only": True, "contains": "x", "after": 1, "limit": 1},
        "getComments",
        {"as_md": "true"},
    ),
    ("post_comment", {"file": KEY, "message": "Look", "node": "1-2", "x": 3}, "postComment", {}),
    ("post_comment", {"file": KEY, "message": "Look", "x": 3, "y": 4}, "postComment", {}),
    ("post_comment", {"file": KEY, "message": "Look", "reply_to": "5"}, "postComment", {}),
    ("delete_comment", {"file": KEY, "comment_id": "5"}, "deleteComment", {}),
    ("list_components", {"file": KEY}, "getFileComponents", {}),
    ("list_components", {"team": "12", "after": 3}, "getTeamComponents", {"page_size": "50", "after": "3"}),
    ("list_component_sets", {"file": KEY}, "getFileComponentSets", {}),
    ("list_component_sets", {"team": "12"}, "getTeamComponentSets", {"page_size": "50"}),
    ("list_styles", {"file": KEY}, "getFileStyles", {}),
    ("list_styles", {"team": "12", "limit": 10}, "getTeamStyles", {"page_size": "10"}),
    ("get_library_item", {"kind": "component", "key": "abc"}, "getComponent", {}),
    ("get_library_item", {"kind": "component_set", "key": "abc"}, "getComponentSet", {}),
    ("get_library_item", {"kind": "style", "key": "abc"}, "getStyle", {}),
    ("list_local_variables", {"file": KEY}, "getLocalVariables", {}),
    ("list_published_variables", {"file": KEY}, "getPublishedVariables", {}),
    ("list_folders", {"team": "12"}, "getTeamFolders", {}),
    ("list_folders", {"folder": "12"}, "getFolderFolders", {}),
    ("list_folder_files", {"folder": "12", "branches": True}, "getFolderFiles", {"branch_data": "true"}),
    ("list_dev_resources", {"file": KEY, "nodes": ["1-2"]}, "getDevResources", {"node_ids": "1:2"}),
    (
        "add_dev_resource",
        {"file": KEY, "node": "1-2", "name": "Code", "url": "https://example.com/"},
        "postDevResources",
        {},
    ),
    ("delete_dev_resource", {"file": KEY, "dev_resource_id": "abc"}, "deleteDevResource", {}),
    ("list_webhooks", {"context": "team", "context_id": "12"}, "getWebhooks", {"context": "team", "context_id": "12"}),
    ("list_webhooks", {"context": "file", "context_id": URL}, "getWebhooks", {"context": "file", "context_id": KEY}),
    ("list_webhook_requests", {"webhook_id": "12"}, "getWebhookRequests", {}),
]
FIRST_CALLS = {tool: arguments for tool, arguments, _, _ in reversed(CALLS)}


@pytest.mark.parametrize(("tool", "arguments", "operation", "query"), CALLS)
def test_a_tool_makes_the_request_that_the_official_document_describes(figma, tool, arguments, operation, query):
    result = figma.call(tool, arguments)

    assert len(figma.server.seen) == 1
    assert figma.asked.operation_id == operation
    assert figma.asked.undeclared == ()
    assert query.items() <= dict(figma.asked.query).items()
    assert figma.asked.headers["x-figma-token"] == TOKENS["figma"]["good"]
    text = orjson.dumps(result).decode()
    assert len(text) <= RESULT_CHARS
    assert not re.search(r"thumbnail|img_url|Geometry|relativeTransform|pluginData|passcode|null", text)


def test_every_tool_is_in_the_table_and_its_hints_say_what_its_request_does(figma):
    methods = {operation.id: operation.method for operation in figma.server.document.operations}

    assert set(FIRST_CALLS) == set(figma.service.tools)
    assert {operation for _, _, operation, _ in CALLS} == set(methods)
    for tool, _, operation, _ in CALLS:
        hints = figma.service.tools[tool].definition()["annotations"]
        assert hints["readOnlyHint"] == (methods[operation] == "GET")
        assert hints["destructiveHint"] == (methods[operation] == "DELETE")
        assert hints["idempotentHint"] == (methods[operation] != "POST")


def test_the_list_of_tools_costs_a_model_at_most_six_thousand_tokens(figma):
    definitions = [tool.definition() for tool in figma.service.tools.values()]

    assert len(orjson.dumps({"tools": definitions})) <= 24_000
    assert all(re.fullmatch(r"[a-z_]{1,40}", definition["name"]) for definition in definitions)


@pytest.mark.parametrize(
    ("pasted", "key"),
    [
        (KEY, KEY),
        (f"https://www.figma.com/file/{KEY}/Old-Name", KEY),
        (f"www.figma.com/design/{KEY}", KEY),
        (f"https://figma.com/board/{KEY}/Jam?node-id=0-1", KEY),
        (f"https://embed.figma.com/proto/{KEY}/x?embed-host=share", KEY),
        (f"https://www.figma.com/design/{KEY}/branch/ZyXwVuTsRqPoNmLkJiHgFe/Name", "ZyXwVuTsRqPoNmLkJiHgFe"),
        (f"  https://www.figma.com/slides/{KEY}/Talk  ", KEY),
    ],
)
def test_a_file_may_be_named_by_its_key_or_by_any_of_its_urls(figma, pasted, key):
    figma.call("get_file", {"file": pasted})

    assert figma.asked.arguments["file_key"] == key


@pytest.mark.parametrize(
    "pasted",
    [
        "",
        "../me",
        "a/b",
        f"{KEY}/comments",
        f"https://example.com/design/{KEY}/x",
        f"https://figma.com.example.com/design/{KEY}",
        "https://www.figma.com/files/team/123",
        "https://[figma.com/design/x",
        "https://www.figma.com/community/file/1234567890",
    ],
)
def test_what_names_no_file_is_answered_with_what_would_and_nothing_is_sent(figma, pasted):
    with pytest.raises(ToolError, match=r"https://www\.figma\.com/design/|make a copy"):
        figma.call("get_file", {"file": pasted})

    assert not figma.server.seen


@pytest.mark.parametrize(
    ("pasted", "ids"),
    [
        (["1-2"], "1:2"),
        (["1:2,3:4", "3-4"], "1:2,3:4"),
        ([URL, "I10-20;30-40"], "1:2,I10:20;30:40"),
        ([f"https://www.figma.com/file/{KEY}/x?node-id=1%3A2"], "1:2"),
    ],
)
def test_nodes_may_be_named_in_either_spelling_or_by_url(figma, pasted, ids):
    figma.call("get_nodes", {"file": KEY, "nodes": pasted})

    assert figma.asked.query["ids"] == ids


@pytest.mark.parametrize("pasted", [["Frame 1"], ["1:2&depth=9"], ["1:2", ""], ["1:" + "2" * 300], []])
def test_what_names_no_node_is_answered_with_what_would_and_nothing_is_sent(figma, pasted):
    with pytest.raises(ToolError, match=r"Ids look like|get_file shows the ids"):
        figma.call("get_nodes", {"file": KEY, "nodes": pasted})

    assert not figma.server.seen


@pytest.mark.parametrize(
    ("tool", "arguments", "segment"),
    [
        ("list_folders", {"team": "https://www.figma.com/files/team/77/Acme"}, "77"),
        ("list_folders", {"team": "https://www.figma.com/files/12345/team/77"}, "77"),
        ("list_folder_files", {"folder": "https://www.figma.com/files/12345/project/88/Web?fuid=9"}, "88"),
        ("list_folder_files", {"folder": "https://www.figma.com/files/12345/folder/88"}, "88"),
    ],
)
def test_teams_and_folders_may_be_named_by_url(figma, tool, arguments, segment):
    figma.call(tool, arguments)

    assert segment in figma.asked.arguments.values()


def test_a_tool_that_needs_one_of_two_arguments_says_so(figma):
    for tool in ("list_components", "list_component_sets", "list_styles"):
        for arguments in ({}, {"file": KEY, "team": "12"}):
            with pytest.raises(ToolError, match="file or team"):
                figma.call(tool, arguments)
    for arguments in ({}, {"team": "12", "folder": "12"}, {"team": "the big one"}):
        with pytest.raises(ToolError, match="team"):
            figma.call("list_folders", arguments)
    assert not figma.server.seen


@pytest.mark.parametrize(
    ("behaviour", "kind", "words"),
    [
        ("revoked", "key_refused", "replace it in mcpweb"),
        ("expired", "key_refused", "replace it in mcpweb"),
        ("oauth", None, ""),
        ("no_scope", "scope_missing", "requires the file_content:read"),
        ("rate_limited", "rate_limited", "It allows the next request at"),
        ("rate_limited_forever", "rate_limited", "It allows the next request at"),
        ("error_500", "unavailable", "Try again later"),
        ("error_502", "unavailable", "Try again later"),
        ("redirect", "unavailable", "Try again later"),
        ("truncated", "unavailable", "Try again later"),
        ("reset", "unavailable", "Try again later"),
        ("broken_json", "unavailable", "Try again later"),
        ("html", "unavailable", "Try again later"),
        ("huge", "invalid", "read single frames with get_nodes"),
        ("bomb", "invalid", "read single frames with get_nodes"),
    ],
)
def test_a_refusal_becomes_a_sentence_that_a_model_can_act_on(figma, behaviour, kind, words):
    if kind is None:
        figma.call("get_file", {"file": KEY}, behaviour)
        return
    with pytest.raises(UpstreamError, match=f"(?i){words}") as refused:
        figma.call("get_file", {"file": KEY}, behaviour)

    assert refused.value.kind == kind
    assert TOKENS["figma"][behaviour] not in str(refused.value)


@pytest.mark.parametrize("tool", FIRST_CALLS)
def test_no_tool_hides_that_its_key_is_refused(figma, tool):
    with pytest.raises(UpstreamError) as refused:
        figma.call(tool, FIRST_CALLS[tool], "revoked")

    assert refused.value.kind == "key_refused"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (403, {"status": 403, "error": True, "message": "Limited by Figma plan"}, "scope_missing"),
        (403, {"status": 403, "err": "File not exportable"}, "scope_missing"),
        (401, {"status": 401, "error": True, "message": "Unauthorized"}, "key_refused"),
        (404, {"status": 404, "err": "Not found"}, "not_found"),
        (400, {"status": 400, "err": "Invalid version"}, "invalid"),
    ],
)
def test_figmas_own_words_reach_the_model_where_they_help(figma, status, body, kind):
    figma.answers("getLocalVariables", body, status)

    with pytest.raises(UpstreamError) as refused:
        figma.call("list_local_variables", {"file": KEY})

    assert refused.value.kind == kind
    assert kind == "key_refused" or (body.get("err") or body.get("message")) in str(refused.value)


@pytest.mark.parametrize("tool", ["get_file", "get_nodes", "render_images"])
def test_what_is_too_large_for_figma_itself_is_answered_with_what_to_ask_instead(figma, tool):
    body = {"status": 400, "err": "Request too large. If applicable, filter by query params."}
    figma.answers({"get_file": "getFile", "get_nodes": "getFileNodes", "render_images": "getImages"}[tool], body, 400)

    with pytest.raises(UpstreamError, match=r"too large for one answer\. (Ask|Read)") as refused:
        figma.call(tool, {"file": URL} | ({"depth": 1} if tool == "get_file" else {}))

    assert (refused.value.kind, refused.value.status) == ("invalid", 400)


def test_the_check_tells_whose_account_it_is(figma):
    figma.answers("getMe", {"id": "1", "handle": "alice", "email": "alice@example.com", "img_url": ""})

    checked = check(figma.service, {"token": TOKENS["figma"]["good"]}, figma.client)

    assert (checked.account, checked.scopes, checked.expires_at) == ("alice@example.com", None, None)


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [("revoked", "rejected"), ("expired", "rejected"), ("rate_limited", "rate_limited"), ("error_500", "unreachable")],
)
def test_the_check_tells_a_wrong_key_from_a_figma_that_does_not_answer(figma, behaviour, kind):
    with pytest.raises(CheckRefused) as refused:
        check(figma.service, {"token": TOKENS["figma"][behaviour]}, figma.client)

    assert refused.value.kind == kind


def test_a_key_that_may_not_say_whose_it_is_is_not_called_a_wrong_key(figma):
    sentence = "Invalid scope(s): file_content:read. This endpoint requires the current_user:read scope"
    figma.answers("getMe", {"status": 403, "err": sentence}, 403)

    with pytest.raises(CheckRefused) as refused:
        check(figma.service, {"token": TOKENS["figma"]["good"]}, figma.client)

    assert refused.value.kind == "scope"


@pytest.mark.parametrize(
    ("token", "fits"),
    [
        ("figd_" + "aB3-_" * 8, True),
        ("123456-0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f", True),
        ("figu_" + "a" * 40, False),
        ("figd_short", False),
        ("figd_" + "a" * 40 + " ", False),
        ("figd_" + "a" * 40 + "\n", False),
        ("ghp_" + "a" * 36, False),
    ],
)
def test_the_form_takes_figmas_personal_access_tokens_only(figma, token, fits):
    pattern = figma.service.manifest.fields[0].pattern

    assert bool(re.fullmatch(pattern, token)) == fits


def test_a_comment_lands_where_it_was_meant_to(figma):
    figma.call("post_comment", {"file": KEY, "message": "Look", "node": "1-2", "x": 3})
    assert figma.asked.json == {"message": "Look", "client_meta": {"node_id": "1:2", "node_offset": {"x": 3, "y": 0}}}

    figma.call("post_comment", {"file": KEY, "message": "Look", "x": 3, "y": 4})
    assert figma.asked.json == {"message": "Look", "client_meta": {"x": 3, "y": 4}}

    figma.call("post_comment", {"file": KEY, "message": "Yes", "reply_to": "5"})
    assert figma.asked.json == {"message": "Yes", "comment_id": "5"}

    with pytest.raises(ToolError, match="A reply stands below its comment"):
        figma.call("post_comment", {"file": KEY, "message": "Yes", "reply_to": "5", "node": "1:2"})
    assert len(figma.server.seen) == 3


def test_a_dev_resource_that_figma_did_not_attach_is_an_error_although_figma_answers_200(figma):
    figma.answers("postDevResources", {"links_created": [], "errors": [{"error": "Node not found"}]})

    with pytest.raises(ToolError, match="Node not found"):
        figma.call("add_dev_resource", {"file": KEY, "node": "1:2", "name": "Code", "url": "https://example.com/"})

    link = {"name": "Code", "url": "https://example.com/", "file_key": KEY, "node_id": "1:2"}
    assert figma.asked.json == {"dev_resources": [link]}


ODD = (None, 7, "x" * 20_000, [], {}, [7], [["x"]], True)


def _replaced(node: Any, odd: Any, key: str | None = None) -> Any:
    """The answer with every value that is no object or list replaced, or every value of one key."""
    if isinstance(node, dict):
        return {name: odd if name == key else _replaced(value, odd, key) for name, value in node.items()}
    if isinstance(node, list):
        return [_replaced(value, odd, key) for value in node]
    return odd if key is None else node


def _keys(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from node
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _keys(value)


@pytest.mark.parametrize(("tool", "arguments"), [call[:2] for call in CALLS])
def test_no_tool_breaks_on_an_answer_of_another_shape_or_passes_on_too_much_of_it(figma, tool, arguments):
    figma.call(tool, arguments)
    operation, good = figma.asked.operation_id, figma.server.documented
    odds = cycle(ODD)
    bodies = [*ODD, *(_replaced(good, odd) for odd in ODD)]
    bodies += [_replaced(good, next(odds), key) for key in sorted(set(_keys(good)))]

    for body in bodies:
        figma.answers(operation, body)
        try:
            result = figma.call(tool, arguments)
        except (ToolError, UpstreamError):
            continue
        assert len(orjson.dumps(result)) <= RESULT_CHARS
