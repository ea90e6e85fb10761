"""Tools: a typed Python function becomes an MCP tool with a JSON Schema for its arguments."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from mcpweb.catalog.api import Api
from mcpweb.catalog.results import Call

Json = Any
"""Any JSON value: dict, list, str, int, float, bool or None."""

_SCALARS: dict[object, dict[str, Json]] = {
    str: {"type": "string", "maxLength": 100_000},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    dict: {"type": "object"},
}


@dataclass(frozen=True, slots=True)
class Tool:
    """One MCP tool: what clients are told about it, and the function behind it."""

    name: str
    title: str
    description: str
    input_schema: Mapping[str, Json]
    run: Callable[..., Json] = field(repr=False)
    read_only: bool
    destructive: bool
    idempotent: bool
    open_world: bool
    wants_call: bool
    streams: bool

    def definition(self) -> dict[str, Json]:
        """The tool as `tools/list` shows it (MCP, Tool)."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": dict(self.input_schema),
            "annotations": {
                "title": self.title,
                "readOnlyHint": self.read_only,
                "destructiveHint": self.destructive,
                "idempotentHint": self.idempotent,
                "openWorldHint": self.open_world,
            },
        }


def tool(
    title: str,
    *,
    read_only: bool = False,
    destructive: bool = False,
    idempotent: bool | None = None,
    open_world: bool = True,
    input_schema: Mapping[str, Json] | None = None,
) -> Callable[[Callable[..., Json]], Tool]:
    """Make a tool of the function below.

    The function's name is the tool's, its docstring what the model reads, its parameters (all but `api` and
    `call`) the arguments. `idempotent` follows `read_only` unless said. `input_schema` replaces the derived one.

    Raises:
        TypeError: a parameter lacks a type or a description, or its type has no JSON form.
    """

    def decorate(function: Callable[..., Json]) -> Tool:
        hints = get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters
        injected = {name for name in parameters if hints.get(name) in (Api, Call)}
        description = inspect.getdoc(function)
        if not description:
            raise TypeError(f"{function.__name__}: a tool needs a docstring, it is what the model reads")
        return Tool(
            name=function.__name__,
            title=title,
            description=description,
            input_schema=input_schema or _schema(function.__name__, parameters, hints, injected),
            run=function,
            read_only=read_only,
            destructive=destructive,
            idempotent=read_only if idempotent is None else idempotent,
            open_world=open_world,
            wants_call=any(hints.get(name) is Call for name in parameters),
            streams=inspect.isgeneratorfunction(function),
        )

    return decorate


def _schema(
    name: str, parameters: Mapping[str, inspect.Parameter], hints: Mapping[str, object], injected: set[str]
) -> dict[str, Json]:
    properties: dict[str, Json] = {}
    required: list[str] = []
    for parameter in parameters.values():
        if parameter.name in injected:
            continue
        hint = hints.get(parameter.name)
        if get_origin(hint) is not Annotated:
            raise TypeError(f"{name}: parameter {parameter.name} needs Annotated[type, description]")
        properties[parameter.name] = _property(name, parameter, hint)
        if parameter.default is parameter.empty:
            required.append(parameter.name)
    schema: dict[str, Json] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = required
    return schema


def _property(name: str, parameter: inspect.Parameter, hint: object) -> dict[str, Json]:
    base, *notes = get_args(hint)
    shape = _type(f"{name}: parameter {parameter.name}", base)
    for note in notes:
        shape |= note if isinstance(note, dict) else {"description": note}
    if "description" not in shape:
        raise TypeError(f"{name}: parameter {parameter.name} needs a description")
    if parameter.default not in (parameter.empty, None):
        shape["default"] = parameter.default
    return shape


def _type(place: str, hint: object) -> dict[str, Json]:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType) and type(None) in args:
        # "Absent" and None mean the same to a tool, so None is allowed in calls but not advertised to the model.
        rest = [arg for arg in args if arg is not type(None)]
        if len(rest) == 1:
            return _type(place, rest[0])
    if origin is Literal and len(kinds := {type(arg) for arg in args}) == 1 and kinds <= {str, int}:
        return {"type": _SCALARS[kinds.pop()]["type"], "enum": list(args)}
    if origin is list:
        return {"type": "array", "items": _type(place, args[0]), "maxItems": 1000}
    if origin is dict:
        return {"type": "object"}
    if hint in _SCALARS:
        return dict(_SCALARS[hint])
    raise TypeError(f"{place}: {hint!r} has no JSON form")
