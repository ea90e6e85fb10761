"""Every failure as an answer of its own status: a page for people, problem details or a JSON-RPC error for programs."""

from __future__ import annotations

import json
import logging
import math
import time
from typing import NamedTuple

from flask import Flask, Response, g, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, InternalServerError

from mcpweb import jsonrpc, shortage
from mcpweb.errors import AppError
from mcpweb.extensions import limiter, login_manager
from mcpweb.jsonrpc import RpcError
from mcpweb.logs import events
from mcpweb.logs.index_none import NotIndexed
from mcpweb.web.error_words import words

log = logging.getLogger(__name__)

_KEPT_FIELDS, _KEPT_CHARS, _KEPT_CHARS_IN_ALL = 400, 10_000, 100_000
"""Beyond this an outlived form is not offered again: a part of it could do what nobody meant."""
_NEVER_KEPT = ("csrf_token", "password")
_MACHINE_PATHS = frozenset(("/healthz", "/readyz", "/metrics"))


def init_app(app: Flask) -> None:
    """Answer every failure in its own status."""
    app.register_error_handler(CSRFError, _expired_form)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(AppError, _app_error)
    app.register_error_handler(NotIndexed, _not_indexed)
    app.register_error_handler(OperationalError, _database_away)
    app.register_error_handler(PoolTimeout, _database_away)
    app.register_error_handler(Exception, _bug)


def answer(status: int, sentence: str = "") -> Response:
    """The failure in the form that the client takes: a page, problem details, or a JSON-RPC error."""
    found = words(status)
    what_now = _wait() or found.what_now if status == 429 else found.what_now
    if _is_mcp():
        failure = RpcError(jsonrpc.INTERNAL_ERROR if status >= 500 else jsonrpc.REFUSED, sentence or found.reason)
        return Response(jsonrpc.error(failure), status, mimetype="application/json")
    if takes_json():
        return _problem(status, found.title, f"{sentence or found.reason} {what_now}")
    return _page(status, sentence or found.reason, what_now)


def takes_json() -> bool:
    """Whether the client is a program: it says so, or asks for what only programs ask for."""
    if request.path in _MACHINE_PATHS or _is_mcp():
        return True
    asked = request.accept_mimetypes
    best = asked.best_match(("text/html", "application/json", "application/problem+json"))
    return best is not None and best != "text/html"


def _is_mcp() -> bool:
    return request.path == "/mcp" or request.path.startswith("/mcp/") or request.path.endswith("/mcp")


def _problem(status: int, title: str, detail: str) -> Response:
    """RFC 9457; a status has no page of its own to point at."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return Response(
        json.dumps(body | {"request_id": g.get("request_id", "")}), status, mimetype="application/problem+json"
    )


def _page(status: int, sentence: str, what_now: str) -> Response:
    if status >= 500:
        # Every template is given the user; when it is the database that failed, asking for one would fail again.
        g._login_user = login_manager.anonymous_user()
    request_id = g.get("request_id", "")
    title = words(status).title
    told = {"title": title, "sentence": sentence, "what_now": what_now, "request_id": request_id}
    try:
        return make_response(render_template("errors/error.html", status=status, **told), status)
    except Exception:  # the last resort: a fault in what shows faults must not hide the first one
        log.exception("the error page failed")
        text = f"{title}. {sentence} {what_now}\nRequest {request_id}\n"
        return Response(text, status, mimetype="text/plain")


def _wait() -> str:
    """How long to wait, where a limit says so."""
    limit = limiter.current_limit
    if limit is None:
        return ""
    seconds = max(1, math.ceil(limit.reset_at - time.time()))
    return f"Wait {f'{seconds} seconds' if seconds < 120 else f'{math.ceil(seconds / 60)} minutes'}, then try again."


def _http_error(error: HTTPException) -> ResponseReturnValue:
    if error.response is not None or error.code is None or error.code < 400:
        return error
    response = answer(error.code)
    for name, value in error.get_headers():
        if name.lower() != "content-type":
            response.headers[name] = value
    return response


def _app_error(error: AppError) -> ResponseReturnValue:
    return answer(int(error.status), error.sentence)


def _not_indexed(error: NotIndexed) -> ResponseReturnValue:
    if takes_json():
        return _app_error(error)
    return make_response(render_template("errors/not_indexed.html", sentence=error.sentence), error.status)


class _Kept(NamedTuple):
    """What is offered again of a form; `is_whole` is False when it was too much."""

    fields: list[tuple[str, str]]
    is_whole: bool


def _expired_form(error: CSRFError) -> ResponseReturnValue:
    """The form's token has ended with the session: offer the same form again, without what is secret."""
    events.security("form token refused", level="warning", path=request.path, reason=str(error.description))
    if takes_json():
        return answer(400)
    kept = _kept()
    action = request.full_path if request.query_string else request.path
    return make_response(
        render_template("errors/csrf.html", kept=kept, action=action, request_id=g.get("request_id", "")), 400
    )


def _kept() -> _Kept:
    fields = [
        (name, value)
        for name, value in request.form.items(multi=True)
        if name not in _NEVER_KEPT and not name.startswith("credential-")
    ]
    sizes = [len(name) + len(value) for name, value in fields]
    fits = len(fields) <= _KEPT_FIELDS and max(sizes, default=0) <= _KEPT_CHARS and sum(sizes) <= _KEPT_CHARS_IN_ALL
    return _Kept(fields if fits else [], fits)


def _busy() -> Response:
    """This process is short of descriptors or memory, which passes."""
    response = answer(503, shortage.REASON)
    response.headers["Retry-After"] = str(shortage.RETRY_AFTER_S)
    return response


def _database_away(error: OperationalError | PoolTimeout) -> ResponseReturnValue:
    if shortage.is_behind(error):
        return _busy()
    log.error("the database does not answer", extra={"error": type(error).__name__})
    response = answer(503)
    response.headers["Retry-After"] = "10"
    return response


def _bug(error: Exception) -> ResponseReturnValue:
    if shortage.is_cause(error):
        log.error("short of descriptors or memory", extra={"path": request.path})
        return _busy()
    where = {"path": request.path, "method": request.method, "endpoint": request.endpoint or ""}
    log.exception("unexpected error", extra=where)
    return answer(InternalServerError.code)
