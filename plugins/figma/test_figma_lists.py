"""Long lists reach the model in portions, with the way to the rest; entries without what only a browser needs."""

from __future__ import annotations

from typing import Any

import orjson

KEY = "AbCdEfGhIjKlMnOpQrStUv"
RESULT_CHARS = 60_000

RED = {"r": 1, "g": 0.2, "b": 0, "a": 1}


def component(number: int, description: str = "") -> dict[str, Any]:
    """A published component as Figma sends it."""
    return {
        "key": f"key{number:04}",
        "file_key": KEY,
        "node_id": f"1:{number}",
        "thumbnail_url": "https://s3-alpha.figma.com/checkpoints/" + "x" * 300,
        "name": f"Button {number}",
        "description": description,
        "created_at": "2026-01-02T03:04:05Z",
        "updated_at": "2026-01-02T03:04:05Z",
        "user": {"id": "1", "handle": "alice", "img_url": "https://www.gravatar.com/avatar/1"},
        "containing_frame": {"name": "Buttons", "nodeId": "1:1", "pageId": "0:1", "pageName": "Library"},
    }


def test_following_next_after_reads_a_long_list_whole_and_once(figma):
    sent = [component(number, "word " * 200) for number in range(700)]
    figma.answers("getFileComponents", {"status": 200, "error": False, "meta": {"components": sent}})

    names, after = [], None
    while after is not None or not names:
        arguments = {"file": KEY, "limit": 200} | ({} if after is None else {"after": after})
        page = figma.call("list_components", arguments)
        assert len(orjson.dumps(page)) <= RESULT_CHARS
        names += [row["name"] for row in page["components"]]
        after = page.get("next_after")

    assert names == [f"Button {number}" for number in range(700)]
    assert page["total"] == 700


def test_a_filter_finds_entries_by_any_of_their_texts_in_any_case(figma):
    sent = [component(1), component(2, "For danger only"), component(3)]
    figma.answers("getFileComponents", {"status": 200, "error": False, "meta": {"components": sent}})

    found = figma.call("list_components", {"file": KEY, "contains": "DANGER"})

    assert ([row["name"] for row in found["components"]], found["total"]) == (["Button 2"], 1)


def test_a_teams_list_is_paged_by_figmas_own_cursor(figma):
    meta = {"components": [component(1)], "cursor": {"before": 4, "after": 5}}
    figma.answers("getTeamComponents", {"status": 200, "error": False, "meta": meta})

    first = figma.call("list_components", {"team": "12", "limit": 1})
    again = figma.call("list_components", {"team": "12", "limit": 1, "after": 5})

    assert first["next_after"] == 5
    assert figma.asked.query["after"] == "5"
    assert "next_after" not in again  # the cursor led to itself
    assert first["components"][0]["file_key"] == KEY


def test_older_versions_are_reached_through_next_before(figma):
    link = f"https://api.figma.com/v1/files/{KEY}/versions?page_size=30&before=123"
    row = {
        "id": "124",
        "created_at": "2026-01-02T03:04:05Z",
        "label": None,
        "description": None,
        "user": {"handle": "bob"},
    }
    figma.answers("getFileVersions", {"versions": [row], "pagination": {"next_page": link, "prev_page": ""}})

    result = figma.call("list_file_versions", {"file": KEY})

    version = {"id": "124", "created_at": "2026-01-02T03:04:05Z", "user": "bob"}
    assert result == {"versions": [version], "next_before": 123}


def test_variables_show_their_values_by_mode_and_their_aliases_by_name(figma):
    collection = {"name": "Theme", "modes": [{"modeId": "1:0", "name": "Light"}, {"modeId": "1:1", "name": "Dark"}]}
    shared = {
        "variableCollectionId": "C1",
        "resolvedType": "COLOR",
        "remote": False,
        "scopes": ["ALL_SCOPES"],
        "codeSyntax": {},
    }
    alias = {"type": "VARIABLE_ALIAS", "id": "V1"}
    variables = {
        "V1": shared | {"id": "V1", "name": "red/500", "valuesByMode": {"1:0": RED, "1:1": RED}},
        "V2": shared
        | {"id": "V2", "name": "danger", "valuesByMode": {"1:0": alias, "1:1": {"color": alias, "opacity": 0.5}}},
        "V3": shared | {"id": "V3", "name": "gone", "valuesByMode": {}, "deletedButReferenced": True},
    }
    figma.answers(
        "getLocalVariables",
        {"status": 200, "error": False, "meta": {"variables": variables, "variableCollections": {"C1": collection}}},
    )

    result = figma.call("list_local_variables", {"file": KEY})

    common = {"type": "COLOR", "collection": "Theme"}
    assert result == {
        "variables": [
            {"id": "V1", "name": "red/500", **common, "values": {"Light": "#FF3300", "Dark": "#FF3300"}},
            {
                "id": "V2",
                "name": "danger",
                **common,
                "values": {"Light": {"alias": "red/500"}, "Dark": {"color": {"alias": "red/500"}, "opacity": 0.5}},
            },
        ],
        "total": 2,
    }


def test_open_comments_come_without_resolved_threads_and_their_replies(figma):
    def comment(number: int, **more: Any) -> dict[str, Any]:
        user = {"id": "1", "handle": "alice", "img_url": ""}
        return {
            "id": str(number),
            "message": f"Word {number}",
            "user": user,
            "parent_id": "",
            "resolved_at": None,
            "reactions": [],
        } | more

    smile = {"emoji": ":smile:", "user": {}, "created_at": ""}
    figma.answers(
        "getComments",
        {
            "comments": [
                comment(1, resolved_at="2026-01-02T03:04:05Z"),
                comment(2, parent_id="1"),
                comment(3, client_meta={"node_id": "1:2", "node_offset": {"x": 1, "y": 2}}, reactions=[smile, smile]),
            ]
        },
    )

    open_ones = figma.call("list_comments", {"file": KEY, "open_only": True})
    everything = figma.call("list_comments", {"file": KEY})

    pinned = {"id": "3", "message": "Word 3", "user": "alice", "node_id": "1:2", "reactions": {":smile:": 2}}
    assert open_ones == {"comments": [pinned], "total": 1}
    assert [row["id"] for row in everything["comments"]] == ["1", "2", "3"]


def test_images_that_were_not_rendered_are_named(figma):
    figma.answers(
        "getImages",
        {"err": None, "images": {"1:2": "https://figma-alpha-api.s3.us-west-2.amazonaws.com/images/1", "1:3": None}},
    )

    result = figma.call("render_images", {"file": KEY, "nodes": ["1:2", "1:3"]})

    assert result == {
        "images": {"1:2": "https://figma-alpha-api.s3.us-west-2.amazonaws.com/images/1"},
        "not_rendered": ["1:3"],
    }
