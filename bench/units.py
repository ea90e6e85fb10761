"""What one request costs each program, in processor time, memory and bytes: what capacity is planned with."""

from __future__ import annotations

import time
import zlib
from pathlib import Path

import psycopg
import redis

from bench import clients
from bench.installation import Installation
from bench.traffic import Plan

KINDS = ("call", "first", "tools", "open", "instances", "instance", "logs")
_CALLED, _FIRST = 100, 1000
"""So few endpoints are called that each is remembered; and so many others once, which is a *first* call."""
_SECONDS = 8.0
_QUIET_S, _QUIET_CPU_S, _CAUGHT_UP_S = 2.0, 0.05, 90.0


def tell(made: Installation, database: str) -> None:
    """Ask for each kind alone, let the index catch up, and print the tables."""
    _ask(made, "call", 3)
    _catch_up(made)
    idle = _idle(made)
    print(f"\n| {database}: processor ms of a request | " + " | ".join(made.parts) + " |")
    print("|---" * (len(made.parts) + 1) + "|", flush=True)
    for kind in KINDS:
        sizes, before, began = _sizes(made), made.cpu_s(), time.monotonic()
        asked = _ask(made, kind, _SECONDS)
        _catch_up(made)
        took = time.monotonic() - began
        after = made.cpu_s()
        costs = {part: max(0.0, after[part] - before[part] - idle[part] * took) / asked * 1000 for part in after}
        print(f"| {kind} | " + " | ".join(f"{cost:.3f}" for cost in costs.values()) + " |", flush=True)
        if kind == "call":
            grown = {name: (size - sizes[name]) / asked for name, size in _sizes(made).items()}
    print(f"\n| {database}: what a tools/call leaves behind | bytes |\n|---|---|")
    for name, size in grown.items():
        print(f"| {name} | {size:,.0f} |")
    print(f"| log lines, times smaller once compressed | {_packed(made):.1f} |")
    idle_of = ", ".join(f"{part} {cost * 1000:.0f}" for part, cost in idle.items())
    print(f"\nProcessor ms a second with nobody there: {idle_of}.")
    memory = ", ".join(f"{part} {size:.0f}" for part, size in made.memory_mb().items())
    print(f"Memory in MB: {memory}. Redis counts {_redis(made).info('memory')['used_memory'] / 1e6:.1f} MB of data.")


def _ask(made: Installation, kind: str, seconds: float) -> int:
    if kind == "first":
        how: dict[str, object] = {"kinds": {"call": 1}, "first": _CALLED, "most": _FIRST, "in_turn": True, "clients": 4}
    else:
        how = {"kinds": {kind: 1}, "most": _CALLED, "seconds": seconds}
    plan = Plan(made.port, str(made.home / "crowd.json"), **how)  # type: ignore[arg-type]
    seen = clients.run(plan)
    if failed := [one for one in seen if not one.is_good]:
        raise SystemExit(f"{kind}: {len(failed)} of {len(seen)} failed: {failed[0].status} {failed[0].words}")
    return len(seen)


def _catch_up(made: Installation) -> None:
    """Wait until the ticker, which follows the logs of its host, has nothing left to index."""
    end, before = time.monotonic() + _CAUGHT_UP_S, made.cpu_s()["ticker"]
    while time.monotonic() < end:
        time.sleep(_QUIET_S)
        now = made.cpu_s()["ticker"]
        if now - before < _QUIET_CPU_S:
            return
        before = now


def _idle(made: Installation) -> dict[str, float]:
    """Processor seconds a second of each part while nobody asks."""
    before = made.cpu_s()
    time.sleep(5)
    return {part: (after - before[part]) / 5 for part, after in made.cpu_s().items()}


def _sizes(made: Installation) -> dict[str, int]:
    logs = made.home / "home" / "logs"
    found = {
        "log lines of the system": _bytes(logs / "system", "*.jsonl"),
        "log lines of the instances": _bytes(logs / "users", "*.jsonl"),
    }
    if made.postgres is None:
        return found | {"log index, SQLite": _bytes(logs / "index", "*")}
    with psycopg.connect(made.postgres.get_uri(), autocommit=True) as connection:
        row = connection.execute(
            "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0'), pg_database_size(current_database())"
        ).fetchone()
    assert row is not None
    return found | {"WAL, PostgreSQL": int(row[0]), "database with the log index, PostgreSQL": int(row[1])}


def _bytes(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.rglob(pattern) if path.is_file())


def _packed(made: Installation) -> float:
    """How many times smaller gzip makes the lines of calls, as the daily job does."""
    lines = b"".join(path.read_bytes() for path in (made.home / "home" / "logs" / "system").glob("performance-*.jsonl"))
    return len(lines) / len(zlib.compress(lines))


def _redis(made: Installation) -> redis.Redis:
    return redis.Redis.from_url(made.environ["MCPWEB_REDIS_URL"])
