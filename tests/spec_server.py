"""A provider for tests: a real HTTP server that answers as the official document says, and misbehaves on demand.

In a test:

    with SpecServer("github") as server:
        requests.get(server.url + "/user", headers={"Authorization": f"Bearer {TOKENS['github']['good']}"})
        assert server.seen[-1].operation_id == "users/get-authenticated"

By hand: `python -m tests.spec_server --spec github --port 9000` prints the URL and a token for every behaviour.

The token decides what happens, see `tests.specs.tokens.BEHAVIOURS`. A path argument `missing` is not found, in any
operation. `server.force["pulls/merge"] = 405` makes one operation answer with another of its documented statuses,
`= Answer(403, {...})` with something that the document does not have.
"""

from __future__ import annotations

import argparse
import copy
import os
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import orjson

from tests.specs import FOLDER
from tests.specs.behaviours import Temper, apply
from tests.specs.document import Document
from tests.specs.exchange import Answer, Seen
from tests.specs.providers import PROVIDERS
from tests.specs.tokens import BEHAVIOURS, TOKENS

__all__ = ["BEHAVIOURS", "TOKENS", "Answer", "Seen", "SpecServer"]

_KEPT_REQUESTS = 10_000
BLOB = b"".join(b"2026-01-02T03:04:%02d.0000000Z log line %d\n" % (n % 60, n) for n in range(1, 1001))
"""What a storage host holds: the log of a job, 1,000 lines."""


class SpecServer:
    """One provider on a loopback port, running in threads of this process between `start` and `stop`.

    `delay_s` is what "slow" and "dripping" wait, `redirect_to` where "redirect" points. `prefix` is a path in front
    of everything, as GitHub Enterprise has /api/v3.
    """

    def __init__(
        self,
        spec: str,
        *,
        port: int = 0,
        prefix: str = "",
        delay_s: float = 2.0,
        redirect_to: str = "https://elsewhere.example/",
    ) -> None:
        self.provider = PROVIDERS[spec]
        self.document = _document(spec)
        self.prefix = prefix
        self.temper = Temper(delay_s, redirect_to)
        self.behaviours = {token: behaviour for behaviour, token in TOKENS[spec].items()}
        self.force: dict[str, int | Answer] = {}
        self.seen: deque[Seen] = deque(maxlen=_KEPT_REQUESTS)
        self.stopping = threading.Event()
        self._http = _Http(("127.0.0.1", port), _Handler)
        self._http.owner = self
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}{prefix}"

    def start(self) -> Self:
        """Begin to answer; returns at once, the port is open already."""
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """End the server and every connection to it, hanging ones too."""
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Everything but the transport: note the request, find out who asks, answer. Header names are lower-case."""
        path = urlsplit(target).path.removeprefix(self.prefix)
        if path.startswith("/_blob/"):
            return self._blob(method, path, headers, body)
        seen = self._note(method, path, dict(parse_qsl(urlsplit(target).query)), headers, body)
        token = self.provider.token(headers)
        if token is None:
            return self.provider.unauthenticated()
        behaviour = self.behaviours.get(token, "revoked")
        answer = self.provider.refusal(behaviour, seen) or self._documented(seen)
        return apply(behaviour, self.provider.finish(answer, seen, behaviour, self.url), seen, self.temper)

    def _note(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> Seen:
        json = None
        if body:
            with suppress(orjson.JSONDecodeError):
                json = orjson.loads(body)
        operation, arguments = self.document.match(method, path) or (None, {})
        undeclared = self.document.undeclared(operation, query, json) if operation else []
        seen = Seen(method, path, query, headers, body, json, operation, arguments, tuple(undeclared))
        self.seen.append(seen)
        return seen

    def _documented(self, seen: Seen) -> Answer:
        """The document's own answer: the forced status, else the first that means success."""
        if seen.operation is None or "missing" in seen.arguments.values():
            return self.provider.not_found(seen)
        if problems := self.document.problems(seen.operation, seen.arguments, seen.query, seen.json):
            return self.provider.invalid(problems, seen)
        forced = self.force.get(seen.operation.id)
        if isinstance(forced, Answer):
            return copy.deepcopy(forced)
        status = forced or self.document.success(seen.operation)
        reply = self.document.reply(seen.operation, status, seen.headers.get("accept", ""))
        if not reply.examples:
            return Answer(status)
        example = reply.examples[self.provider.example_name(seen, list(reply.examples))]
        if isinstance(example, str) and "json" not in reply.media:
            return Answer(status, example.encode(), media=f"{reply.media}; charset=utf-8")
        return Answer(status, self.provider.adjust(example, seen))

    def _blob(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """A storage host behind signed links: it refuses a request that carries a credential besides."""
        self.seen.append(Seen(method, path, {}, headers, body))
        if "authorization" in headers:
            return Answer(400, b"<Error><Code>InvalidAuthenticationInfo</Code></Error>", media="application/xml")
        return Answer(200, BLOB, media="text/plain; charset=utf-8")


@cache
def _document(spec: str) -> Document:
    """Read once per process: every test starts a server of its own."""
    return Document(FOLDER / f"{spec}.json")


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    owner: SpecServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is part of the game; anything else is a fault of the server and is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Http

    def handle_one_request(self) -> None:
        """As the base class, except that every method goes the same way."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or self.server.owner.stopping.is_set():
            self.close_connection = True
        elif self.parse_request():
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            self._send(self.server.owner.answer(self.command, self.path, headers, body))

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: tests look at `seen`."""

    def _send(self, answer: Answer) -> None:
        owner = self.server.owner
        if answer.transport == "reset":
            # Closing with a linger time of zero sends RST instead of FIN.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            os.close(self.connection.detach())
            return
        wait_s = None if answer.transport == "hang" else answer.delay_s if answer.transport == "plain" else 0
        if (wait_s is None or wait_s > 0) and owner.stopping.wait(wait_s):
            self.close_connection = True
            return
        head, body = _encode(answer)
        match answer.transport:
            case "drip":
                self._drip(head + body, answer.delay_s)
            case "truncate":
                self.wfile.write(head + body[: len(body) // 2])
                self.close_connection = True
            case _:
                self.wfile.write(head + body)

    def _drip(self, message: bytes, pause_s: float) -> None:
        for i in range(len(message)):
            self.wfile.write(message[i : i + 1])
            if self.server.owner.stopping.wait(pause_s):
                break
        self.close_connection = True


def _encode(answer: Answer) -> tuple[bytes, bytes]:
    """The answer as bytes: status line and headers, and the body."""
    body = answer.body if isinstance(answer.body, bytes) else b"" if answer.body is None else orjson.dumps(answer.body)
    headers = {"Date": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()), **answer.headers}
    if body:
        headers["Content-Type"] = answer.media
    if answer.status != HTTPStatus.NO_CONTENT:
        headers["Content-Length"] = str(len(body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n{lines}\r\n".encode("latin-1"), body


def main(arguments: list[str] | None = None) -> None:
    """The command line: serve until interrupted."""
    parser = argparse.ArgumentParser(description="Answer like a provider, from its official document.")
    parser.add_argument("--spec", required=True, choices=sorted(PROVIDERS))
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--prefix", default="", help="path in front of everything, such as /api/v3")
    parser.add_argument("--delay", type=float, default=2.0, help="seconds that slow answers take")
    options = parser.parse_args(arguments)
    with SpecServer(options.spec, port=options.port, prefix=options.prefix, delay_s=options.delay) as server:
        print(server.url, flush=True)
        for behaviour, meaning in BEHAVIOURS.items():
            print(f"{TOKENS[options.spec][behaviour]}  {behaviour}: {meaning}", flush=True)
        with suppress(KeyboardInterrupt):
            server.stopping.wait()


if __name__ == "__main__":
    main()
