"""mcpweb hands out MCP endpoints for services without handing out the keys."""

__version__ = "0.1.0"
