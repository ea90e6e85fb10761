"""Arguments that several tools share."""

from typing import Annotated

from mcpweb.plugin_api import ToolError

from .references import node_ids, node_in_url

File = Annotated[str, "File key, or the file's Figma URL.", {"maxLength": 1000}]
Node = Annotated[str | None, "Node id such as 1:2, or a URL with node-id.", {"maxLength": 1000}]
Nodes = Annotated[
    list[str] | None,
    "Node ids such as 1:2, or URLs with node-id. Not needed when file is such a URL.",
    {"maxItems": 50, "items": {"type": "string", "maxLength": 1000}},
]
Version = Annotated[str | None, "Version id from list_file_versions; the current one if absent.", {"maxLength": 100}]


def wanted_nodes(file: str, nodes: list[str] | None) -> list[str]:
    """The ids of the nodes that a call is about: those in `nodes`, else the one that the file's URL points at.

    Raises:
        ToolError: there is none, or one of them is no node id.
    """
    in_url = node_in_url(file)
    ids = node_ids(nodes) if nodes else [in_url] if in_url else []
    if not ids:
        raise ToolError(
            "Say which nodes: their ids in nodes, or a Figma URL with node-id as file. get_file shows the ids."
        )
    return ids
