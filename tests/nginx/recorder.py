"""A web process that only writes down what reaches it. Each path is one way to answer, or not to."""

from __future__ import annotations

import socket
import socketserver
import threading
from typing import Any


class Recorder:
    """While it is entered, `address` is listened on, and `requests` holds what came: head and body."""

    def __init__(self) -> None:
        recorder = self
        self.requests: list[bytes] = []
        self.go_on = threading.Event()
        """`/stream` and `/wait` answer to the end once this is set."""

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                recorder.answer(self.request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Recorder:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, connection: socket.socket) -> None:
        """One request on one connection."""
        request = _read(connection)
        if not request:
            return
        self.requests.append(request)
        path = request.split(b" ", 2)[1].partition(b"?")[0]
        if path.endswith(b"/close"):
            return
        if path.endswith(b"/wait"):
            self.go_on.wait(30)
        if path.endswith(b"/stream"):
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Accel-Buffering: no\r\n"
            connection.sendall(head + b"Connection: close\r\n\r\ndata: first\n\n")
            self.go_on.wait(30)
            connection.sendall(b"data: second\n\n")
            return
        status = b"503 Service Unavailable" if path.endswith(b"/503") else b"200 OK"
        connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 5\r\nConnection: close\r\n\r\nours\n")


def _read(connection: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        if not (piece := connection.recv(65536)):
            return b""
        request += piece
    head, _, body = request.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            missing = int(line.partition(b":")[2]) - len(body)
            while missing > 0 and (piece := connection.recv(missing)):
                request, missing = request + piece, missing - len(piece)
    return request
