"""What every page answers besides its content: security headers, caching, the request's id and its log line."""

from __future__ import annotations

from flask import Flask, Response, g, request

from mcpweb import clock
from mcpweb.logs import context, events, traces
from mcpweb.web import static_files

_CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: Flask-WTF compares the Referer of forms on https.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}


def init_app(app: Flask, *, https: bool) -> None:
    """Give every request an id, and every answer its headers."""

    @app.before_request
    def begin() -> None:
        g.started = clock.monotonic()
        g.request_id = context.new_request_id()
        context.set_fields(
            request_id=g.request_id,
            ip=request.remote_addr or "",
            agent=request.user_agent.string[:300],
            **traces.fields(request.headers.get("traceparent", "")),
        )

    @app.after_request
    def finish(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if https:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        if request.endpoint == "static" and response.status_code < 400:
            response.headers["Cache-Control"] = static_files.CACHING
        response.headers.setdefault("Cache-Control", "no-store")
        if "request_id" in g:
            response.headers["X-Request-Id"] = g.request_id
            events.request(
                "page",
                method=request.method,
                endpoint=request.endpoint or "",
                status=response.status_code,
                duration_ms=round((clock.monotonic() - g.started) * 1000, 1),
            )
        return response
