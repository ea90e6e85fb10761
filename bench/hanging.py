"""`python -m bench.hanging`: what 50 callers of a service that hangs cost everybody else. Exit code 1: a miss."""

import json
import os
import socket
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from bench.__main__ import OUT_OF_REACH, _python, _redis
from bench.load import Result
from bench.measure import CLIENTS, Target, call, load
from bench.servers import get, gunicorn, upstream

HANGING = 50
ROUNDS = 3
ROUND_S = 6.0
"""Three of these end before the 25 seconds that a call may take."""
MOST = 2.0
GIVEN_UP_S = 30.0


def main() -> int:
    """Run it; returns the exit code."""
    print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f} before the start")
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="mcpweb-bench-"))
        service = stack.enter_context(upstream())
        mute = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
        environ = {
            "MCPWEB_HOME": home,
            "MCPWEB_GITHUB_BASE_URL": f"http://127.0.0.1:{service.port}",
            "MCPWEB_FIGMA_BASE_URL": f"http://127.0.0.1:{mute.getsockname()[1]}",
            "MCPWEB_REDIS_URL": stack.enter_context(_redis(Path(home))),
            **OUT_OF_REACH,
        }
        opened = json.loads(_python("-m", "bench.home", **environ))
        ours = stack.enter_context(gunicorn("mcpweb", "wsgi:application", environ, "/healthz"))
        good = Target(ours, call(ours.port, opened["instance"], opened["token"]))
        stuck = _request(ours.port, opened["other_instance"], opened["other_token"])

        load(good, CLIENTS, 2)
        alone = [load(good, CLIENTS, ROUND_S) for _ in range(ROUNDS)]
        began = time.monotonic()
        callers = [threading.Thread(target=_ask, args=(ours.port, stuck), daemon=True) for _ in range(HANGING)]
        for caller in callers:
            caller.start()
        beside = [load(good, CLIENTS, ROUND_S) for _ in range(ROUNDS)]
        began_page = time.perf_counter()
        get(ours.port, "/healthz")
        page_ms = (time.perf_counter() - began_page) * 1000
        for caller in callers:
            caller.join(GIVEN_UP_S)
        gave_up_s = time.monotonic() - began
        refused_ms = min(_ask(ours.port, stuck) for _ in range(6)) * 1000
    return _tell(alone, beside, page_ms, gave_up_s, refused_ms)


def _tell(alone: list[Result], beside: list[Result], page_ms: float, gave_up_s: float, refused_ms: float) -> int:
    print(f"\n| {CLIENTS} other clients | calls/s | p50 ms | p95 ms | p99 ms | errors |\n|---|---|---|---|---|---|")
    for name, rounds in (("alone", alone), (f"beside {HANGING} that hang", beside)):
        one = sorted(rounds, key=lambda result: result.p95_ms)[len(rounds) // 2]
        print(
            f"| {name} | {one.calls_per_s:,.0f} | {one.p50_ms:.1f} | {one.p95_ms:.1f} | {one.p99_ms:.1f} "
            f"| {sum(result.errors for result in rounds)} |"
        )
    times = sorted(one.p95_ms for one in beside)[ROUNDS // 2] / sorted(one.p95_ms for one in alone)[ROUNDS // 2]
    checks = [
        (f"others' p95 while {HANGING} hang: {times:.2f} times, at most {MOST:g}", times <= MOST),
        (f"/healthz meanwhile: {page_ms:.0f} ms, at most 1000", page_ms <= 1000),
        (f"the hanging calls ended after {gave_up_s:.1f} s, at most 26", gave_up_s <= 26),
        (f"the next call is refused within {refused_ms:.1f} ms, at most 100", refused_ms <= 100),
    ]
    print("\n" + "\n".join(f"{'holds ' if good else 'MISSED'}  {text}" for text, good in checks))
    return 0 if all(good for _, good in checks) else 1


def _request(port: int, instance: str, token: str) -> str:
    """A call of Figma instead of GitHub."""
    head, _, body = call(port, instance, token).partition("\r\n\r\n")
    asked = json.loads(body) | {"params": {"name": "get_file", "arguments": {"file": "abcdefghijklmnopqrstuv"}}}
    text = json.dumps(asked)
    return head.replace(f"Content-Length: {len(body)}", f"Content-Length: {len(text)}") + "\r\n\r\n" + text


def _ask(port: int, request: str) -> float:
    """Send it once; returns the seconds that the answer took."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=GIVEN_UP_S) as connection:
        connection.sendall(request.encode())
        connection.recv(65536)
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
