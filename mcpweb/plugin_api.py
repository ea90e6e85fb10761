"""Everything a plugin may import, next to the standard library."""

from mcpweb.catalog.api import Api, Segments
from mcpweb.catalog.content import prompt, resource, resource_template
from mcpweb.catalog.outgoing import Reply
from mcpweb.catalog.refusals import UpstreamError
from mcpweb.catalog.results import Call, InputRequired, LogMessage, Progress, Result, ToolError
from mcpweb.catalog.tools import tool

__all__ = [
    "Api",
    "Call",
    "InputRequired",
    "LogMessage",
    "Progress",
    "Reply",
    "Result",
    "Segments",
    "ToolError",
    "UpstreamError",
    "prompt",
    "resource",
    "resource_template",
    "tool",
]
