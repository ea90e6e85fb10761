"""The settings of the application that serves the current request or runs the current job."""

from __future__ import annotations

from datetime import timedelta

from flask import current_app

from mcpweb.logs.index import LogIndex
from mcpweb.settings import Settings


def settings() -> Settings:
    """The operator's settings."""
    found: Settings = current_app.extensions["mcpweb_settings"]
    return found


def log_index() -> LogIndex:
    """The index of all log lines."""
    found: LogIndex = current_app.extensions["mcpweb_log_index"]
    return found


def idle_span() -> timedelta:
    """How long a session may be unused."""
    return timedelta(hours=settings().session_idle_hours)
