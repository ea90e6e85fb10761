"""A running `mcpweb up`, with small programs in the places of web, worker and ticker, and a real Redis server."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil

PATIENCE_S = 20
ROOT = Path(__file__).parent.parent.parent

DRIVER = """
import json, pathlib, sys
from mcpweb.supervisor import Options, loop, supervise
loop.BACK_OFF_S = (0.01, 0.01, 0.01, 0.01)
options = json.loads(sys.argv[1])
options["home"] = pathlib.Path(options["home"])
options["bind"] = tuple(options["bind"])
sys.exit(supervise(Options(**options)))
"""
# Every program says who and where it is; the supervisor passes that on, as these tests run it in its verbose mode.
HELLO = "import os, signal, sys, time; print('started', os.getpid(), flush=True)\n"
STAY = HELLO + "signal.pause()\n"
WEB = HELLO + (
    "import socket\n"
    "host, port = os.environ['MCPWEB_BIND'].rsplit(':', 1)\n"
    "server = socket.create_server((host, int(port)))\n"
    "while True:\n"
    "    client = server.accept()[0]\n"
    "    client.recv(4096)\n"
    "    client.sendall(b'HTTP/1.1 200 OK\\r\\n\\r\\n')\n"
    "    client.close()\n"
)
PREPARED = {"setup_link": "http://example.org/sign-in/first", "mailbox": "http://example.org/mail", "warnings": ["Oh."]}
PREPARE = f"print({json.dumps(json.dumps(PREPARED))})"


_MCPWEB = [sys.executable, "-m", "mcpweb"]
REAL = {name: [*_MCPWEB, name] for name in ("prepare", "web", "worker", "ticker")}
"""In the places of the small programs, the real ones."""


def python(code: str) -> list[str]:
    return [sys.executable, "-u", "-I", "-S", "-c", code]


class Up:
    """A running `mcpweb up`."""

    def __init__(self, home: Path, *, port: int, environ: dict[str, str], options: dict[str, object]):
        commands = {"web": WEB, "prepare": PREPARE, "worker": STAY, "ticker": STAY, **options.pop("commands", {})}
        told = {"is_verbose": True, **options, "home": str(home), "bind": ["127.0.0.1", port]}
        told["commands"] = {name: python(code) if isinstance(code, str) else code for name, code in commands.items()}
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, json.dumps(told)],
            cwd=ROOT,
            env={**os.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()

    @property
    def said(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, text: str, times: int = 1, patience_s: float = PATIENCE_S) -> str:
        """The line with the n-th occurrence of `text`."""

        def found() -> list[str]:
            return [line for line in self.lines if text in line][times - 1 : times]

        with self._news:
            assert self._news.wait_for(found, patience_s), f"never said {text!r}:\n{self.said}"
            return found()[0]

    def ready(self, patience_s: float = PATIENCE_S) -> "Up":
        self.wait_for("To stop", patience_s=patience_s)
        return self

    def pid_of(self, role: str, times: int = 1) -> int:
        return int(self.wait_for(f"{role} | started", times).split()[-1])

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def exit_code(self) -> int:
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return code

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.exit_code()


def all_gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, PATIENCE_S)[1]


def an_unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
