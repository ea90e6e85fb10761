"""What people paste for a file, a node, a team or a folder: ids, or whole Figma URLs."""

import re
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from mcpweb.plugin_api import ToolError

_FILE_KEY = re.compile(r"[A-Za-z0-9_-]{5,128}")
_FILE_PATH = re.compile(
    r"/(?:file|design|board|proto|slides|deck|buzz|site|make|embed)/([A-Za-z0-9_-]+)(?:/branch/([A-Za-z0-9_-]+))?"
)
_NODE_ID = re.compile(r"I?\d+:\d+(;\d+:\d+)*")
_ID_CHARS = 200  # an instance in an instance in an instance …: each level adds some ten characters
_NUMBER = re.compile(r"\d{1,30}")


def file_key(text: str) -> str:
    """The file key in a key or a Figma URL; of a branch's URL, the branch's key.

    Raises:
        ToolError: there is none.
    """
    text = text.strip()
    if _FILE_KEY.fullmatch(text):
        return text
    url = _figma_url(text)
    if url and url.path.startswith("/community/"):
        raise ToolError(
            "Figma's API can not read community pages. Open it in Figma, make a copy, and use the copy's URL."
        )
    if url and (found := _FILE_PATH.search(url.path)):
        return found[2] or found[1]
    raise ToolError(
        f"{text[:80]!r} names no Figma file. Give the file key, or the file's URL such as "
        "https://www.figma.com/design/<key>/<title>."
    )


def node_in_url(text: str) -> str | None:
    """The node that a Figma URL points at (`?node-id=1-2`), as an id with colons; None if it points at none."""
    url = _figma_url(text.strip())
    found = parse_qs(url.query).get("node-id", []) if url else []
    return _node_id(found[0]) if found else None


def node_ids(texts: list[str]) -> list[str]:
    """Node ids as the API wants them, `1:2`, from ids in either spelling and from URLs that point at a node.

    Raises:
        ToolError: one of them is neither.
    """
    ids: dict[str, None] = {}
    for text in texts:
        url_node = node_in_url(text)
        for part in [url_node] if url_node else text.split(","):
            node = _node_id(part)
            if node is None:
                raise ToolError(
                    f"{part[:80]!r} is no node id. Ids look like 1:2 (1-2 in a URL), inside instances like I1:2;3:4."
                )
            ids[node] = None
    return list(ids)


def number_in(text: str, *names: str) -> str:
    """The numeric id in an id or in a Figma URL with `/<name>/<id>`, such as a team's page.

    Raises:
        ToolError: there is none.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return text
    url = _figma_url(text)
    if url and (found := re.search(rf"/(?:{'|'.join(names)})/(\d+)", url.path)):
        return found[1]
    raise ToolError(
        f"{text[:80]!r} holds no {names[0]} id. Open the {names[0]} in Figma's file browser: "
        f"its URL has the id after /{names[0]}/."
    )


def _figma_url(text: str) -> SplitResult | None:
    try:
        url = urlsplit(text if "://" in text else f"https://{text}")
        host = url.hostname or ""
    except ValueError:  # such as a broken IPv6 address
        return None
    return url if host == "figma.com" or host.endswith(".figma.com") else None


def _node_id(text: str) -> str | None:
    parts = unquote(text).strip().split(";")
    node = ";".join(re.sub(r"^(I?\d+)-(\d+)$", r"\1:\2", part) for part in parts)
    return node if len(node) <= _ID_CHARS and _NODE_ID.fullmatch(node) else None
