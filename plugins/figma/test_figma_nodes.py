"""Node trees reach the model in few words, evenly cut where they are too big, with counts of what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

KEY = "AbCdEfGhIjKlMnOpQrStUv"
RESULT_CHARS = 60_000

WHITE = {"blendMode": "NORMAL", "type": "SOLID", "color": {"r": 1, "g": 1, "b": 1, "a": 1}}
RED = {"blendMode": "NORMAL", "type": "SOLID", "opacity": 0.5, "color": {"r": 1, "g": 0.2, "b": 0, "a": 1}}
HIDDEN = WHITE | {"visible": False}


def node(node_id: str, kind: str = "FRAME", **more: Any) -> dict[str, Any]:
    """A node with everything that Figma sends for the plainest one."""
    return {
        "id": node_id,
        "name": f"Node {node_id}",
        "type": kind,
        "scrollBehavior": "SCROLLS",
        "blendMode": "PASS_THROUGH",
        "absoluteBoundingBox": {"x": 10.4, "y": -3.5001, "width": 320.0, "height": 48.25},
        "absoluteRenderBounds": {"x": 10.4, "y": -3.5001, "width": 320.0, "height": 48.25},
        "relativeTransform": [[1, 0, 10.4], [0, 1, -3.5]],
        "size": {"x": 320, "y": 48.25},
        "constraints": {"vertical": "TOP", "horizontal": "LEFT"},
        "clipsContent": True,
        "background": [WHITE],
        "backgroundColor": {"r": 1, "g": 1, "b": 1, "a": 1},
        "fills": [],
        "fillGeometry": [{"path": "M0 0L300 0L300 300L0 300L0 0Z", "windingRule": "NONZERO"}],
        "strokes": [],
        "strokeWeight": 1,
        "strokeAlign": "INSIDE",
        "strokeGeometry": [],
        "effects": [],
        "interactions": [],
        "itemSpacing": 0,
        "opacity": 1,
    } | more


def file_of(*pages: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The answer of GET /v1/files/{file_key}."""
    return {
        "name": "Shop",
        "role": "viewer",
        "lastModified": "2026-01-02T03:04:05Z",
        "editorType": "figma",
        "thumbnailUrl": "https://s3-alpha.figma.com/thumbnails/1",
        "version": "7",
        "schemaVersion": 14,
        "document": {"id": "0:0", "name": "Document", "type": "DOCUMENT", "children": list(pages)},
        "components": {},
        "componentSets": {},
        "styles": {},
    } | more


def nodes_of(*found: dict[str, Any], **maps: Any) -> dict[str, Any]:
    """The answer of GET /v1/files/{file_key}/nodes."""
    entry = {"components": {}, "componentSets": {}, "styles": {}, "schemaVersion": 14} | maps
    return {"name": "Shop", "version": "7", "nodes": {one["id"]: {"document": one, **entry} for one in found}}


def every(nodes: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The nodes and all below them."""
    for one in nodes:
        yield one
        yield from every(one.get("children", []))


def test_a_plain_node_is_told_in_one_short_line(figma):
    figma.answers("getFileNodes", nodes_of(node("1:2")))

    result = figma.call("get_nodes", {"file": KEY, "nodes": ["1:2"]})

    assert result["nodes"] == [{"id": "1:2", "name": "Node 1:2", "type": "FRAME", "box": [10, -4, 320, 48]}]


def test_a_design_keeps_layout_colours_text_and_what_things_are_made_from(figma):
    title = node(
        "1:3",
        "TEXT",
        name="Buy now",
        characters="Buy now",
        fills=[RED],
        styles={"fill": "9:1", "text": "9:2"},
        boundVariables={"fills": [{"type": "VARIABLE_ALIAS", "id": "VariableID:1:1"}]},
        style={
            "fontFamily": "Inter",
            "fontPostScriptName": None,
            "fontWeight": 700,
            "fontSize": 12,
            "textAlignHorizontal": "CENTER",
            "textAlignVertical": "TOP",
            "letterSpacing": 0,
            "lineHeightPx": 14.522727012634277,
            "lineHeightUnit": "INTRINSIC_%",
        },
    )
    button = node(
        "1:4",
        "INSTANCE",
        componentId="5:6",
        componentProperties={
            "Size": {"type": "VARIANT", "value": "Large"},
            "Icon#1:0": {"type": "BOOLEAN", "value": False},
        },
        constraints={"vertical": "TOP", "horizontal": "LEFT_RIGHT"},
        strokes=[HIDDEN],
    )
    card = node(
        "1:2",
        layoutMode="VERTICAL",
        itemSpacing=8.000001,
        paddingTop=16,
        paddingBottom=16,
        primaryAxisAlignItems="CENTER",
        fills=[
            HIDDEN,
            {"type": "IMAGE", "scaleMode": "FILL", "imageRef": "abc", "blendMode": "NORMAL"},
            {
                "type": "GRADIENT_LINEAR",
                "gradientHandlePositions": [{"x": 0, "y": 0}],
                "gradientStops": [{"position": 0, "color": WHITE["color"]}, {"position": 1, "color": RED["color"]}],
            },
        ],
        strokes=[WHITE],
        strokeWeight=2,
        cornerRadius=4,
        effects=[
            {
                "type": "DROP_SHADOW",
                "visible": True,
                "radius": 4,
                "offset": {"x": 0, "y": 2},
                "color": {"r": 0, "g": 0, "b": 0, "a": 0.25},
            }
        ],
        children=[title, button],
    )
    figma.answers(
        "getFileNodes",
        nodes_of(
            card,
            styles={"9:1": {"name": "Accent"}, "9:2": {"name": "Label/Bold"}},
            components={"5:6": {"key": "k1", "name": "Size=Large", "componentSetId": "5:5", "description": ""}},
            componentSets={"5:5": {"key": "k2", "name": "Button"}},
        ),
    )

    result = figma.call("get_nodes", {"file": KEY, "nodes": ["1-2"]})

    box = [10, -4, 320, 48]
    assert result == {
        "name": "Shop",
        "version": "7",
        "nodes": [
            {
                "id": "1:2",
                "name": "Node 1:2",
                "type": "FRAME",
                "box": box,
                "layoutMode": "VERTICAL",
                "primaryAxisAlignItems": "CENTER",
                "itemSpacing": 8,
                "cornerRadius": 4,
                "padding": [16, 0, 16, 0],
                "fills": [
                    {"type": "IMAGE", "imageRef": "abc", "scaleMode": "FILL"},
                    {"type": "GRADIENT_LINEAR", "stops": ["#FFFFFF at 0", "#FF3300 at 1"]},
                ],
                "strokes": ["#FFFFFF"],
                "strokeWeight": 2,
                "strokeAlign": "INSIDE",
                "effects": [{"type": "DROP_SHADOW", "radius": 4, "offset": [0, 2], "color": "#00000040"}],
                "children": [
                    {
                        "id": "1:3",
                        "type": "TEXT",
                        "box": box,
                        "text": "Buy now",
                        "fills": ["#FF330080"],
                        "style": {
                            "fontFamily": "Inter",
                            "fontWeight": 700,
                            "fontSize": 12,
                            "lineHeightPx": 14.52,
                            "textAlignHorizontal": "CENTER",
                        },
                        "styles": {"fill": "Accent", "text": "Label/Bold"},
                        "boundVariables": {"fills": ["VariableID:1:1"]},
                    },
                    {
                        "id": "1:4",
                        "name": "Node 1:4",
                        "type": "INSTANCE",
                        "box": box,
                        "componentId": "5:6",
                        "constraints": {"horizontal": "LEFT_RIGHT"},
                        "componentProperties": {"Size": "Large", "Icon#1:0": False},
                    },
                ],
            }
        ],
        "components": {"5:6": {"name": "Size=Large", "set": "Button", "key": "k1"}},
    }


def test_pruning_leaves_less_than_a_third_of_what_figma_sends(figma):
    frame = node(
        "1:1",
        layoutMode="VERTICAL",
        children=[node(f"1:{i}", "TEXT", characters="Hello", fills=[RED]) for i in range(2, 60)],
    )
    sent = nodes_of(frame)
    figma.answers("getFileNodes", sent)

    for detail, share in (("design", 0.2), ("outline", 0.15)):
        result = figma.call("get_nodes", {"file": KEY, "nodes": ["1:1"], "detail": detail})

        assert len(list(every(result["nodes"]))) == 59
        assert len(orjson.dumps(result)) < share * len(orjson.dumps(sent))


@pytest.mark.parametrize("detail", ["outline", "design"])
def test_a_tree_that_is_too_big_is_cut_evenly_and_says_how_much_is_missing_where(figma, detail):
    pages = [
        node(
            f"{p}:0",
            "CANVAS",
            children=[node(f"{p}:{i}", children=[node(f"{p}:{i}0{j}") for j in range(3)]) for i in range(1, 41)],
        )
        for p in range(8)
    ]
    figma.answers("getFile", file_of(*pages))

    result = figma.call("get_file", {"file": KEY, "depth": 3, "detail": detail})

    shown = list(every(result["pages"]))
    assert len(orjson.dumps(result)) <= RESULT_CHARS
    assert len(orjson.dumps(result)) >= RESULT_CHARS // 2
    assert [page["id"] for page in result["pages"]] == [f"{p}:0" for p in range(8)]
    assert all(page["children"] and len(page["children"]) == 40 for page in result["pages"])
    for one in shown:
        depth_one = one["type"] == "FRAME" and not one["id"].count("0", 2)
        if depth_one:
            assert len(one.get("children", [])) + one.get("more_children", 0) in (0, 3)
    missing = sum(one.get("more_children", 0) for one in shown)
    assert len(shown) + missing == 8 * (1 + 40 + 120)
    assert "ask get_nodes with the ids" in result["hint"]


def test_a_single_page_with_thousands_of_frames_is_cut_with_a_count(figma):
    figma.answers("getFile", file_of(node("0:1", "CANVAS", children=[node(f"1:{i}") for i in range(2000)])))

    page = figma.call("get_file", {"file": KEY})["pages"][0]

    assert len(page["children"]) + page["more_children"] == 2000


def test_nodes_that_did_not_fit_and_nodes_that_do_not_exist_are_told_apart(figma):
    long = [node(f"1:{i}", "TEXT", characters="word " * 600) for i in range(40)]
    body = nodes_of(*long)
    body["nodes"]["9:9"] = None
    figma.answers("getFileNodes", body)

    result = figma.call("get_nodes", {"file": KEY, "nodes": [*(one["id"] for one in long), "9:9"]})

    assert len(result["nodes"]) + result["more_nodes"] == 40
    assert result["not_found"] == ["9:9"]
    assert result["nodes"][0]["text"].endswith("… (1000 more characters)")


def test_what_is_in_a_hidden_layer_is_shown_only_when_the_layer_is_asked_for(figma):
    hidden = node("1:3", visible=False, children=[node("1:4")])
    figma.answers("getFileNodes", nodes_of(node("1:2", children=[hidden])))
    around = figma.call("get_nodes", {"file": KEY, "nodes": ["1:2"]})["nodes"][0]
    figma.answers("getFileNodes", nodes_of(hidden))
    itself = figma.call("get_nodes", {"file": KEY, "nodes": ["1:3"]})["nodes"][0]

    assert around["children"][0] | {"box": 0} == {
        "id": "1:3", "name": "Node 1:3", "type": "FRAME", "visible": False, "box": 0, "hidden_children": 1,
    }  # fmt: skip
    assert [child["id"] for child in itself["children"]] == ["1:4"]


def test_fields_that_are_asked_for_come_as_figma_sends_them_unless_they_are_long(figma):
    one = node("1:2", exportSettings=[{"format": "PNG"}], interactions=[{"trigger": {"type": "ON_CLICK"}}] * 200)
    figma.answers("getFileNodes", nodes_of(one))

    fields = ["exportSettings", "interactions", "noSuchField"]
    shown = figma.call("get_nodes", {"file": KEY, "nodes": ["1:2"], "fields": fields})["nodes"][0]

    assert shown["exportSettings"] == [{"format": "PNG"}]
    assert shown["interactions"].startswith("… too long to show")
    assert "noSuchField" not in shown


def test_a_tree_that_is_deeper_than_json_libraries_go_is_cut(figma):
    deep = node("1:0")
    for i in range(1, 300):
        deep = node(f"1:{i}", children=[deep])
    figma.answers("getFileNodes", nodes_of(deep))

    result = figma.call("get_nodes", {"file": KEY, "nodes": ["1:299"], "depth": 50, "detail": "outline"})

    assert sum(one.get("more_children", 0) for one in every(result["nodes"])) == 1


def test_a_board_shows_what_its_lines_join(figma):
    line = node(
        "1:5",
        "CONNECTOR",
        connectorStart={"endpointNodeId": "1:3", "magnet": "AUTO"},
        connectorEnd={"endpointNodeId": "1:4"},
    )
    figma.answers("getFile", file_of(node("0:1", "CANVAS", children=[line])))

    shown = figma.call("get_file", {"file": KEY})["pages"][0]["children"][0]

    assert (shown["start"], shown["end"]) == ("1:3", "1:4")
