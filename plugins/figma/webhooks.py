"""Webhooks, to read: which there are, and what they sent."""

from typing import Annotated, Literal

from mcpweb.plugin_api import Api, tool

from .listing import After, Limit, portion
from .references import file_key, number_in
from .shapes import answer, present, rows, shorten, table


@tool("List webhooks", read_only=True)
def list_webhooks(
    api: Api,
    context: Annotated[Literal["team", "project", "file"], "What the webhooks watch."],
    context_id: Annotated[str, "Id or URL of that team, project (folder) or file.", {"maxLength": 1000}],
    after: After = None,
) -> object:
    """List the webhooks of a team, project or file with their state."""
    if context == "file":
        watched = file_key(context_id)
    else:
        watched = number_in(context_id, *(("team",) if context == "team" else ("project", "folder")))
    found = answer(api.get("/v2/webhooks", query={"context": context, "context_id": watched}))
    hooks = [
        present(
            id=row.get("id"),
            event_type=row.get("event_type"),
            status=row.get("status"),
            endpoint=shorten(row.get("endpoint", ""), 500),
            description=row.get("description"),
        )
        for row in rows(found.get("webhooks"))
    ]
    return portion("webhooks", hooks, after=after)


@tool("List a webhook's requests", read_only=True)
def list_webhook_requests(
    api: Api,
    webhook_id: Annotated[str, "Id from list_webhooks.", {"minLength": 1, "maxLength": 100}],
    after: After = None,
    limit: Limit = 50,
) -> object:
    """List what a webhook sent in the last week and how its receiver answered; for finding out why it fails."""
    found = answer(api.get("/v2/webhooks/{webhook_id}/requests", webhook_id=webhook_id))
    requests = []
    for row in rows(found.get("requests")):
        sent, reply = table(row.get("request_info")), table(row.get("response_info"))
        payload = table(sent.get("payload"))
        requests.append(
            present(
                sent_at=sent.get("sent_at"),
                event_type=payload.get("event_type"),
                file_key=payload.get("file_key"),
                status=reply.get("status"),
                received_at=reply.get("received_at"),
                error=shorten(row.get("error_msg") or "", 500),
            )
        )
    return portion("requests", requests, after=after, limit=limit)
