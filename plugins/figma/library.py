"""What a file or a team publishes: components, component sets and styles."""

from typing import Annotated, Any, Literal

from mcpweb.plugin_api import Api, ToolError, tool

from .listing import After, Contains, Limit, filtered, portion
from .references import file_key, number_in
from .shapes import answer, present, rows, shorten, table
from .values import number

FileOrNone = Annotated[str | None, "File key or URL: what this file publishes. Give file or team.", {"maxLength": 1000}]
TeamOrNone = Annotated[str | None, "Team id or URL: what all the team's files publish.", {"maxLength": 1000}]

_SINGLE = {
    "component": "/v1/components/{key}",
    "component_set": "/v1/component_sets/{key}",
    "style": "/v1/styles/{key}",
}


@tool("List components", read_only=True)
def list_components(
    api: Api,
    file: FileOrNone = None,
    team: TeamOrNone = None,
    contains: Contains = None,
    after: After = None,
    limit: Limit = 50,
) -> object:
    """List the published components of a file or a team (of a team, `contains` searches the page that is read).

    Components that are not published are in get_file's tree instead.
    """
    if team and not file:
        return _of_team(api, "/v1/teams/{team_id}/components", "components", team, contains, after, limit)
    found = answer(api.get("/v1/files/{file_key}/components", file_key=_one_file(file, team)))
    return _of_file(found, "components", contains, after, limit)


@tool("List component sets", read_only=True)
def list_component_sets(
    api: Api,
    file: FileOrNone = None,
    team: TeamOrNone = None,
    contains: Contains = None,
    after: After = None,
    limit: Limit = 50,
) -> object:
    """List the published component sets (components with variants) of a file or a team."""
    if team and not file:
        return _of_team(api, "/v1/teams/{team_id}/component_sets", "component_sets", team, contains, after, limit)
    found = answer(api.get("/v1/files/{file_key}/component_sets", file_key=_one_file(file, team)))
    return _of_file(found, "component_sets", contains, after, limit)


@tool("List styles", read_only=True)
def list_styles(
    api: Api,
    file: FileOrNone = None,
    team: TeamOrNone = None,
    contains: Contains = None,
    after: After = None,
    limit: Limit = 50,
) -> object:
    """List the published styles (colour, text, effect, grid) of a file or a team; get_nodes with node_id has values."""
    if team and not file:
        return _of_team(api, "/v1/teams/{team_id}/styles", "styles", team, contains, after, limit)
    found = answer(api.get("/v1/files/{file_key}/styles", file_key=_one_file(file, team)))
    return _of_file(found, "styles", contains, after, limit)


@tool("Look up a published item", read_only=True)
def get_library_item(
    api: Api,
    kind: Annotated[Literal["component", "component_set", "style"], "What the key belongs to."],
    key: Annotated[str, "Its key (not a node id).", {"minLength": 1, "maxLength": 100}],
) -> object:
    """Find where a published component, component set or style comes from: file, node, description, last change."""
    return _item(table(answer(api.get(_SINGLE[kind], key=key)).get("meta")), 4_000)


def _one_file(file: str | None, team: str | None) -> str:
    if not file or team:
        raise ToolError("Give file or team, one of the two.")
    return file_key(file)


def _of_file(found: dict[str, Any], name: str, contains: str | None, after: int | None, limit: int) -> dict[str, Any]:
    items = [_item(row) for row in rows(table(found.get("meta")).get(name))]
    for item in items:
        item.pop("file_key", None)  # the caller named it
    return portion(name, items, contains=contains, after=after, limit=limit)


def _of_team(
    api: Api, template: str, name: str, team: str, contains: str | None, after: int | None, limit: int
) -> dict[str, Any]:
    found = api.get(template, team_id=number_in(team, "team"), query={"page_size": limit, "after": after})
    meta = table(answer(found).get("meta"))
    found_rows = rows(meta.get(name))
    result = filtered(name, [_item(row) for row in found_rows], contains=contains)
    # Beyond the last entry there is an empty page; a cursor that leads to itself must not be followed for ever.
    cursor = number(table(meta.get("cursor")).get("after")) if found_rows else None
    return result | present(next_after=cursor if cursor != after else None)


def _item(row: dict[str, Any], description_chars: int = 300) -> dict[str, Any]:
    frame = table(row.get("containing_frame"))
    of = table(frame.get("containingComponentSet") or frame.get("containingStateGroup"))
    return present(
        name=shorten(row.get("name") or "", 200),
        key=row.get("key"),
        node_id=row.get("node_id"),
        file_key=row.get("file_key"),
        type=row.get("style_type"),
        set=of.get("name"),
        frame=shorten(frame.get("name") or "", 120),
        page=shorten(frame.get("pageName") or "", 120),
        description=shorten(row.get("description") or "", description_chars),
        updated_at=row.get("updated_at"),
    )
