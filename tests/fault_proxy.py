"""A TCP proxy that can break the way to a server: refuse it, cut it, or leave it open and pass nothing on."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self

Mode = Literal["pass", "refuse", "half", "slow"]
SLOW_S = 0.4
"""How much later what is passed on arrives, when slow."""


class FaultProxy:
    """Listens on a loopback port and passes bytes to `target`, a (host, port) or the path of a Unix socket.

    "refuse" cuts what is open and takes nothing new; "half" keeps everything open, and silent;
    "slow" passes on what the server says, but 0.4 s later.
    """

    def __init__(self, target: tuple[str, int] | str) -> None:
        self.target = target
        self.mode: Mode = "pass"
        self._passing = threading.Event()
        self._passing.set()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.set("refuse")
        self._server.close()

    def set(self, mode: Mode) -> None:
        """Change how it behaves, at once and for open connections too."""
        self.mode = mode
        if mode == "half":
            self._passing.clear()
        else:
            self._passing.set()
        if mode == "refuse":
            with self._lock:
                for one in self._open:
                    with suppress(OSError):
                        one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._server.accept()[0]
                if self.mode == "refuse":
                    client.close()
                else:
                    threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        self._passing.wait()
        try:
            if isinstance(self.target, str):
                server = socket.socket(socket.AF_UNIX)
                server.connect(self.target)
            else:
                server = socket.create_connection(self.target)
        except OSError:
            client.close()
            return
        with self._lock:
            self._open |= {client, server}
        if self.mode == "refuse":
            self.set("refuse")
        there = threading.Thread(target=self._pass_on, args=(client, server), daemon=True)
        there.start()
        self._pass_on(server, client, can_be_slow=True)
        there.join()
        with self._lock:
            self._open -= {client, server}
        client.close()
        server.close()

    def _pass_on(self, source: socket.socket, sink: socket.socket, can_be_slow: bool = False) -> None:
        pause = threading.Event()
        with suppress(OSError):
            while data := source.recv(65_536):
                self._passing.wait()
                if can_be_slow and self.mode == "slow":
                    pause.wait(SLOW_S)
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
