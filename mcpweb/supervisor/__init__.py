"""Runs all programs of one installation together: `mcpweb up`."""

from mcpweb.supervisor.up import Options, supervise

__all__ = ["Options", "supervise"]
