"""Node trees made small enough for a model: what a node says in few words, level by level until the room is used up."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

from . import values
from .shapes import present, rows, shorten, size, table

Detail = Literal["outline", "design"]

TREE_CHARS = 48_000
"""For the tree; what is left of a result goes to the components' names and the frame around it."""
_NODE_CHARS = 6_000
_FIELD_CHARS = 3_000
_MARKER_CHARS = 36
"""What `,"children":[]` and `,"more_children":9999` add to a node."""
_LEVELS = 100
"""Deeper trees do not occur; JSON libraries refuse some 250 levels of objects and lists, two for each of these."""

# Figma's own names and meanings; a value that equals the one here goes without saying.
_USUAL: dict[str, object] = {
    "opacity": 1,
    "rotation": 0,
    "isMask": False,
    "scrollBehavior": "SCROLLS",
    "overflowDirection": "NONE",
    "layoutMode": "NONE",
    "layoutWrap": "NO_WRAP",
    "primaryAxisAlignItems": "MIN",
    "counterAxisAlignItems": "MIN",
    "counterAxisAlignContent": "AUTO",
    "itemSpacing": 0,
    "counterAxisSpacing": 0,
    "layoutSizingHorizontal": "FIXED",
    "layoutSizingVertical": "FIXED",
    "layoutPositioning": "AUTO",
    "layoutAlign": "INHERIT",
    "layoutGrow": 0,
    "minWidth": 0,
    "maxWidth": 0,
    "minHeight": 0,
    "maxHeight": 0,
    "gridRowCount": None,
    "gridColumnCount": None,
    "gridRowGap": 0,
    "gridColumnGap": 0,
    "gridColumnsSizing": None,
    "gridRowsSizing": None,
    "gridRowSpan": 1,
    "gridColumnSpan": 1,
    "cornerRadius": 0,
    "sectionContentsHidden": False,
    "booleanOperation": None,
    "shapeType": None,
}


@dataclass(slots=True)
class Tree:
    """Pruned trees that share one room, and what was met on the way."""

    detail: Detail
    fields: tuple[str, ...] = ()
    styles: dict[str, Any] = field(default_factory=dict)
    room: int = TREE_CHARS
    left_out: int = 0
    component_ids: dict[str, None] = field(default_factory=dict)

    def grow(self, parent: dict[str, Any]) -> dict[str, Any]:
        """`children` of the parent, pruned, with theirs; nearest levels first.

        A node whose children do not all fit says how many are missing, `more_children`. Children of a hidden layer
        are left out, unless the layer is a child of `parent`, that is, was asked for.
        """
        top: dict[str, Any] = {}
        waiting = deque([(parent, top, 0)])
        while waiting:
            source, short, level = waiting.popleft()
            children = rows(source.get("children"))
            kept = self._fitting(children) if level < _LEVELS else []
            if kept:
                short["children"] = kept
            if missing := len(children) - len(kept):
                short["more_children"] = missing
                self.left_out += missing
            for child, node in zip(children, kept, strict=False):
                if source is parent or child.get("visible") is not False:
                    waiting.append((child, node, level + 1))
                elif hidden := len(rows(child.get("children"))):
                    node["hidden_children"] = hidden
        return top

    def _fitting(self, children: list[dict[str, Any]]) -> list[dict[str, Any]]:
        kept = []
        for child in children:
            node = self._node(child)
            cost = size(node) + 1 + (_MARKER_CHARS if child.get("children") else 0)
            if cost > self.room:
                self.room = 0  # nothing smaller from further down either: a gap would look like an end
                break
            self.room -= cost
            kept.append(node)
        return kept

    def _node(self, node: dict[str, Any]) -> dict[str, Any]:
        """One node without its children."""
        short = self._outline(node)
        if self.detail == "design":
            full = short | _design(node, self.styles)
            short = full if size(full) <= _NODE_CHARS else short | {"cut": "too much to show: ask for single fields"}
        for name in self.fields:
            if name in node and name not in ("children", "id"):
                wanted = node[name]
                length = size(wanted)
                short[name] = wanted if length <= _FIELD_CHARS else f"… too long to show ({length} characters)"
        return short

    def _outline(self, node: dict[str, Any]) -> dict[str, Any]:
        name, characters = node.get("name"), node.get("characters")
        component = node.get("componentId")
        if isinstance(component, str):
            self.component_ids[component] = None
        status = table(node.get("devStatus")).get("type")
        return present(
            id=node.get("id"),
            name=shorten(name, 120) if name and name != characters else None,
            type=node.get("type"),
            visible=False if node.get("visible") is False else None,
            box=values.box(node.get("absoluteBoundingBox")),
            text=shorten(characters, 2_000 if self.detail == "design" else 200) if characters else None,
            componentId=component,
            devStatus=status if status != "NONE" else None,
            # The lines of a FigJam diagram: which nodes they join.
            start=table(node.get("connectorStart")).get("endpointNodeId"),
            end=table(node.get("connectorEnd")).get("endpointNodeId"),
        )


def _design(node: dict[str, Any], styles: dict[str, Any]) -> dict[str, Any]:
    """Layout, paints, text style and component properties: what building the thing needs."""
    short = {
        name: values.number(node[name])
        for name, usual in _USUAL.items()
        if node.get(name) is not None and values.number(node[name]) != usual
    }
    strokes = values.paints(node.get("strokes"))
    padding = [values.number(node.get(f"padding{side}", 0)) for side in ("Top", "Right", "Bottom", "Left")]
    mixed = [values.text_style(style) for style in table(node.get("styleOverrideTable")).values()]
    blend = node.get("blendMode")
    return short | present(
        blendMode=blend if blend not in ("PASS_THROUGH", "NORMAL") else None,
        padding=padding if any(padding) else None,
        constraints=_constraints(node.get("constraints")),
        cornerRadii=values.numbers(node.get("rectangleCornerRadii")),
        fills=values.paints(node.get("fills")),
        strokes=strokes,
        strokeWeight=values.number(node.get("strokeWeight")) if strokes else None,
        strokeWeights=table(node.get("individualStrokeWeights")) if strokes else None,
        strokeAlign=node.get("strokeAlign") if strokes else None,
        strokeDashes=values.numbers(node.get("strokeDashes")) if strokes else None,
        effects=values.effects(node.get("effects")),
        style=values.text_style(node.get("style")),
        mixedStyles=[style for style in mixed if style][:10],
        styles={kind: table(styles.get(str(key))).get("name", key) for kind, key in table(node.get("styles")).items()},
        componentProperties=values.component_properties(node.get("componentProperties")),
        componentPropertyDefinitions=values.property_definitions(node.get("componentPropertyDefinitions")),
        componentPropertyReferences=table(node.get("componentPropertyReferences")),
        boundVariables=values.variables(node.get("boundVariables")),
    )


def _constraints(value: object) -> dict[str, Any]:
    usual = {"horizontal": "LEFT", "vertical": "TOP"}
    return {side: how for side, how in table(value).items() if how != usual.get(side)}


def used_components(
    ids: dict[str, None], components: dict[str, Any], sets: dict[str, Any], room: int
) -> dict[str, Any]:
    """Names and keys of the components that the shown instances are made from, as many as the room holds."""
    shown: dict[str, Any] = {}
    for node_id in ids:
        component = table(components.get(node_id))
        of = table(sets.get(str(component.get("componentSetId")))).get("name")
        entry = present(
            name=shorten(component.get("name", ""), 120),
            set=shorten(of, 120) if of else None,
            key=component.get("key"),
            remote=component.get("remote") or None,
        )
        room -= size(entry) + len(node_id) + 4
        if room < 0:
            break
        if entry:
            shown[node_id] = entry
    return shown
