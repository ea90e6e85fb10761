"""Requests as traces: what a collector is told, and what happens without the libraries for it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mcpweb import tracing
from tests.form_client import InProcess
from tests.waiting import until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, bytes]]]:
    """A receiver of OTLP over HTTP, which the environment names; gives path and body of what it is sent."""
    received: list[tuple[str, bytes]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv(tracing.ENDPOINT, f"http://127.0.0.1:{server.server_address[1]}")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        yield received
        server.shutdown()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_collector_is_told_of_routes_and_statuses_and_of_no_address(collector, app, other_app, make_instance):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra otel")
    instance, token = make_instance()
    traced_app = other_app()
    traced_app.wsgi_app = tracing.traced(traced_app.wsgi_app, os.environ)
    client = InProcess(traced_app)

    for path, headers in (
        ("/sign-in/a-link-that-is-secret?also=secret", {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}),
        ("/nowhere/secret", {}),
        (f"/mcp/{instance.id}", {"Authorization": f"Bearer {token}"}),
    ):
        client.raw(f"http://localhost:8080{path}", headers=headers, buffered=True)

    told = until(lambda: (body := b"".join(body for _, body in collector)).count(b"GET mcp") and body, "all is told")
    assert {path for path, _ in collector} == {"/v1/traces"}
    assert b"GET /sign-in/<" in told
    assert b"GET no such page" in told
    assert bytes.fromhex(TRACE) in told
    for secret in (b"secret", str(instance.id).encode(), token.encode()):
        assert secret not in told


def test_without_its_libraries_a_sentence_says_so_and_everything_works(monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter", None)

    def application(_environ, _start_response):
        return [b"well"]

    assert tracing.traced(application, {tracing.ENDPOINT: "http://127.0.0.1:1"}) is application
    assert "pip install 'mcpweb[otel]'" in capfd.readouterr().err


def test_nothing_is_wrapped_when_no_collector_is_named():
    def application(_environ, _start_response):
        return []

    assert tracing.traced(application, {}) is application
