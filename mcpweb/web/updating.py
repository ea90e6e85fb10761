"""Pages while the database has another revision than this program: nothing is read or written that may not be there."""

from __future__ import annotations

from flask import Flask, request
from flask.typing import ResponseReturnValue

from mcpweb.revision import SENTENCE, RevisionWatch
from mcpweb.web.errors import answer

_OPEN = frozenset(("static", "monitoring.alive", "monitoring.ready"))


def init_app(app: Flask, revision: RevisionWatch) -> None:
    """Refuse every page before anything else looks at the request; it must not even be asked who is signed in."""

    @app.before_request
    def refuse() -> ResponseReturnValue | None:
        if request.endpoint in _OPEN or revision.is_right:
            return None
        response = answer(503, SENTENCE)
        response.headers["Retry-After"] = "10"
        return response
