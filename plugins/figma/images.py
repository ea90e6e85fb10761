"""Pictures: nodes rendered, and the images that people placed in a file."""

from typing import Annotated, Literal

from mcpweb.plugin_api import Api, tool

from .arguments import File, Nodes, Version, wanted_nodes
from .listing import After, portion
from .references import file_key
from .shapes import answer, present, shorten, table, too_large


@tool("Render nodes as images", read_only=True)
def render_images(
    api: Api,
    file: File,
    nodes: Nodes = None,
    format: Annotated[Literal["png", "jpg", "svg", "pdf"], "Image format."] = "png",
    scale: Annotated[float, "Size factor.", {"minimum": 0.01, "maximum": 4}] = 1,
    use_absolute_bounds: Annotated[bool, "Keep the node's full size, also where it is empty or cropped."] = False,
    version: Version = None,
) -> object:
    """Render nodes and return download URLs, which work without a key and end after 30 days.

    not_rendered lists nodes that do not exist or have nothing to show. Figma allows few renderings
    (some plans: 6 a month): ask for several nodes in one call.
    """
    ids = wanted_nodes(file, nodes)
    query = {
        "ids": ids,
        "format": format,
        "scale": scale,
        "use_absolute_bounds": use_absolute_bounds or None,
        "version": version,
    }
    with too_large("Ask for fewer nodes, or with a smaller scale."):
        images = table(answer(api.get("/v1/images/{file_key}", file_key=file_key(file), query=query)).get("images"))
    urls = {node: shorten(images[node], 1_000) for node in ids if isinstance(images.get(node), str)}
    return {"images": urls} | present(not_rendered=[node for node in ids if node not in urls])


@tool("List image fills", read_only=True)
def get_image_fills(
    api: Api,
    file: File,
    image_refs: Annotated[
        list[str] | None,
        "Only these imageRef values, as paints name them.",
        {"maxItems": 50, "items": {"type": "string", "maxLength": 64}},
    ] = None,
    after: After = None,
) -> object:
    """Get download URLs of the pictures that people placed in a file (imageRef of a paint); they end after 14 days."""
    found = answer(api.get("/v1/files/{file_key}/images", file_key=file_key(file)))
    images = table(table(found.get("meta")).get("images"))
    wanted = images if image_refs is None else {ref: images[ref] for ref in image_refs if ref in images}
    result = portion("images", ({"imageRef": ref, "url": url} for ref, url in wanted.items()), after=after)
    return result | present(not_found=[ref for ref in image_refs or () if ref not in images])
