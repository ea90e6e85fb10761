"""`python -m bench [--seconds N] [--quick]`: sets everything up, measures, prints, cleans up. Exit code 1: a miss."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench import report
from bench.measure import Target, call, fast_rounds, waiting
from bench.servers import ROOT, get, gunicorn, upstream, valkey

ROUNDS = 6
ASYNC_STACK = ("starlette", "uvicorn", "httpx", "anyio", "httpcore", "hypercorn", "aiohttp")
OUT_OF_REACH = {
    "MCPWEB_CALLS_PER_MINUTE": "1000000",
    "MCPWEB_CALLS_PER_DAY": "100000000",
    "MCPWEB_CALLS_AT_ONCE": "1000",
    "MCPWEB_IDENTICAL_CALLS": "1000000",
}
"""Every limit is on, so that its cost is in the figures, and none is reached."""
_NOBODY = "00000000-0000-4000-8000-000000000000"


def main() -> int:
    """Run it all; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3, help="length of one round (default 3)")
    parser.add_argument(
        "--quick", action="store_true", help="one short round of each: for a first look, not for figures"
    )
    options = parser.parse_args()
    print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f} before the start")
    rounds, seconds = (1, 2.0) if options.quick else (ROUNDS, options.seconds)
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="mcpweb-bench-"))
        service = stack.enter_context(upstream())
        url = f"http://127.0.0.1:{service.port}"
        redis_url = stack.enter_context(valkey(Path(home)))
        environ = {"MCPWEB_HOME": home, "MCPWEB_GITHUB_BASE_URL": url, "MCPWEB_REDIS_URL": redis_url, **OUT_OF_REACH}
        opened = json.loads(_python("-m", "bench.home", **environ))
        bare = {"BENCH_UPSTREAM": url}
        programs = [
            stack.enter_context(gunicorn("mcpweb", "wsgi:application", environ, "/healthz")),
            stack.enter_context(gunicorn("(a) Flask, requests", "bench.bare:on_requests()", bare, "/")),
            stack.enter_context(gunicorn("(b) Flask, our client", "bench.bare:on_outgoing()", bare, "/")),
        ]
        ours = programs[0]
        aims = [Target(ours, [call(ours.port, instance, token) for instance, token in opened])]
        aims += [Target(program, [call(program.port, _NOBODY, "none")]) for program in programs[1:]]

        figures = fast_rounds(aims, rounds, seconds)
        _print(f"Upstream answers at once, {rounds} rounds of {seconds:g} s", report.fast(programs, figures))
        get(service.port, f"/-/delay/{report.DELAY_MS}")
        runs = {clients: waiting(aims[0], clients, seconds) for clients in report.IDEAL_SHARE}
        _print(f"Upstream answers after {report.DELAY_MS} ms", report.slow(runs))
        checks = report.targets(ours, figures, runs, _strays(environ))
        _print("Targets", [f"{'holds ' if good else 'MISSED'}  {text}" for text, good in checks])
        for result in [*figures[0].results, *(run.result for run in runs.values())]:
            if result.errors:
                print(f"\nFirst error: {result.first_error}")
                break
    return 0 if all(good for _, good in checks) else 1


def _strays(environ: dict[str, str]) -> list[str]:
    """What of an asyncio server stack gets imported with the application."""
    code = f"import sys, wsgi; print([name for name in {ASYNC_STACK!r} if name in sys.modules])"
    found: list[str] = json.loads(_python("-c", code, **environ).replace("'", '"'))
    return found


def _python(*arguments: str, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def _print(title: str, lines: list[str]) -> None:
    print(f"\n{title}\n\n" + "\n".join(lines), flush=True)


if __name__ == "__main__":
    sys.exit(main())
