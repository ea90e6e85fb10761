"""Files: their node trees, metadata and versions."""

from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from mcpweb.plugin_api import Api, tool

from .arguments import File, Nodes, Version, wanted_nodes
from .listing import filtered
from .nodes import Detail, Tree, used_components
from .references import file_key, node_in_url
from .shapes import RESULT_CHARS, answer, present, rows, shorten, size, table, too_large

DetailOf = Annotated[
    Detail, "outline: id, name, type, box, text, component. design: also layout, colours, fonts, properties, variables."
]
Fields = Annotated[
    list[str] | None,
    "More properties to add as Figma names them, such as interactions or exportSettings.",
    {"maxItems": 10, "items": {"type": "string", "maxLength": 100}},
]

_MORE = "more_children counts children that did not fit or were cut: ask get_nodes with the ids of those nodes."


@tool("Read a file's structure", read_only=True)
def get_file(
    api: Api,
    file: File,
    depth: Annotated[int, "1: pages. 2: also their top-level frames. And so on.", {"minimum": 1, "maximum": 20}] = 2,
    detail: DetailOf = "outline",
    fields: Fields = None,
    version: Version = None,
) -> object:
    """Read a Figma or FigJam file from its pages down to a depth. Start here, then read single frames with get_nodes.

    box is [x, y, width, height] on the canvas. Levels below depth are not shown. Figma allows few file reads
    (some plans: 6 a month), so ask for what is needed in one call.
    """
    query = {"depth": depth, "version": version, "branch_data": True}
    fewer = "" if depth == 1 else f"Ask with a depth below {depth}, 1 for the pages alone. "
    with too_large(f"{fewer}Read single frames with get_nodes; links copied in Figma hold their ids."):
        found = answer(api.get("/v1/files/{file_key}", file_key=file_key(file), query=query))
    tree = Tree(detail, tuple(fields or ()), table(found.get("styles")))
    grown = tree.grow(table(found.get("document")))
    pages = {"pages": grown.get("children", [])} | present(more_pages=grown.get("more_children"))
    node = node_in_url(file)
    return _result(found, pages, tree, found, f"The URL points at node {node}: read it with get_nodes." if node else "")


@tool("Read nodes", read_only=True)
def get_nodes(
    api: Api,
    file: File,
    nodes: Nodes = None,
    depth: Annotated[int, "Levels below each node.", {"minimum": 1, "maximum": 50}] = 4,
    detail: DetailOf = "design",
    fields: Fields = None,
    version: Version = None,
) -> object:
    """Read frames, components or any other nodes with what is inside them: what building a design needs.

    box is [x, y, width, height] on the canvas; padding is [top, right, bottom, left]; values that are Figma's
    defaults are left out. Figma allows few such reads, so ask for several nodes in one call.
    """
    ids = wanted_nodes(file, nodes)
    query = {"ids": ids, "depth": depth, "version": version}
    with too_large(f"Ask for fewer nodes, or with a depth below {depth}, then for the inner nodes by their ids."):
        found = answer(api.get("/v1/files/{file_key}/nodes", file_key=file_key(file), query=query))
    entries = {node: table(entry) for node, entry in table(found.get("nodes")).items()}
    maps = {
        name: {node: item for entry in entries.values() for node, item in table(entry.get(name)).items()}
        for name in ("components", "componentSets", "styles")
    }
    tree = Tree(detail, tuple(fields or ()), maps["styles"])
    grown = tree.grow({"children": [entry.get("document") for entry in entries.values()]})
    missing = [node for node in ids if not entries.get(node)]
    shown = {"nodes": grown.get("children", [])} | present(more_nodes=grown.get("more_children"), not_found=missing)
    return _result(found, shown, tree, maps)


@tool("Read a file's metadata", read_only=True)
def get_file_meta(api: Api, file: File) -> object:
    """Get a file's name, folder, owner, last change, link access and the key owner's role, without its content."""
    found = table(answer(api.get("/v1/files/{file_key}/meta", file_key=file_key(file))).get("file"))
    names = ("name", "folder_name", "editorType", "last_touched_at", "version", "role", "link_access", "url")
    people = {who: table(found.get(who)).get("handle") for who in ("creator", "last_touched_by")}
    return present(**{name: found.get(name) for name in names}, **people)


@tool("List a file's versions", read_only=True)
def list_file_versions(
    api: Api,
    file: File,
    before: Annotated[int | None, "next_before of the previous answer, for older versions.", {"minimum": 0}] = None,
    limit: Annotated[int, "Most versions to return.", {"minimum": 1, "maximum": 50}] = 30,
) -> object:
    """List a file's version history, newest first; an id can be given to get_file, get_nodes and render_images."""
    query = {"page_size": limit, "before": before}
    found = answer(api.get("/v1/files/{file_key}/versions", file_key=file_key(file), query=query))
    versions = [
        present(
            id=row.get("id"),
            created_at=row.get("created_at"),
            label=shorten(row.get("label") or "", 300),
            description=shorten(row.get("description") or "", 600),
            user=table(row.get("user")).get("handle"),
        )
        for row in rows(found.get("versions"))
    ]
    next_page = str(table(found.get("pagination")).get("next_page") or "")
    older = parse_qs(urlsplit(next_page).query).get("before", [""])[0]
    return filtered("versions", versions) | present(next_before=int(older) if older.isdecimal() else None)


def _result(
    found: dict[str, Any], grown: dict[str, Any], tree: Tree, maps: dict[str, Any], hint: str = ""
) -> dict[str, Any]:
    """The whole result: the names of the components that the tree's instances use take what room is left."""
    more = _MORE if tree.left_out else ""
    result = _about(found) | present(hint=f"{hint} {more}".strip()) | grown
    room = RESULT_CHARS - size(result) - 100
    used = used_components(tree.component_ids, table(maps.get("components")), table(maps.get("componentSets")), room)
    return result | present(components=used)


def _about(found: dict[str, Any]) -> dict[str, Any]:
    names = ("name", "editorType", "version", "lastModified", "role", "mainFileKey")
    branches = [
        present(key=shorten(row.get("key", ""), 128), name=shorten(row.get("name", ""), 120))
        for row in rows(found.get("branches"))[:30]
    ]
    return present(**{name: shorten(found.get(name) or "", 300) for name in names}, branches=branches)
