"""A typed function becomes a tool with a schema that says what the function takes."""

from typing import Annotated, Any, Literal

import jsonschema_rs
import pytest

from mcpweb.plugin_api import Api, Call, Progress, tool


@tool("Find a town", read_only=True)
def find_town(
    api: Api,
    name: Annotated[str, "Name of the town.", {"minLength": 2, "maxLength": 80}],
    country: Annotated[Literal["no", "se"] | None, "Country."] = None,
    limit: Annotated[int, "How many at most.", {"minimum": 1, "maximum": 100}] = 20,
    radius: Annotated[float, "In kilometres."] = 1.5,
    exact: Annotated[bool, "Whether the whole name must fit."] = False,
    kinds: Annotated[list[str] | None, "Kinds of place."] = None,
    level: Annotated[Literal[1, 2, 3], "Level of detail."] = 1,
    more: Annotated[dict[str, Any] | None, "Anything else."] = None,
) -> object:
    """Find a town by its name.

    Second paragraph.
    """
    return [name, country, limit, radius, exact, kinds, level, more]


def test_the_function_says_what_clients_are_told():
    definition = find_town.definition()

    assert (definition["name"], definition["title"]) == ("find_town", "Find a town")
    assert definition["description"] == "Find a town by its name.\n\nSecond paragraph."
    assert definition["annotations"] == {
        "title": "Find a town",
        "readOnlyHint": True,
        "destructiveHint": False,
        "idempotentHint": True,
        "openWorldHint": True,
    }


def test_the_schema_holds_types_bounds_defaults_and_descriptions():
    schema = find_town.input_schema

    assert schema["required"] == ["name"]
    assert schema["additionalProperties"] is False
    assert schema["properties"] == {
        "name": {"type": "string", "minLength": 2, "maxLength": 80, "description": "Name of the town."},
        "country": {"type": "string", "enum": ["no", "se"], "description": "Country."},
        "limit": {"type": "integer", "minimum": 1, "maximum": 100, "description": "How many at most.", "default": 20},
        "radius": {"type": "number", "description": "In kilometres.", "default": 1.5},
        "exact": {"type": "boolean", "description": "Whether the whole name must fit.", "default": False},
        "kinds": {
            "type": "array",
            "items": {"type": "string", "maxLength": 100_000},
            "maxItems": 1000,
            "description": "Kinds of place.",
        },
        "level": {"type": "integer", "enum": [1, 2, 3], "description": "Level of detail.", "default": 1},
        "more": {"type": "object", "description": "Anything else."},
    }
    jsonschema_rs.meta.validate(dict(schema))


@pytest.mark.parametrize(
    ("arguments", "valid"),
    [
        ({"name": "Oslo"}, True),
        ({"name": "Oslo", "level": 2, "kinds": ["port"], "more": {"a": 1}}, True),
        ({}, False),
        ({"name": "O"}, False),
        ({"name": 5}, False),
        ({"name": "Oslo", "country": "de"}, False),
        ({"name": "Oslo", "limit": 0}, False),
        ({"name": "Oslo", "limit": 1.5}, False),
        ({"name": "Oslo", "level": "2"}, False),
        ({"name": "Oslo", "kinds": "port"}, False),
        ({"name": "Oslo", "api": {}}, False),
        ({"name": "Oslo", "surprise": 1}, False),
        ({"name": "x" * 81}, False),
    ],
)
def test_the_schema_lets_through_what_the_function_takes_and_nothing_else(arguments, valid):
    assert jsonschema_rs.Draft202012Validator(dict(find_town.input_schema)).is_valid(arguments) == valid


def test_a_tool_runs_as_its_function():
    assert find_town.run(None, "Oslo", limit=5)[:3] == ["Oslo", None, 5]


def test_what_changes_something_says_so():
    @tool("Delete a town", destructive=True, open_world=False)
    def delete_town(api: Api, name: Annotated[str, "Name."]) -> None:
        """Delete it."""

    @tool("Set a town's name", idempotent=True)
    def name_town(api: Api, name: Annotated[str, "Name."]) -> None:
        """Name it."""

    assert (delete_town.read_only, delete_town.destructive, delete_town.idempotent, delete_town.open_world) == (
        False,
        True,
        False,
        False,
    )
    assert (name_town.read_only, name_town.destructive, name_town.idempotent) == (False, False, True)


def test_a_tool_may_want_the_call_and_may_report_on_its_way():
    @tool("Count")
    def count(api: Api, call: Call, up_to: Annotated[int, "Last number."] = 3) -> object:
        """Count."""
        yield Progress(1, up_to)
        return up_to

    assert count.wants_call and count.streams
    assert set(count.input_schema["properties"]) == {"up_to"}
    assert not find_town.wants_call and not find_town.streams


def test_a_schema_can_be_given_by_hand():
    schema = {"type": "object", "properties": {"x": {"const": 1}}}

    @tool("By hand", input_schema=schema)
    def by_hand(api: Api, x: int) -> object:
        """Take what the schema says."""
        return x

    assert by_hand.definition()["inputSchema"] == schema


def _undescribed(api: Api, x: int) -> None:
    """Doc."""


def _without_words(api: Api, x: Annotated[int, {"minimum": 1}]) -> None:
    """Doc."""


def _without_docstring(api: Api) -> None:
    pass


def _without_type(api: Api, x) -> None:  # type: ignore[no-untyped-def]
    """Doc."""


def _two_types(api: Api, x: Annotated[int | str, "Either."]) -> None:
    """Doc."""


def _bytes(api: Api, x: Annotated[bytes, "Raw."]) -> None:
    """Doc."""


def _list_of_bytes(api: Api, x: Annotated[list[bytes], "Raw."]) -> None:
    """Doc."""


def _mixed_literal(api: Api, x: Annotated[Literal["a", 1], "Mixed."]) -> None:
    """Doc."""


FAULTS = [
    (_undescribed, "x needs Annotated"),
    (_without_words, "x needs a description"),
    (_without_docstring, "needs a docstring"),
    (_without_type, "x needs Annotated"),
    (_two_types, "x: .* has no JSON form"),
    (_bytes, "x: .* has no JSON form"),
    (_list_of_bytes, "x: .* has no JSON form"),
    (_mixed_literal, "x: .* has no JSON form"),
]


@pytest.mark.parametrize(("function", "words"), FAULTS, ids=[function.__name__ for function, _ in FAULTS])
def test_a_function_that_does_not_say_what_it_takes_is_no_tool(function, words):
    with pytest.raises(TypeError, match=words) as caught:
        tool("Title")(function)

    assert function.__name__ in str(caught.value)
