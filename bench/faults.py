"""`python -m bench.faults [--short] [--only NAME]`: everything that breaks, broken under load.

nginx, two gunicorn workers, PostgreSQL, Valkey, worker and ticker, 12,000 instances; sixteen clients call and look at
pages meanwhile. One row a fault. Exit code 1: more was lost, or for longer, than promised.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import broken_parts, broken_surroundings
from bench.installation import end_tidily, installation
from bench.outcome import Outcome
from bench.scene import Scene
from bench.servers import upstream
from bench.silence import silent_service

FAULTS: dict[str, Callable[[Scene], Outcome]] = {**broken_parts.FAULTS, **broken_surroundings.FAULTS}
_SEED = ("--users", "1000", "--instances", "12000", "--hanging", "50")


def main() -> int:
    """Run them; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--short", action="store_true", help="Redis and the database are gone for 10 s, not 60")
    parser.add_argument("--only", choices=FAULTS, action="append", help="only this one")
    parser.add_argument("--requests", type=int, default=5000, help="least during reloads and deploys (default 5,000)")
    options = parser.parse_args()
    end_tidily()
    if shutil.which("nginx") is None:
        raise SystemExit("nginx is not installed: apt-get install nginx-light")
    print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f} before the start\n")
    print("| fault | requests | failed | in flight | stale, of changes | s until normal | limit | |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    missed = 0
    with _scene(10 if options.short else 60, options.requests) as scene:
        for name in options.only or FAULTS:
            outcome = FAULTS[name](scene)
            missed += not outcome.is_good
            print(outcome.row(name), flush=True)
    print(f"\n{missed} missed" if missed else "\nAll hold.")
    return 1 if missed else 0


@contextmanager
def _scene(gone_s: float, requests: int) -> Iterator[Scene]:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mcpweb-bench-")))
        home.chmod(0o755)
        service = stack.enter_context(upstream())
        mute = stack.enter_context(silent_service())
        disk = stack.enter_context(_disk(home / "host" / "home" / "logs"))
        settings = {"MCPWEB_FIGMA_BASE_URL": f"http://127.0.0.1:{mute}"}
        made = stack.enter_context(installation(home / "host", "PostgreSQL", service.port, seed=_SEED, **settings))
        yield Scene(made, made.postgres, gone_s, requests, disk)


@contextmanager
def _disk(logs: Path) -> Iterator[Path | None]:
    """A disk of 512 MB for the logs alone, in memory; None where none may be mounted."""
    logs.mkdir(parents=True)
    (logs.parents[1]).chmod(0o755)
    mount = ["mount", "-t", "tmpfs", "-o", "size=512m,mode=700", "tmpfs", str(logs)]
    if subprocess.run(mount, capture_output=True).returncode:
        yield None
        return
    try:
        yield logs
    finally:
        subprocess.run(["umount", "-l", str(logs)], check=True)


if __name__ == "__main__":
    sys.exit(main())
