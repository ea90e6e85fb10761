"""A cut OpenAPI document, ready to answer: which operation is this, is the request valid, what is the example."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
import orjson

from tests.specs.samples import sample, with_null

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that the document does not allow in a request: where it is, and whether it is absent or wrong."""

    field: str
    missing: bool
    message: str


@dataclass(frozen=True, slots=True)
class Reply:
    """A documented answer in one media type, with its examples by name; neither when it has no body."""

    media: str
    examples: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the document, with its references resolved as far as answering needs it."""

    id: str
    method: str
    template: str
    pattern: re.Pattern[str]
    raw: Mapping[str, Any]
    path_parameters: Mapping[str, Any] = field(repr=False)
    query_parameters: Mapping[str, Any] = field(repr=False)
    body_schema: Any = field(repr=False)
    body_required: bool = False


class Document:
    """The cut document of one provider, read once."""

    def __init__(self, path: Path) -> None:
        self._raw = orjson.loads(path.read_bytes())
        # OpenAPI 3.0 says `nullable`, JSON Schema says a list of types.
        self._components = {**self._raw["components"], "schemas": with_null(self._raw["components"]["schemas"])}
        self.operations = sorted(
            (
                self._operation(method, template, operation, item.get("parameters", []))
                for template, item in self._raw["paths"].items()
                for method, operation in item.items()
                if method != "parameters"
            ),
            # Fixed segments go before placeholders, longer before shorter: /releases/latest is not the release
            # named "latest", and /commits/{ref}/status no ref that ends in "/status".
            key=lambda operation: [*(part.startswith("{") for part in operation.template.split("/")), 2],
        )
        self._valid = cache(self._validator)
        self._replies: dict[tuple[str, int, str], Reply] = {}

    def match(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """The operation of this method and percent-encoded path, with its path arguments decoded."""
        for operation in self.operations:
            if operation.method == method and (found := operation.pattern.fullmatch(path)):
                return operation, {name: unquote(value or "") for name, value in found.groupdict().items()}
        return None

    def resolve(self, node: Any) -> Any:
        """The node that a `$ref` points to; anything else as it is."""
        while isinstance(node, dict) and isinstance(node.get("$ref"), str):
            _, _, kind, name = node["$ref"].split("/")
            node = self._components[kind][name]
        return node

    def problems(
        self, operation: Operation, path: Mapping[str, str], query: Mapping[str, str], body: Any
    ) -> list[Problem]:
        """What the document does not allow; empty when the request is fine. `body` None is no body."""
        found = [
            Problem(name, False, f"{name} is not valid")
            for values, parameters in ((path, operation.path_parameters), (query, operation.query_parameters))
            for name, value in values.items()
            if name in parameters and not self._accepts(parameters[name]["schema"], value)
        ]
        found += [
            Problem(name, True, f"{name} wasn't supplied")
            for name, parameter in operation.query_parameters.items()
            if parameter.get("required") and name not in query
        ]
        if operation.body_schema is None:
            return found
        if body is None:
            return found + ([Problem("body", True, "a JSON body wasn't supplied")] if operation.body_required else [])
        return found + [_problem(error) for error in self._valid(_frozen(operation.body_schema)).iter_errors(body)]

    def undeclared(self, operation: Operation, query: Mapping[str, str], body: Any) -> list[str]:
        """Names that the request uses and the document does not know: servers ignore them, so nobody notices."""
        names = [name for name in query if name not in operation.query_parameters]
        known = self.resolve(operation.body_schema or {}).get("properties")
        if isinstance(body, dict) and known is not None:
            names += [name for name in body if name not in known]
        return names

    def success(self, operation: Operation) -> int:
        """The status of the operation's first documented answer that is no error."""
        return min(int(status) for status in operation.raw["responses"] if status.isdigit())

    def reply(self, operation: Operation, status: int, accept: str = "") -> Reply:
        """The documented answer, in the media type that `accept` names if there is one, else in JSON.

        Raises:
            KeyError: the document knows no such status for this operation.
        """
        content = self.resolve(operation.raw["responses"][str(status)]).get("content", {})
        media = next((name for name in (accept, "application/json", *content) if name in content), "")
        key = (operation.id, status, media)
        if key not in self._replies:
            self._replies[key] = Reply(media, self._examples(content[media])) if media else Reply("", {})
        return self._replies[key]

    def _examples(self, entry: Any) -> dict[str, Any]:
        """The examples of a Media Type Object; without any, one that is made from its schema."""
        if named := entry.get("examples"):
            return {name: self._value(example) for name, example in named.items()}
        if "example" in entry:
            return {"example": entry["example"]}
        return {"generated": sample(entry.get("schema", {}), self.resolve)}

    def _value(self, example: Any) -> Any:
        """What an Example Object holds; GitHub nests a reference to another example inside some."""
        value = self.resolve(example)["value"]
        return self._value(value) if isinstance(value, dict) and list(value) == ["$ref"] else value

    def _operation(self, method: str, template: str, raw: Mapping[str, Any], shared: list[Any]) -> Operation:
        parameters = [self.resolve(parameter) for parameter in [*shared, *raw.get("parameters", [])]]
        in_path = {parameter["name"]: parameter for parameter in parameters if parameter["in"] == "path"}
        body = self.resolve(raw.get("requestBody", {}))
        return Operation(
            id=raw["operationId"],
            method=method.upper(),
            template=template,
            pattern=_pattern(template, in_path),
            raw=raw,
            path_parameters=in_path,
            query_parameters={parameter["name"]: parameter for parameter in parameters if parameter["in"] == "query"},
            body_schema=body.get("content", {}).get("application/json", {}).get("schema"),
            body_required=body.get("required", False),
        )

    def _accepts(self, schema: Any, text: str) -> bool:
        """Whether a path or query value, always text, can be read as the schema's type."""
        validator = self._valid(_frozen(schema))
        return any(validator.is_valid(value) for value in _readings(text))

    def _validator(self, schema: bytes) -> jsonschema_rs.Draft202012Validator:
        return jsonschema_rs.Draft202012Validator(
            {**with_null(orjson.loads(schema)), "components": {"schemas": self._components["schemas"]}}
        )


def _pattern(template: str, parameters: Mapping[str, Any]) -> re.Pattern[str]:
    """GitHub marks the parameters that may hold slashes; the path of a file may also be left out altogether."""
    expression = ""
    for part in template.strip("/").split("/"):
        name = _PLACEHOLDER.fullmatch(part)
        if not name:
            expression += "/" + _PLACEHOLDER.sub(r"(?P<\1>[^/]+)", re.sub(r"[.+]", r"\\\g<0>", part))
        elif not parameters.get(name[1], {}).get("x-multi-segment"):
            expression += f"/(?P<{name[1]}>[^/]+)"
        elif name[1] == "path":
            expression += f"(?:/(?P<{name[1]}>.*))?"
        else:
            expression += f"/(?P<{name[1]}>.+)"
    return re.compile(expression)


def _readings(text: str) -> list[Any]:
    readings: list[Any] = [text, text.split(",")]
    if re.fullmatch(r"-?\d+", text):
        readings += [int(text), [int(text)]]
    elif re.fullmatch(r"-?\d+\.\d+", text):
        readings.append(float(text))
    if text in ("true", "false"):
        readings.append(text == "true")
    return readings


def _problem(error: jsonschema_rs.ValidationError) -> Problem:
    where = ".".join(map(str, error.instance_path))
    if absent := re.search(r'"([^"]+)" is a required property', error.message):
        return Problem(f"{where}.{absent[1]}".strip("."), True, f"{absent[1]} wasn't supplied")
    return Problem(where or "body", False, error.message)


def _frozen(schema: Any) -> bytes:
    return orjson.dumps(schema)
