"""A tool's arguments: tidied and validated against its input schema, compiled once."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import orjson

from mcpweb.catalog.tools import Tool
from mcpweb.gateway import mirrors

_LARGEST_EXACT = 2**53
"""Beyond it a number with a point in JSON does not say which whole number is meant."""
_SMALL_BYTES = 5_000
_MAX_PROBLEMS = 5
_MAX_PROBLEM_CHARS = 300


class Arguments:
    """What a tool accepts. Checking reads nothing but the schema and the arguments: no network, no file."""

    def __init__(self, tool: Tool) -> None:
        """Compile the tool's schema (JSON Schema 2020-12 unless it names another draft).

        Raises:
            jsonschema_rs.ValidationError: the schema is not one, or refers to a place outside itself.
        """
        schema = dict(tool.input_schema)
        # Problems go to logs, so values stay out of them.
        self._validator = jsonschema_rs.validator_for(schema, mask="the value", offline=True)
        self._required = frozenset(schema.get("required", ()))
        self._integers = tuple(
            name
            for name, shape in schema.get("properties", {}).items()
            if isinstance(shape, dict) and shape.get("type") == "integer"
        )
        self.mirrors = tuple(mirrors.of_schema(schema))

    def tidy(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments as a Python function wants them: null means absent where absence is allowed, 2.0 means 2."""
        if None in arguments.values():
            needed = self._required
            arguments = {name: value for name, value in arguments.items() if value is not None or name in needed}
        for name in self._integers:
            value = arguments.get(name)
            if type(value) is float and value.is_integer() and abs(value) <= _LARGEST_EXACT:
                arguments = {**arguments, name: int(value)}
        return arguments

    def problem(self, arguments: dict[str, Any]) -> str | None:
        """What is wrong with the arguments, for a model to mend; None when nothing is. Quotes no value."""
        try:
            if self._validator.is_valid(arguments):
                return self._inexact(arguments)
            errors = self._errors(arguments)
        except (ValueError, TypeError):
            return "The arguments are nested too deeply."
        lines = [_line(error) for error in errors[:_MAX_PROBLEMS]]
        if len(errors) > _MAX_PROBLEMS:
            lines.append(f"… and {len(errors) - _MAX_PROBLEMS} more.")
        return "The arguments do not fit the tool's input schema.\n" + "\n".join(lines)

    def _inexact(self, arguments: dict[str, Any]) -> str | None:
        """To JSON Schema 1e300 is a whole number, to a service or a database it is none."""
        for name in self._integers:
            if type(arguments.get(name)) is float:
                return f"{name}: the number is too large."
        return None

    def _errors(self, arguments: dict[str, Any]) -> list[jsonschema_rs.ValidationError]:
        """Every problem of small arguments, the first one of large ones.

        The library makes all errors at once: 10 s and 700 MB for a megabyte with nothing right in it (0.60, measured).
        """
        if len(orjson.dumps(arguments)) <= _SMALL_BYTES:
            return list(self._validator.iter_errors(arguments))
        try:
            self._validator.validate(arguments)
        except jsonschema_rs.ValidationError as error:
            return [error]
        return []


def _line(error: jsonschema_rs.ValidationError) -> str:
    place = ".".join(map(str, error.instance_path))
    message = error.message if len(error.message) <= _MAX_PROBLEM_CHARS else error.message[:_MAX_PROBLEM_CHARS] + "…"
    return f"{place[:_MAX_PROBLEM_CHARS]}: {message}" if place else message
