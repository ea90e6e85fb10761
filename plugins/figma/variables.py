"""A file's variables (design tokens) with their values by mode."""

from typing import Any

from mcpweb.plugin_api import Api, tool

from .arguments import File
from .listing import After, Contains, Limit, portion
from .references import file_key
from .shapes import answer, present, rows, shorten, table
from .values import color, number


@tool("List a file's variables", read_only=True)
def list_local_variables(
    api: Api, file: File, contains: Contains = None, after: After = None, limit: Limit = 100
) -> object:
    """List the variables (design tokens) made or used in a file, with their values by mode.

    Figma answers this only to members of Enterprise organisations; else get_nodes shows what is applied.
    """
    meta = _variables(api, "/v1/files/{file_key}/variables/local", file)
    found, collections = table(meta.get("variables")), table(meta.get("variableCollections"))
    alive = [row for row in map(table, found.values()) if not row.get("deletedButReferenced")]
    shown = [_variable(row, found, collections) for row in alive]
    return portion("variables", shown, contains=contains, after=after, limit=limit)


@tool("List published variables", read_only=True)
def list_published_variables(
    api: Api, file: File, contains: Contains = None, after: After = None, limit: Limit = 100
) -> object:
    """List the variables that a file publishes, with the ids that other files use (Enterprise organisations only)."""
    meta = _variables(api, "/v1/files/{file_key}/variables/published", file)
    collections = table(meta.get("variableCollections"))
    names = ("id", "subscribed_id", "key", "updatedAt")
    shown = [
        present(
            name=shorten(row.get("name", ""), 200),
            type=row.get("resolvedDataType"),
            collection=table(collections.get(str(row.get("variableCollectionId")))).get("name"),
            **{name: row.get(name) for name in names},
        )
        for row in map(table, table(meta.get("variables")).values())
    ]
    return portion("variables", shown, contains=contains, after=after, limit=limit)


def _variables(api: Api, template: str, file: str) -> dict[str, Any]:
    return table(answer(api.get(template, file_key=file_key(file))).get("meta"))


def _variable(row: dict[str, Any], others: dict[str, Any], collections: dict[str, Any]) -> dict[str, Any]:
    collection = table(collections.get(str(row.get("variableCollectionId"))))
    modes = {mode.get("modeId"): mode.get("name") for mode in rows(collection.get("modes"))}
    scopes = row.get("scopes")
    return present(
        id=row.get("id"),
        name=shorten(row.get("name", ""), 200),
        type=row.get("resolvedType"),
        collection=collection.get("name"),
        values={
            str(modes.get(mode, mode)): _value(value, others) for mode, value in table(row.get("valuesByMode")).items()
        },
        description=shorten(row.get("description") or "", 300),
        scopes=scopes if scopes != ["ALL_SCOPES"] else None,
        codeSyntax=row.get("codeSyntax"),
        remote=row.get("remote") or None,
    )


def _value(value: object, others: dict[str, Any]) -> Any:
    if not isinstance(value, dict):
        return shorten(value, 500) if isinstance(value, str) else number(value)
    if value.get("type") == "VARIABLE_ALIAS":
        target = table(others.get(str(value.get("id")))).get("name")
        return {"alias": target or value.get("id")}
    if "r" in value:
        return color(value)
    # A colour with its own opacity, either of which may be a variable.
    return {name: _value(part, others) for name, part in value.items()}
