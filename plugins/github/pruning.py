"""From what GitHub answers to what a model needs: named members only, long texts cut, and the next page's number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mcpweb.plugin_api import Api, Reply, ToolError

Json = Any

_NEXT = re.compile(r'<([^>]*)>;\s*rel="next"')


@dataclass(frozen=True, slots=True)
class Field:
    """One member of a result: its name, where it stands in GitHub's answer, and how long a text may be."""

    name: str
    path: tuple[str, ...]
    limit: int | None = None


Fields = tuple[Field, ...]


def fields(text: str) -> Fields:
    """Fields written as words: `state`, `author=user.login`, `labels=labels.*.name`, `body:4000`.

    A dot goes into a member, `*` into every entry of a list; a number after a colon is the most characters.
    """
    return tuple(_field(word) for word in text.split())


def prune(value: Json, wanted: Fields) -> dict[str, Json]:
    """Only the wanted members of an object; absent, null and empty ones are left out."""
    result = {}
    for field in wanted:
        found = _at(value, field.path)
        if found is None or found == "" or found == []:
            continue
        result[field.name] = cut(found, field.limit) if field.limit and isinstance(found, str) else found
    return result


def prune_each(value: Json, wanted: Fields) -> list[dict[str, Json]]:
    """`prune` for every entry of a list.

    Raises:
        ToolError: GitHub sent something else than a list.
    """
    if not isinstance(value, list):
        raise ToolError("GitHub answered in a form that is not understood. Check that the names are right.")
    return [prune(entry, wanted) for entry in value]


def cut(text: str, limit: int) -> str:
    """The text, or its first `limit` characters and a note that says how many there are."""
    return text if len(text) <= limit else f"{text[:limit]}\n[cut: the first {limit} of {len(text)} characters]"


def get_page(
    api: Api,
    template: str,
    wanted: Fields,
    *,
    query: dict[str, Json],
    key: str | None = None,
    accept: str | None = None,
    **path: Json,
) -> dict[str, Json]:
    """One page of a listing: `items`, `next_page` where there is one, and a search's `total_count`.

    `key` is the member that holds the list, where GitHub wraps it in an object.
    """
    reply = api.request("GET", template, query=query, accept=accept, **path)
    body = reply.json()
    if key is None:
        return {"items": prune_each(body, wanted)} | next_page(reply)
    head = prune(body, _TOTAL) | ({"incomplete_results": True} if _at(body, ("incomplete_results",)) else {})
    return head | {"items": prune_each(_at(body, (key,)), wanted)} | next_page(reply)


def next_page(reply: Reply) -> dict[str, int]:
    """`{"next_page": n}` when the answer's Link header (RFC 8288) names one, else nothing."""
    link = _NEXT.search(reply.headers.get("link", ""))
    pages = parse_qs(urlsplit(link[1]).query).get("page", []) if link else []
    return {"next_page": int(pages[0])} if pages and pages[0].isdecimal() else {}


_TOTAL: Fields = (Field("total_count", ("total_count",)),)


def _field(word: str) -> Field:
    name, _, path = word.partition("=")
    name, _, limit = name.partition(":")
    path, _, path_limit = path.partition(":")
    most = limit or path_limit
    return Field(name, tuple((path or name).split(".")), int(most) if most else None)


def _at(value: Json, path: Sequence[str]) -> Json:
    for i, step in enumerate(path):
        if step == "*":
            entries = value if isinstance(value, list) else []
            return [found for entry in entries if (found := _at(entry, path[i + 1 :])) is not None]
        value = value.get(step) if isinstance(value, dict) else None
    return value
