"""`python -m bench.capacity [--minutes N] [--database NAME] [--only PART]`: an installation under load.

nginx, two gunicorn workers, Valkey, worker and ticker, on SQLite and on PostgreSQL; 10,000 instances of 1,000 users.
Three parts, each with a table: `load` mixes calls and pages for minutes, `growth` says what a call costs among 100 to
50,000 instances, `units` what one request of a kind costs each program, for planning. Exit code 1: a limit is broken.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

from bench import clients, growth, units
from bench.installation import Installation, end_tidily, installation
from bench.requests import KINDS
from bench.servers import upstream
from bench.traffic import Plan, Seen

PARTS = ("load", "units", "growth")
DATABASES = ("SQLite", "PostgreSQL")
MOST_GROWTH = 0.05
"""Of the workers' memory, once they are warm."""
MOST_ERRORS = 0
_SAMPLE_S = 2.0
_WARM_UP = 1 / 3
"""Of the minutes: so long nothing is measured; what is remembered for a minute is full then."""
_ROUNDS_BEFORE = 2
"""So often all endpoints are called before: what a worker counts for each of them, it counts for a day."""


def main() -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.capacity", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3, help="of load on each database (default 3)")
    parser.add_argument("--instances", type=int, default=10_000, help="default 10,000, of a tenth as many users")
    parser.add_argument("--quick", action="store_true", help="growth to 1,000 only: for a first look, not for figures")
    parser.add_argument("--database", choices=DATABASES, action="append", help="only this one")
    parser.add_argument("--only", choices=PARTS, action="append", help="only this part")
    options = parser.parse_args()
    end_tidily()
    if shutil.which("nginx") is None:
        raise SystemExit("nginx is not installed: apt-get install nginx-light")
    print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f} before the start")
    parts = options.only or PARTS
    checks: list[tuple[str, bool]] = []
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mcpweb-bench-")))
        home.chmod(0o755)
        service = stack.enter_context(upstream())
        for database in options.database or DATABASES:
            if {"load", "units"} & set(parts):
                seed = ("--users", str(options.instances // 10), "--instances", str(options.instances))
                with installation(home / database, database, service.port, seed=seed) as made:
                    checks += _load(made, database, options.minutes * 60) if "load" in parts else []
                    if "units" in parts:
                        units.tell(made, database)
                shutil.rmtree(home / database, ignore_errors=True)
            if "growth" in parts:
                checks += growth.tell(home / "growth", database, service.port, options.quick)
                shutil.rmtree(home / "growth", ignore_errors=True)
    print("\nLimits\n\n" + "\n".join(f"{'holds ' if good else 'MISSED'}  {text}" for text, good in checks))
    return 0 if all(good for _, good in checks) else 1


class Memory(threading.Thread):
    """Samples of each part's memory, until `end`."""

    def __init__(self, made: Installation) -> None:
        super().__init__(daemon=True)
        self._made, self._over = made, threading.Event()
        self.samples: list[dict[str, float]] = []
        self.start()

    def run(self) -> None:
        """Take them."""
        while not self._over.wait(_SAMPLE_S):
            self.samples.append(self._made.memory_mb())

    def end(self) -> None:
        """No more."""
        self._over.set()
        self.join()

    def growth(self, part: str) -> float:
        """The median of the last fifth beside that of the first."""
        some = max(1, len(self.samples) // 5)
        first, last = ([one[part] for one in few] for few in (self.samples[:some], self.samples[-some:]))
        return statistics.median(last) / statistics.median(first) - 1


def _load(made: Installation, database: str, seconds: float) -> list[tuple[str, bool]]:
    plan = Plan(made.port, str(made.home / "crowd.json"))
    for _ in range(_ROUNDS_BEFORE):
        clients.run(Plan(**vars(plan) | {"kinds": {"call": 1}, "in_turn": True}))
    clients.run(Plan(**vars(plan) | {"seconds": seconds * _WARM_UP}))
    before, memory = made.cpu_s(), Memory(made)
    seen = clients.run(Plan(**vars(plan) | {"seconds": seconds}))
    memory.end()
    after = made.cpu_s()
    _tell_times(database, seen, seconds)
    print(f"\n| {database} | processor seconds per 1,000 requests | MB before | MB after | growth |")
    print("|---|---|---|---|---|")
    for part in after:
        cost = (after[part] - before[part]) / len(seen) * 1000
        first, last = memory.samples[0][part], memory.samples[-1][part]
        print(f"| {part} | {cost:.3f} | {first:.0f} | {last:.0f} | {memory.growth(part):+.1%} |", flush=True)
    failed = [one for one in seen if not one.is_good]
    if failed:
        print(f"\nFirst error: {failed[0].status} {failed[0].words}")
    growth_of_web = memory.growth("web")
    return [
        (f"{database}: requests that failed, of {len(seen):,}: {len(failed)}, at most 0", len(failed) <= MOST_ERRORS),
        (f"{database}: growth of the web workers' memory: {growth_of_web:+.1%}, at most {MOST_GROWTH:.0%}",
         growth_of_web <= MOST_GROWTH),
    ]  # fmt: skip


def _tell_times(database: str, seen: list[Seen], seconds: float) -> None:
    print(f"\n{database}: {len(seen) / seconds:,.0f} requests a second for {seconds:.0f} s\n")
    print("| request | of all | p50 ms | p95 ms | p99 ms | worst | failed |\n|---|---|---|---|---|---|---|")
    for kind in KINDS:
        mine = [one for one in seen if one.kind == kind]
        times = " | ".join(f"{clients.quantile(mine, share):.1f}" for share in (0.5, 0.95, 0.99, 1))
        failed = sum(not one.is_good for one in mine)
        print(f"| {kind} | {len(mine) / len(seen):.1%} | {times} | {failed} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
