"""`mcpweb doctor`: the checks of the health page, and what can only be asked from outside of a running server."""
