"""Comments on a file."""

from collections import Counter
from typing import Annotated, Any

from mcpweb.plugin_api import Api, ToolError, tool

from .arguments import File, Node
from .listing import After, Contains, Limit, portion
from .references import file_key, node_ids
from .shapes import answer, present, rows, shorten, table


@tool("List comments", read_only=True)
def list_comments(
    api: Api,
    file: File,
    open_only: Annotated[bool, "Leave out resolved comments."] = False,
    contains: Contains = None,
    after: After = None,
    limit: Limit = 100,
) -> object:
    """List the comments on a file: node_id is what one is pinned to, parent_id the root comment of a reply."""
    found = answer(api.get("/v1/files/{file_key}/comments", file_key=file_key(file), query={"as_md": True}))
    comments = rows(found.get("comments"))
    resolved = {str(row.get("id")) for row in comments if row.get("resolved_at")}
    shown = [row for row in comments if not (open_only and {str(row.get("id")), str(row.get("parent_id"))} & resolved)]
    return portion("comments", map(_comment, shown), contains=contains, after=after, limit=limit)


@tool("Post a comment")
def post_comment(
    api: Api,
    file: File,
    message: Annotated[str, "Text of the comment.", {"minLength": 1}],
    node: Node = None,
    x: Annotated[float, "Pixels from the node's left edge (without node: on the canvas)."] = 0,
    y: Annotated[float, "Pixels from the node's top edge (without node: on the canvas)."] = 0,
    reply_to: Annotated[str | None, "Id of the root comment to answer (not of a reply).", {"maxLength": 100}] = None,
) -> object:
    """Post a comment as the owner of the key: pinned to a node, at a point of the canvas, or as a reply.

    Everyone who sees the file sees it, and followers are notified.
    """
    if reply_to and (node or x or y):
        raise ToolError("A reply stands below its comment: leave out node, x and y.")
    body: dict[str, Any] = {"message": message}
    if reply_to:
        body["comment_id"] = reply_to
    elif node:
        body["client_meta"] = {"node_id": node_ids([node])[0], "node_offset": {"x": x, "y": y}}
    else:
        body["client_meta"] = {"x": x, "y": y}
    return _comment(answer(api.post("/v1/files/{file_key}/comments", file_key=file_key(file), json=body)))


@tool("Delete a comment", destructive=True, idempotent=True)
def delete_comment(
    api: Api, file: File, comment_id: Annotated[str, "Id from list_comments.", {"minLength": 1, "maxLength": 100}]
) -> object:
    """Delete a comment for good. Figma allows it only to the person who wrote it."""
    api.delete("/v1/files/{file_key}/comments/{comment_id}", file_key=file_key(file), comment_id=comment_id)
    return f"Comment {comment_id} is deleted."


def _comment(row: dict[str, Any]) -> dict[str, Any]:
    reactions = Counter(str(reaction.get("emoji")) for reaction in rows(row.get("reactions")))
    return present(
        id=row.get("id"),
        message=shorten(row.get("message") or "", 4_000),
        user=table(row.get("user")).get("handle"),
        created_at=row.get("created_at"),
        resolved_at=row.get("resolved_at"),
        parent_id=row.get("parent_id"),
        node_id=table(row.get("client_meta")).get("node_id"),
        reactions=dict(reactions.most_common(10)),
    )
