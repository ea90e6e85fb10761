"""Rounds of load on the servers, and what came of them."""

import json
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field

from bench.load import Order, Result
from bench.servers import ROOT, Program, get

CLIENTS = 16
"""Enough to keep two processors busy."""
_PAGE_EVERY_S = 0.5


@dataclass
class Target:
    """A server and the requests that it is asked again and again."""

    program: Program
    requests: list[str]


@dataclass
class Figures:
    """One server's rounds on the fast upstream."""

    results: list[Result] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    rss_mb: float = 0.0
    pss_mb: float = 0.0

    @property
    def calls_per_s(self) -> float:
        """The median round's."""
        return statistics.median(result.calls_per_s for result in self.results)

    @property
    def p50_ms(self) -> float:
        """The median round's."""
        return statistics.median(result.p50_ms for result in self.results)

    @property
    def p99_ms(self) -> float:
        """The median round's."""
        return statistics.median(result.p99_ms for result in self.results)

    @property
    def cpu_s_per_1000(self) -> float:
        """Processor seconds for a thousand calls; the least disturbed round's, the smallest."""
        return min(self.cpu_ms)

    @property
    def errors(self) -> int:
        """Of all rounds."""
        return sum(result.errors for result in self.results)


@dataclass
class Waiting:
    """One run on the slow upstream, and the worst time that a page took meanwhile."""

    result: Result
    page_ms: float
    pages: int


def call(port: int, instance: str, token: str) -> str:
    """A tool call as clients send it."""
    arguments = {"owner": "alice", "repo": "garden", "issue_number": 7}
    body = json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "get_issue", "arguments": arguments}}
    )
    lines = [
        f"POST /mcp/{instance} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"Authorization: Bearer {token}",
        "Accept: application/json, text/event-stream",
        "Content-Type: application/json",
        "MCP-Protocol-Version: 2025-11-25",
        "User-Agent: bench/1.0",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", body])


def load(target: Target, clients: int, seconds: float) -> Result:
    """Let this many clients at the server, in a process of their own."""
    order = Order(target.program.port, clients, seconds, target.requests, expect="The gate does not close")
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        cwd=ROOT,
        input=json.dumps(asdict(order)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Result(**json.loads(done.stdout))


def fast_rounds(targets: list[Target], rounds: int, seconds: float) -> list[Figures]:
    """The servers in turn, again and again, so that whatever else the machine does hits all of them."""
    figures = [Figures() for _ in targets]
    for target in targets:
        load(target, CLIENTS, 1)
    for _ in range(rounds):
        for target, found in zip(targets, figures, strict=True):
            before = target.program.cpu_s()
            result = load(target, CLIENTS, seconds)
            found.cpu_ms.append((target.program.cpu_s() - before) / max(1, result.calls) * 1000)
            found.results.append(result)
    for target, found in zip(targets, figures, strict=True):
        found.rss_mb, found.pss_mb = target.program.worker_mb("Rss"), target.program.worker_mb("Pss")
    return figures


def waiting(target: Target, clients: int, seconds: float) -> Waiting:
    """Many clients on the slow upstream, while somebody looks at a page twice a second."""
    over = threading.Event()
    took: list[float] = []

    def look() -> None:
        while not over.wait(_PAGE_EVERY_S):
            started = time.perf_counter()
            status = get(target.program.port, "/sign-in")
            took.append((time.perf_counter() - started) * 1000 if status == 200 else float("inf"))

    load(target, clients, 1)
    visitor = threading.Thread(target=look)
    visitor.start()
    try:
        result = load(target, clients, seconds)
    finally:
        over.set()
        visitor.join()
    return Waiting(result, max(took, default=0.0), len(took))
