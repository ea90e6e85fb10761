"""`python -m bench.faults [--short] [--only NAME]`: everything that breaks, broken under load.

nginx, two gunicorn workers, PostgreSQL, Valkey, worker and ticker, 12,000 instances; sixteen clients call and look at
pages meanwhile. One row a fault, as THREATS.md numbers them. Exit code 1: more was lost, or for longer, than promised.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import make_url

from bench import broken_parts, broken_surroundings
from bench.installation import Installation, database_url, end_tidily, installation, postgres
from bench.outcome import Outcome
from bench.scene import Scene
from bench.servers import upstream
from bench.silence import silent_service
from tests.fault_proxy import FaultProxy

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
        server = stack.enter_context(postgres(home / "pg"))
        direct = make_url(database_url(server))
        way = stack.enter_context(FaultProxy(f"{direct.query['host']}/.s.PGSQL.5432"))
        behind = direct.set(host="127.0.0.1", port=way.port, query={}).render_as_string(hide_password=False)
        settings = {"MCPWEB_DATABASE_URL": behind, "MCPWEB_FIGMA_BASE_URL": f"http://127.0.0.1:{mute}"}
        made: Installation = stack.enter_context(
            installation(home / "host", "PostgreSQL", service.port, seed=_SEED, **settings)
        )
        yield Scene(made, service.port, way, server, gone_s, requests)


if __name__ == "__main__":
    sys.exit(main())
