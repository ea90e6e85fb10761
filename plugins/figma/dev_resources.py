"""Dev resources: links to code, tickets and documents, attached to nodes."""

from typing import Annotated

from mcpweb.plugin_api import Api, ToolError, tool

from .arguments import File
from .listing import After, Contains, portion
from .references import file_key, node_ids
from .shapes import answer, present, rows, shorten


@tool("List dev resources", read_only=True)
def list_dev_resources(
    api: Api,
    file: File,
    nodes: Annotated[
        list[str] | None,
        "Only the links on these nodes: ids such as 1:2, or URLs with node-id.",
        {"maxItems": 50, "items": {"type": "string", "maxLength": 1000}},
    ] = None,
    contains: Contains = None,
    after: After = None,
) -> object:
    """List the links to code, tickets and documents that are attached to nodes of a file (not of a branch)."""
    query = {"node_ids": node_ids(nodes or [])}
    found = answer(api.get("/v1/files/{file_key}/dev_resources", file_key=file_key(file), query=query))
    links = [
        present(
            id=row.get("id"),
            name=shorten(row.get("name", ""), 200),
            url=shorten(row.get("url", ""), 1_000),
            node_id=row.get("node_id"),
        )
        for row in rows(found.get("dev_resources"))
    ]
    return portion("dev_resources", links, contains=contains, after=after)


@tool("Attach a dev resource")
def add_dev_resource(
    api: Api,
    file: File,
    node: Annotated[str, "Node id such as 1:2, or a URL with node-id.", {"maxLength": 1000}],
    name: Annotated[str, "What the link is called in Dev Mode.", {"minLength": 1, "maxLength": 300}],
    url: Annotated[str, "Where it leads.", {"minLength": 1, "maxLength": 2000}],
) -> object:
    """Attach a link, such as to the code of a component, to a node. A node holds 10, each URL once."""
    wanted = {"name": name, "url": url, "file_key": file_key(file), "node_id": node_ids([node])[0]}
    found = answer(api.post("/v1/dev_resources", json={"dev_resources": [wanted]}))
    created, errors = rows(found.get("links_created")), rows(found.get("errors"))
    if not created:  # also a 200: the reasons are in a list
        reason = errors[0].get("error") if errors else None
        raise ToolError(f"Figma did not attach the link: {shorten(reason or 'it gives no reason', 300)}")
    return present(**{key: created[0].get(key) for key in ("id", "name", "url", "node_id")})


@tool("Remove a dev resource", destructive=True, idempotent=True)
def delete_dev_resource(
    api: Api,
    file: File,
    dev_resource_id: Annotated[str, "Id from list_dev_resources.", {"minLength": 1, "maxLength": 100}],
) -> object:
    """Remove a link from a node; what it leads to stays as it is."""
    template = "/v1/files/{file_key}/dev_resources/{dev_resource_id}"
    api.delete(template, file_key=file_key(file), dev_resource_id=dev_resource_id)
    return f"Dev resource {dev_resource_id} is removed."
