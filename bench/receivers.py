"""Where log lines are shipped to, as far as a shipper can tell: OpenSearch's `_bulk` and Loki's push, in memory.

Written from the two interfaces' public descriptions. Each keeps what it took by what makes it one thing there: a
document by its index and id, an entry by its labels, time and text.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Hashable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KINDS = ("opensearch", "loki")
_EVERY = 7
"""While documents are refused one by one, each so manyth is."""


class Receiver:
    """One server; `down`, it does not listen. Its port stays."""

    def __init__(self, kind: str) -> None:
        self.kept: dict[Hashable, dict[str, Any]] = {}
        self.again = 0
        """Lines that came although they were there already."""
        self.refusing = 0
        """The status that everything is answered with meanwhile; 0: none."""
        self.is_choosy = False
        """Whether some documents of a request are refused with 429, and the others taken."""
        self.is_mute = False
        """Whether it takes everything and hangs up without an answer."""
        self._is_down = False
        self.refused = 0
        """Requests, or lines of a request."""
        self._take = _bulk if kind == "opensearch" else _push
        self._server: ThreadingHTTPServer | None = None
        self.port = 0
        self.up()

    def up(self) -> None:
        """Listen."""
        receiver, self._is_down = self, False

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if receiver._is_down:
                    self.close_connection = True
                    return
                status, answer = receiver.take(self.path, body)
                if receiver.is_mute:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self._server = _Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def down(self) -> None:
        """Refuse connections from now on, and hang up on those that are open."""
        assert self._server
        self._is_down = True
        self._server.shutdown()
        self._server.server_close()

    def take(self, path: str, body: bytes) -> tuple[int, bytes]:
        """The answer to a request: status and body."""
        if self.refusing:
            self.refused += 1
            return self.refusing, b"{}"
        return self._take(self, path, body)

    def keep(self, key: Hashable, line: dict[str, Any]) -> bool:
        """Keep a line, unless it is there."""
        is_new = key not in self.kept
        self.again += not is_new
        self.kept.setdefault(key, line)
        return is_new


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a shipper that is killed hangs up."""


def _bulk(receiver: Receiver, path: str, body: bytes) -> tuple[int, bytes]:
    if not path.startswith("/_bulk"):
        return 404, b"{}"
    rows = body.splitlines()
    items = []
    for number, (head, source) in enumerate(zip(rows[::2], rows[1::2], strict=True)):
        (action, place), line = next(iter(json.loads(head).items())), json.loads(source)
        if receiver.is_choosy and number % _EVERY == 0:
            receiver.refused += 1
            items.append(_item(action, place, 429, "rejected_execution_exception"))
        elif receiver.keep((place["_index"], place["_id"]), line | {"index": place["_index"]}):
            items.append(_item(action, place, 201))
        else:
            items.append(_item(action, place, 409, "version_conflict_engine_exception"))
    errors = any("error" in item[action] for item in items)
    return 200, json.dumps({"took": 1, "errors": errors, "items": items}).encode()


def _item(action: str, place: dict[str, str], status: int, error: str = "") -> dict[str, dict[str, Any]]:
    said: dict[str, Any] = {"_index": place["_index"], "_id": place["_id"], "status": status}
    return {action: said | ({"error": {"type": error, "reason": "so it was decided"}} if error else {})}


def _push(receiver: Receiver, path: str, body: bytes) -> tuple[int, bytes]:
    if path != "/loki/api/v1/push":
        return 404, b""
    for stream in json.loads(body)["streams"]:
        labels = tuple(sorted(stream["stream"].items()))
        for moment, text, *_ in stream["values"]:
            receiver.keep((labels, moment, text), {**json.loads(text), "labels": dict(labels), "moment": int(moment)})
    return 204, b""
