"""The inbox of this connection's user. Works with classic tokens only."""

from __future__ import annotations

from typing import Annotated

from mcpweb.plugin_api import Api, ToolError, tool

from .arguments import Page, Since
from .pruning import Json, fields, get_page

_ROW = fields(
    "id reason unread repository=repository.full_name type=subject.type title=subject.title:300 subject=subject.url "
    "updated_at last_read_at"
)


@tool("List notifications", read_only=True)
def list_notifications(
    api: Api,
    include_read: Annotated[bool, "Also those that were read already."] = False,
    participating: Annotated[bool, "Only where the user takes part or is mentioned."] = False,
    since: Since = None,
    page: Page = 1,
    per_page: Annotated[int, "Results per page.", {"minimum": 1, "maximum": 50}] = 30,
) -> object:
    """List the user's notifications, newest first: why, where, and the number of the issue or pull request."""
    query = {"all": include_read, "participating": participating, "since": since, "page": page, "per_page": per_page}
    found = get_page(api, "/notifications", _ROW, query=query)
    return found | {"items": [_with_number(row) for row in found["items"]]}


@tool("Mark notifications as read", idempotent=True)
def mark_notifications_read(
    api: Api,
    thread_ids: Annotated[list[str] | None, "Ids from list_notifications, at most 20.", {"maxItems": 20}] = None,
    everything: Annotated[bool, "All notifications of the user; then without `thread_ids`."] = False,
) -> object:
    """Mark single notifications as read, or all of them."""
    if bool(thread_ids) == everything:
        raise ToolError("Give either thread_ids, or everything = true.")
    if everything:
        api.put("/notifications", json={"read": True})
        return {"marked": "all"}
    for thread_id in thread_ids or ():
        api.patch("/notifications/threads/{thread_id}", thread_id=thread_id)
    return {"marked": thread_ids}


def _with_number(row: dict[str, Json]) -> dict[str, Json]:
    """GitHub names the subject by the address of an API resource; an issue's ends in its number."""
    number = str(row.pop("subject", "")).rpartition("/")[2]
    numbered = number.isdecimal() and row.get("type") in ("Issue", "PullRequest")
    return row | ({"number": int(number)} if numbered else {})
