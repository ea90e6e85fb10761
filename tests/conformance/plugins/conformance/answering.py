"""Tools that answer at once, under the names and with the behaviour that the scenarios of the suite ask for."""

import time
from collections.abc import Generator
from typing import Annotated, Any

from mcpweb.plugin_api import Api, LogMessage, Progress, Result, ToolError, tool

from .media import PNG, WAV

_PAUSE_S = 0.02

_EMBEDDED = {
    "type": "resource",
    "resource": {"uri": "test://embedded-resource", "mimeType": "text/plain", "text": "A resource inside a result."},
}
_MIXED = {
    "type": "resource",
    "resource": {"uri": "test://mixed-content-resource", "mimeType": "application/json", "text": '{"value": 123}'},
}


@tool("Simple text", read_only=True, open_world=False)
def test_simple_text(api: Api) -> str:
    """Answer with one text."""
    return "One plain text."


@tool("Image", read_only=True, open_world=False)
def test_image_content(api: Api) -> Result:
    """Answer with one picture."""
    return Result([{"type": "image", "data": PNG, "mimeType": "image/png"}])


@tool("Audio", read_only=True, open_world=False)
def test_audio_content(api: Api) -> Result:
    """Answer with one sound."""
    return Result([{"type": "audio", "data": WAV, "mimeType": "audio/wav"}])


@tool("Embedded resource", read_only=True, open_world=False)
def test_embedded_resource(api: Api) -> Result:
    """Answer with a resource inside the result."""
    return Result([_EMBEDDED])


@tool("Several blocks", read_only=True, open_world=False)
def test_multiple_content_types(api: Api) -> Result:
    """Answer with a text, a picture and a resource."""
    image = {"type": "image", "data": PNG, "mimeType": "image/png"}
    return Result([{"type": "text", "text": "Three blocks:"}, image, _MIXED])


@tool("Failure", read_only=True, open_world=False)
def test_error_handling(api: Api) -> str:
    """Always fail."""
    raise ToolError("This tool always fails.")


@tool("Log lines", read_only=True, open_world=False)
def test_tool_with_logging(api: Api) -> Generator[LogMessage, None, str]:
    """Log three lines on the way."""
    for line in ("started", "working", "through"):
        yield LogMessage("info", line)
        time.sleep(_PAUSE_S)
    return "Three lines were logged."


@tool("One log line", read_only=True, open_world=False)
def test_logging_tool(api: Api) -> Generator[LogMessage, None, str]:
    """Log a line, which only those may hear who asked for it."""
    yield LogMessage("info", "working")
    return "A line was logged."


@tool("Progress", read_only=True, open_world=False)
def test_tool_with_progress(api: Api) -> Generator[Progress, None, str]:
    """Report progress three times."""
    for done in (0, 50, 100):
        yield Progress(done, 100)
        time.sleep(_PAUSE_S)
    return "Progress was reported."


@tool("Mirrored argument", read_only=True, open_world=False)
def test_x_mcp_header(
    api: Api, region: Annotated[str, "Repeated in a header.", {"x-mcp-header": "Region"}] = "nowhere"
) -> str:
    """Take an argument that the client also sends as a header."""
    return f"The region is {region}."


@tool(
    "JSON Schema 2020-12",
    read_only=True,
    open_world=False,
    input_schema={
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
            }
        },
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    },
)
def json_schema_2020_12_tool(api: Api, **arguments: Any) -> dict[str, Any]:
    """Take arguments that a rich schema describes, and give them back."""
    return arguments
