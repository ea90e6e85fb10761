"""JSON Schema as OpenAPI writes it: nullable types made plain, and a sample value for an answer without example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_MAX_DEPTH = 6
"""Figma's node tree contains itself; optional members are left out below this depth."""

_BY_FORMAT = {
    "date-time": "2026-01-02T03:04:05Z",
    "date": "2026-01-02",
    "uri": "https://example.com/",
    "email": "alice@example.com",
}


def with_null(node: Any) -> Any:
    """The schema with `nullable: true` (OpenAPI 3.0) written as JSON Schema understands it."""
    if isinstance(node, list):
        return [with_null(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    plain = {key: value if key in ("example", "examples", "enum") else with_null(value) for key, value in node.items()}
    return {"anyOf": [plain, {"type": "null"}]} if plain.pop("nullable", False) is True else plain


def sample(schema: Any, resolve: Callable[[Any], Any], depth: int = 0) -> Any:
    """A value that fits the schema, the same one every time."""
    schema = resolve(schema)
    for key in ("example", "const", "default"):
        if key in schema:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    if "allOf" in schema:
        return _merged([sample(part, resolve, depth) for part in [*schema["allOf"], _own(schema)]])
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return sample(schema[key][0], resolve, depth)
    return _by_type(schema, resolve, depth)


def _by_type(schema: Any, resolve: Callable[[Any], Any], depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else None)
    if isinstance(kind, list):
        kind = kind[0]
    match kind:
        case "object":
            return _object(schema, resolve, depth)
        case "array":
            return [] if depth >= _MAX_DEPTH else [sample(schema.get("items", {}), resolve, depth + 1)]
        case "integer":
            return schema.get("minimum", 1)
        case "number":
            return schema.get("minimum", 1.0)
        case "boolean":
            return True
        case "string":
            return _BY_FORMAT.get(schema.get("format", ""), "string")
        case _:
            return None


def _object(schema: Any, resolve: Callable[[Any], Any], depth: int) -> dict[str, Any]:
    required = schema.get("required", ())
    made = {
        name: sample(part, resolve, depth + 1)
        for name, part in schema.get("properties", {}).items()
        if depth < _MAX_DEPTH or (name in required and depth < 2 * _MAX_DEPTH)
    }
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict) and not made and depth < _MAX_DEPTH:
        made["key"] = sample(extra, resolve, depth + 1)
    return made


def _own(schema: Any) -> Any:
    """What the schema says next to its `allOf`."""
    own = {key: value for key, value in schema.items() if key in ("type", "properties", "required")}
    return own if "properties" in own else {"type": "object"}


def _merged(parts: list[Any]) -> Any:
    tables = [part for part in parts if isinstance(part, dict)]
    if not tables:
        return parts[0]
    return {key: value for table in tables for key, value in table.items()}
