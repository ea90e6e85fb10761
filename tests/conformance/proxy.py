"""A reverse proxy on loopback that adds the token, for a client that can not send one; all else passes unchanged."""

from __future__ import annotations

import ssl
import threading
from http.client import HTTPConnection, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

_OWN = {"connection", "keep-alive", "transfer-encoding", "date", "server"}
"""Headers that belong to one connection, or that our side writes itself."""


def _connection(host: str, port: int, authority: Path | None) -> HTTPConnection:
    if authority is None:
        return HTTPConnection("127.0.0.1", port)
    return HTTPSConnection(host, port, context=ssl.create_default_context(cafile=str(authority)))


class TokenProxy:
    """While it is entered, `url` leads to one path of a server on a port of this machine."""

    def __init__(
        self, port: int, path: str, token: str, authority: Path | None = None, host: str = "127.0.0.2"
    ) -> None:
        """With `authority`, the certificates that it signs are asked for, at nginx' address: the host."""

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                dropped = _OWN | ({"host"} if authority else set())  # the certificate is for another
                headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
                headers["Authorization"] = f"Bearer {token}"
                upstream = _connection(host, port, authority)
                upstream.request(self.command, path, body, headers)
                answer = upstream.getresponse()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in _OWN:
                        self.send_header(name, value)
                if answer.getheader("Content-Length") is None:  # a stream: its end is the connection's
                    self.send_header("Connection", "close")
                self.end_headers()
                while chunk := answer.read1():
                    self.wfile.write(chunk)
                    self.wfile.flush()
                upstream.close()

            do_GET = do_DELETE = do_PUT = do_OPTIONS = do_POST

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://localhost:{self._server.server_port}/mcp"

    def __enter__(self) -> TokenProxy:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
