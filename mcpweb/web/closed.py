"""Maintenance mode on pages: everybody but administrators reads that the server is closed, why, and until when."""

from __future__ import annotations

import math

from flask import Flask, g, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from mcpweb import clock, closure

_WAY_IN = frozenset(f"accounts.{name}" for name in ("ask", "send", "sent", "code", "look", "use", "sign_out"))
"""How administrators sign in. Asking for the closure here would make these pages wait for the database."""
_OPEN = frozenset(("static", "web.help_page", "web.theme", "instances.logo")) | _WAY_IN
_OPEN_PARTS = frozenset(("monitoring", "metrics", "mailbox"))


def init_app(app: Flask) -> None:
    """Tell every page whether the server is closed."""
    app.context_processor(lambda: {"closure": g.get("closure")})


def refuse() -> ResponseReturnValue | None:
    """The answer to a request while the server is closed; None for what stays open."""
    if request.endpoint is None or request.endpoint in _OPEN or request.blueprint in _OPEN_PARTS:
        return None
    g.closure = found = closure.present(clock.utcnow())
    if found is None or (current_user.is_authenticated and current_user.is_admin):
        return None
    left_s = math.ceil((found.ends_at - clock.utcnow()).total_seconds())
    return render_template("errors/closed.html"), 503, {"Retry-After": str(max(1, left_s))}
