"""A service that behaves as services should not: each path of it is one kind of misbehaviour."""

from __future__ import annotations

import gzip
import socket
import socketserver
import ssl
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_DRIP_S = 0.02
"""Between two bytes of a dripping answer."""


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A well-formed answer."""
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""])
    return head.encode("latin-1") + body


def _raw(*lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _chunked(body: bytes, *headers: str) -> bytes:
    return _raw("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *headers, body=body)


@cache
def bomb() -> bytes:
    """Gzip of a few hundred kB that decodes to 64 MB."""
    zip_ = zlib.compressobj(9, wbits=31)
    return b"".join(zip_.compress(bytes(1 << 20)) for _ in range(64)) + zip_.flush()


_GZIPPED = gzip.compress(b'{"gzipped": true}' * 100)
_GZIP = "Content-Encoding: gzip"
_NOTHING = gzip.compress(b"")[:10] + b"\x00\x00\x00\xff\xff" * 1_000_000
"""Gzip that goes on and on and decodes to no byte."""

GOOD: dict[str, bytes] = {
    "/ok": answer(b'{"ok": true}', "Content-Type: application/json"),
    "/gzip": answer(_GZIPPED, _GZIP),
    "/chunked": _chunked(b"5\r\nhello\r\n6;note=1\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n"),
    "/chunked-gzip": _chunked(b"%x\r\n%b\r\n0\r\n\r\n" % (len(_GZIPPED), _GZIPPED), _GZIP),
    "/interim": _raw("HTTP/1.1 103 Early Hints", "Link: </a>") + answer(b"after"),
    "/no-content": _raw("HTTP/1.1 204 No Content", "X-Kind: empty"),
    "/redirect": answer(b"", "Location: https://elsewhere.example.com/", status="302 Found"),
    "/error": answer(b'{"message": "no"}', status="500 Internal Server Error"),
    "/twice": answer(b"two", "X-Thing: a", "X-Thing: b"),
    "/cookie": answer(b"", "Set-Cookie: session=1"),
    "/close": answer(b"last one", "Connection: close"),  # and does not close it
}
"""Answers that are fine, whatever their status; the connection stays open."""

CLOSING: dict[str, bytes] = {
    "/old": _raw("HTTP/1.0 200 OK", body=b"until the end"),
    "/ok-then-gone": answer(b"ok"),  # promises to stay, and does not
}
"""Answers that are fine, after which the connection ends."""

BROKEN: dict[str, bytes] = {
    "/no-http": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "/bad-status": _raw("HTTP/1.1 abc OK", "Content-Length: 0"),
    "/http2": _raw("HTTP/2 200", "Content-Length: 0"),
    "/line-feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "/folded": _raw("HTTP/1.1 200 OK", "X-A: 1", " folded", "Content-Length: 0"),
    "/no-colon": _raw("HTTP/1.1 200 OK", "nonsense", "Content-Length: 0"),
    "/header-nul": _raw("HTTP/1.1 200 OK", "X-A: a\0b", "Content-Length: 0"),
    "/header-cr": _raw("HTTP/1.1 200 OK", "X-A: a\rb", "Content-Length: 0"),
    "/header-space": _raw("HTTP/1.1 200 OK", "Content-Length : 2", body=b"ok"),
    "/endless-head": b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"a" * 200_000,
    "/only-interim": _raw("HTTP/1.1 100 Continue") * 50,
    "/switching": _raw("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket"),
    "/short": _raw("HTTP/1.1 200 OK", "Content-Length: 100", body=b"only this"),
    "/cut-head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "/two-lengths": _raw("HTTP/1.1 200 OK", "Content-Length: 2", "Content-Length: 3", body=b"ok!"),
    "/negative-length": _raw("HTTP/1.1 200 OK", "Content-Length: -1"),
    "/plus-length": _raw("HTTP/1.1 200 OK", "Content-Length: +2", body=b"ok"),
    "/length-and-chunks": _chunked(b"2\r\nok\r\n0\r\n\r\n", "Content-Length: 2"),
    "/other-transfer": _raw("HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "/cut-chunk": _chunked(b"10\r\nonly this"),
    "/no-last-chunk": _chunked(b"2\r\nok\r\n"),
    "/bad-chunk": _chunked(b"xyz\r\nok\r\n0\r\n\r\n"),
    "/long-chunk": _chunked(b"2\r\nok, and more\r\n0\r\n\r\n"),
    "/tiny-chunks": _chunked(b"1\r\na\r\n" * 100_000 + b"0\r\n\r\n"),
    "/endless-trailers": _chunked(b"0\r\n" + b"X-T: 1\r\n" * 1000),
    "/cut-gzip": answer(_GZIPPED[:-10], _GZIP),
    "/cut-chunked-gzip": _chunked(b"14\r\n%b\r\n0\r\n\r\n" % _GZIPPED[:20], _GZIP),
    "/no-gzip": answer(b"plain text", _GZIP),
    "/gzip-and-more": answer(_GZIPPED + b"more", _GZIP),
    "/nested-gzip": answer(gzip.compress(_GZIPPED), "Content-Encoding: gzip, gzip"),
    "/brotli": answer(b"\x0b\x02\x80ok\x03", "Content-Encoding: br"),
}
"""Answers that can not be taken, after which the connection ends."""

LARGE: dict[str, Callable[[], bytes]] = {
    "/claims-much": lambda: _raw("HTTP/1.1 200 OK", "Content-Length: 10000000000"),
    "/long-number": lambda: _raw("HTTP/1.1 200 OK", f"Content-Length: {'9' * 5000}"),
    "/huge": lambda: _raw("HTTP/1.1 200 OK", body=bytes(8 << 20)),
    "/huge-chunk": lambda: _chunked(b"FFFFFFFF\r\n" + bytes(8 << 20)),
    "/bomb": lambda: answer(bomb(), _GZIP),
    "/chunked-bomb": lambda: _chunked(b"7FFFFFFF\r\n" + bomb(), _GZIP),
    "/gzip-of-nothing": lambda: _raw("HTTP/1.1 200 OK", _GZIP, body=_NOTHING),
}
"""Answers that are too large for a limit of 64 KiB or, the bombs, become so."""

DRIPPING: dict[str, tuple[bytes, bytes]] = {
    "/hang": (b"", b""),
    "/hang-after-head": (_raw("HTTP/1.1 200 OK", "Content-Length: 5"), b""),
    "/drip-status": (b"", b"HTTP/1.1 200 OK" + b" " * 60_000),
    "/drip-head": (b"HTTP/1.1 200 OK\r\nX-A: ", b"a" * 60_000),
    "/drip-body": (_raw("HTTP/1.1 200 OK", "Content-Length: 60000"), b"a" * 60_000),
    "/drip-chunks": (_chunked(b""), b"1\r\na\r\n" * 10_000),
    "/drip-until-close": (_raw("HTTP/1.1 200 OK"), b"a" * 60_000),
}
"""What comes at once, and what then comes byte by byte (nothing: silence)."""


class _Handler(socketserver.BaseRequestHandler):
    server: _Server
    request: socket.socket

    def handle(self) -> None:
        number = next(self.server.connections)
        while message := self._message():
            self.server.messages.append((number, message))
            if not self._answer(message.split(b" ", 2)[1].decode().partition("?")[0], message, number):
                return

    def _message(self) -> bytes:
        message = b""
        while b"\r\n\r\n" not in message:
            try:
                piece = self.request.recv(65536)
            except OSError:
                return b""
            if not piece:
                return b""
            message += piece
        return message

    def _answer(self, path: str, message: bytes, number: int) -> bool:
        """Whether the connection goes on."""
        try:
            if path in GOOD:
                self.request.sendall(GOOD[path])
                return True
            if path == "/echo":
                self.request.sendall(answer(message, f"X-Connection: {number}"))
                return True
            if path == "/ok-and-more":  # the next answer, before anybody asked for it
                self.request.sendall(GOOD["/ok"] + answer(b"injected"))
                return True
            self._misbehave(path)
        except OSError:
            pass
        return False

    def _misbehave(self, path: str) -> None:
        if path in DRIPPING:
            self._drip(*DRIPPING[path])
        elif path == "/reset":
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif path in LARGE:
            self.request.sendall(LARGE[path]())
        elif path != "/silent":
            self.request.sendall({**BROKEN, **CLOSING}[path])

    def _drip(self, at_once: bytes, then: bytes) -> None:
        self.request.sendall(at_once)
        if not then:
            self.server.over.wait()
        for byte in then:
            if self.server.over.wait(_DRIP_S):
                return
            self.request.sendall(bytes([byte]))


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tls = tls
        self.over = threading.Event()
        self.hung_up = threading.Event()
        self.connections = iter(range(1 << 30))
        self.messages: list[tuple[int, bytes]] = []

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self.tls:
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.hung_up.set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that hangs up is what many tests want


class BadUpstream:
    """The running service. `host` is `name:port`; `messages` are (number of the connection, request as received).

    `hung_up` is set once it has closed a connection; setting `over` ends what hangs or drips.
    """

    def __init__(self, server: _Server, scheme: str, name: str) -> None:
        self.host = f"{name}:{server.server_address[1]}"
        self.base_url = f"{scheme}://{self.host}"
        self.messages = server.messages
        self.hung_up = server.hung_up
        self.over = server.over


@contextmanager
def running(tls: ssl.SSLContext | None = None, name: str = "127.0.0.1") -> Iterator[BadUpstream]:
    """Start it on a free port of loopback; `name` is what its URLs call it."""
    server = _Server(tls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield BadUpstream(server, "https" if tls else "http", name)
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
