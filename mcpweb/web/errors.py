"""Error pages: plain words, what to do now, and an id to quote."""

from __future__ import annotations

import logging

from flask import Flask, g, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, InternalServerError

from mcpweb.errors import AppError
from mcpweb.extensions import login_manager
from mcpweb.logs import events

log = logging.getLogger(__name__)

_WORDS: dict[int, tuple[str, str, str]] = {
    400: ("This request can not be read", "Something in it is missing or malformed.", "Go back and try again."),
    403: (
        "Not allowed",
        "This request came from another site, or you may not do this.",
        "Open the page from here and try again.",
    ),
    404: (
        "Nothing here",
        "There is no such page, or it is not yours.",
        "Check the address, or start from your instances.",
    ),
    405: ("Not this way", "This address does not take this kind of request.", "Start from your instances."),
    409: ("This has changed meanwhile", "It is not in a state that allows this.", "Open the page again."),
    410: ("Gone", "This has been deleted.", "Start from your instances."),
    413: ("Too much at once", "What was sent is larger than this server takes.", "Send less."),
    415: ("Not in this form", "This server does not take content of this type.", "Use the form on the page."),
    422: ("This can not be taken as it is", "A value is missing or wrong.", "Go back and correct it."),
    429: ("A little too fast", "This was tried very often in a short time.", "Wait a moment, then try again."),
    500: (
        "Something broke here",
        "The fault is ours and has been noted.",
        "Try again; if it stays, quote the id below.",
    ),
    503: ("Back in a moment", "Something that this page needs does not answer.", "Try again in a minute."),
}


def init_app(app: Flask) -> None:
    """Answer every failure with a page of its own status."""
    app.register_error_handler(CSRFError, _expired_form)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(AppError, _app_error)
    app.register_error_handler(OperationalError, _database_away)
    app.register_error_handler(PoolTimeout, _database_away)
    app.register_error_handler(Exception, _bug)


def page(status: int, sentence: str = "") -> tuple[str, int]:
    """The error page for a status."""
    if status >= 500:
        # Every template is given the user; when it is the database that failed, asking for one would fail again.
        g._login_user = login_manager.anonymous_user()
    title, usual, what_now = _WORDS.get(status) or _WORDS[400 if status < 500 else 500]
    html = render_template(
        "errors/error.html",
        status=status,
        title=title,
        sentence=sentence or usual,
        what_now=what_now,
        request_id=g.get("request_id", ""),
    )
    return html, status


def _http_error(error: HTTPException) -> ResponseReturnValue:
    if error.response is not None or error.code is None or error.code < 400:
        return error
    html, status = page(error.code)
    headers = [(name, value) for name, value in error.get_headers() if name.lower() != "content-type"]
    return html, status, headers


def _app_error(error: AppError) -> ResponseReturnValue:
    return page(int(error.status), error.sentence)


def _expired_form(error: CSRFError) -> ResponseReturnValue:
    """The form's token has ended with the session: offer the same form again, without what is secret."""
    events.security("form token refused", level="warning", path=request.path, reason=str(error.description))
    kept = [
        (name, value)
        for name, value in request.form.items(multi=True)
        if name != "csrf_token" and not name.startswith("credential-") and len(value) <= 1000
    ]
    return render_template(
        "errors/csrf.html", fields=kept[:50], action=request.path, request_id=g.get("request_id", "")
    ), 400


def _database_away(error: OperationalError | PoolTimeout) -> ResponseReturnValue:
    log.error("the database does not answer", extra={"error": type(error).__name__})
    html, status = page(503)
    return html, status, {"Retry-After": "10"}


def _bug(error: Exception) -> ResponseReturnValue:
    log.exception("unexpected error", extra={"path": request.path, "method": request.method})
    return page(InternalServerError.code)
