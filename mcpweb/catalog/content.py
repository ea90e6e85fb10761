"""Resources, resource templates and prompts: typed Python functions, as tools are, that a client reads or inserts."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args, get_origin, get_type_hints
from urllib.parse import unquote

from mcpweb.catalog.results import Call

Json = Any
"""Any JSON value: dict, list, str, int, float, bool or None."""

Complete = Callable[[str, Mapping[str, str]], Sequence[str]]
"""Proposals for one argument: takes what is typed so far and the arguments already chosen."""

_VARIABLE = re.compile(r"\{(\+?)(\w+)\}")


@dataclass(frozen=True, slots=True)
class Resource:
    """Something readable under a fixed URI."""

    uri: str
    name: str
    description: str
    mime_type: str
    run: Callable[..., Json] = field(repr=False)
    wants_call: bool

    def definition(self) -> dict[str, Json]:
        """The resource as `resources/list` shows it (MCP, Resource)."""
        return {"uri": self.uri, "name": self.name, "description": self.description, "mimeType": self.mime_type}


@dataclass(frozen=True, slots=True)
class ResourceTemplate:
    """A family of resources whose URIs differ in the template's variables."""

    uri_template: str
    name: str
    description: str
    mime_type: str
    run: Callable[..., Json] = field(repr=False)
    wants_call: bool
    pattern: re.Pattern[str] = field(repr=False)
    complete: Mapping[str, Complete] = field(repr=False)

    def definition(self) -> dict[str, Json]:
        """The template as `resources/templates/list` shows it (MCP, ResourceTemplate)."""
        return {
            "uriTemplate": self.uri_template,
            "name": self.name,
            "description": self.description,
            "mimeType": self.mime_type,
        }

    def match(self, uri: str) -> dict[str, str] | None:
        """The values of the variables in `uri`, percent-decoded; None when the URI is of another family."""
        found = self.pattern.fullmatch(uri)
        return {name: unquote(value) for name, value in found.groupdict().items()} if found else None


@dataclass(frozen=True, slots=True)
class PromptArgument:
    """One argument of a prompt; its value is always a text."""

    name: str
    description: str
    required: bool


@dataclass(frozen=True, slots=True)
class Prompt:
    """Messages ready to be put before a model, made from a few arguments."""

    name: str
    title: str
    description: str
    arguments: tuple[PromptArgument, ...]
    run: Callable[..., Json] = field(repr=False)
    wants_call: bool
    complete: Mapping[str, Complete] = field(repr=False)

    def definition(self) -> dict[str, Json]:
        """The prompt as `prompts/list` shows it (MCP, Prompt)."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "arguments": [
                {"name": argument.name, "description": argument.description, "required": argument.required}
                for argument in self.arguments
            ],
        }


def resource(uri: str, *, name: str, mime_type: str) -> Callable[[Callable[..., Json]], Resource]:
    """Make a resource of the function below, which takes `api` and returns a str, bytes, or anything JSON can say."""

    def decorate(function: Callable[..., Json]) -> Resource:
        return Resource(uri, name, _doc(function), mime_type, function, _wants_call(function))

    return decorate


def resource_template(
    uri_template: str, *, name: str, mime_type: str, complete: Mapping[str, Complete] | None = None
) -> Callable[[Callable[..., Json]], ResourceTemplate]:
    """As `resource`, for a family: `{id}` matches one path segment, `{+path}` any number (RFC 6570, levels 1 and 2).

    The function also takes the variables, as texts. It raises `ToolError` when there is no such resource.
    """

    def decorate(function: Callable[..., Json]) -> ResourceTemplate:
        pattern = _pattern(uri_template)
        return ResourceTemplate(
            uri_template, name, _doc(function), mime_type, function, _wants_call(function), pattern, complete or {}
        )

    return decorate


def prompt(title: str, *, complete: Mapping[str, Complete] | None = None) -> Callable[[Callable[..., Json]], Prompt]:
    """Make a prompt of the function below.

    Its parameters (all but `api` and `call`) are the arguments, each `Annotated[str, description]`. It returns the
    text of one user message, or a list of MCP prompt messages.

    Raises:
        TypeError: a parameter is no described text, or `complete` names none of them.
    """

    def decorate(function: Callable[..., Json]) -> Prompt:
        arguments = _arguments(function)
        if unknown := set(complete or ()) - {argument.name for argument in arguments}:
            raise TypeError(f"{function.__name__}: completes the unknown argument {min(unknown)}")
        return Prompt(
            function.__name__, title, _doc(function), arguments, function, _wants_call(function), complete or {}
        )

    return decorate


def _arguments(function: Callable[..., Json]) -> tuple[PromptArgument, ...]:
    hints = get_type_hints(function, include_extras=True)
    arguments = []
    for parameter in list(inspect.signature(function).parameters.values())[1:]:  # the first is `api`
        hint = hints.get(parameter.name)
        if hint is Call:
            continue
        if get_origin(hint) is not Annotated or get_args(hint)[0] is not str:
            raise TypeError(f"{function.__name__}: parameter {parameter.name} needs Annotated[str, description]")
        arguments.append(PromptArgument(parameter.name, get_args(hint)[1], parameter.default is parameter.empty))
    return tuple(arguments)


def _wants_call(function: Callable[..., Json]) -> bool:
    return Call in get_type_hints(function).values()


def _doc(function: Callable[..., Json]) -> str:
    description = inspect.getdoc(function)
    if not description:
        raise TypeError(f"{function.__name__}: needs a docstring, it is the description that clients show")
    return description


def _pattern(uri_template: str) -> re.Pattern[str]:
    parts: list[str] = []
    end = 0
    for variable in _VARIABLE.finditer(uri_template):
        parts.append(re.escape(uri_template[end : variable.start()]))
        parts.append(f"(?P<{variable[2]}>{'.+' if variable[1] else '[^/]+'})")
        end = variable.end()
    return re.compile("".join(parts) + re.escape(uri_template[end:]))
