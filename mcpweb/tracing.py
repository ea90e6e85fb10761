"""Spans of requests for an OpenTelemetry collector, where OTEL_EXPORTER_OTLP_ENDPOINT names one.

A span says which page or endpoint was asked for and how it was answered: no address, no query, no user and no
arguments, as addresses hold sign-in links and the ids of instances. The services behind us are told of no trace.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from flask import Request
from werkzeug.wsgi import ClosingIterator

from mcpweb import __version__

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger(__name__)

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_MISSING = f"{ENDPOINT} is set, but nothing is traced: what it needs is not installed. pip install 'mcpweb[otel]'"


def traced(application: WSGIApplication, environ: Mapping[str, str]) -> WSGIApplication:
    """The application with a span around each request; itself when no collector is named, or nothing can reach it."""
    if not environ.get(ENDPOINT):
        return application
    try:
        tracer = _tracer(environ)
    except ImportError:
        log.warning(_MISSING)
        print(f"mcpweb: {_MISSING}", file=sys.stderr, flush=True)
        return application
    return _Traced(application, tracer)


def _tracer(environ: Mapping[str, str]) -> Any:
    # An extra that few install; and it takes a quarter of a second.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = environ.get("OTEL_SERVICE_NAME") or "mcpweb"
    provider = TracerProvider(resource=Resource.create({"service.name": name, "service.version": __version__}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer("mcpweb", __version__)


class _Traced:
    def __init__(self, application: WSGIApplication, tracer: Any) -> None:
        from opentelemetry.trace import SpanKind, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._application = application
        self._tracer = tracer
        self._extract = TraceContextTextMapPropagator().extract
        self._server, self._failed = SpanKind.SERVER, StatusCode.ERROR

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer the request; its span ends with the answer's body."""
        parent = self._extract({"traceparent": environ.get("HTTP_TRACEPARENT", "")})
        method = environ["REQUEST_METHOD"][:20]
        span = self._tracer.start_span(method, context=parent, kind=self._server)
        context = span.get_span_context()
        # The lines that are logged meanwhile name the trace, also one that begins here.
        environ["HTTP_TRACEPARENT"] = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

        def note(status: str, *rest: Any) -> Any:
            route = _route(environ)
            span.update_name(f"{method} {route}")
            span.set_attributes(
                {"http.request.method": method, "http.route": route, "http.response.status_code": int(status[:3])}
            )
            if status.startswith("5"):
                span.set_status(self._failed)
            return start_response(status, *rest)

        try:
            return ClosingIterator(self._application(environ, note), [span.end])
        except BaseException:
            span.set_status(self._failed)
            span.end()
            raise


def _route(environ: Mapping[str, Any]) -> str:
    """The pattern of the page's address, as the pages' framework leaves it here; the endpoints leave nothing."""
    request = environ.get("werkzeug.request")
    return str(request.url_rule or "no such page") if isinstance(request, Request) else "mcp"
