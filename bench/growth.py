"""Whether a call costs the same among 100 instances as among 50,000.

One installation of each size at the same time, each with one worker and no nginx, which does not know of instances.
They are asked in turn, round after round, so that whatever else the machine does hits all; compared is processor time.
A call is asked of an endpoint that is remembered, and of one that is not (a *first* call): the database must tell.
"""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench import clients, processes
from bench.installation import Installation, database_url, installation, postgres
from bench.traffic import Plan

SIZES = (100, 1000, 10_000, 50_000)
MOST = 1.10
"""Times the cost among the fewest."""
FULL = 10_000
"""Of so many all are called once, to see what memory it takes to remember them: in one process no more are."""
ROUNDS = 7
MOST_MISSED = 0.02
"""Of the calls of a round; one with more is left out."""
_REMEMBERED, _CALLS_S, _FIRST = 100, 3.0, 140
"""So many endpoints are called all the time, for so many seconds a round; so many others for the first time."""


@dataclass
class Costs:
    """Processor ms of a call, a figure a round: of the web server's, and of PostgreSQL's."""

    made: Installation
    again: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    missed: list[float] = field(default_factory=list)
    """The share of the calls of a round that found nothing remembered."""
    asked: int = 0
    """How many calls the last round made."""
    memory_mb: tuple[float, float] = (0.0, 0.0)
    """Before anybody called, and with all remembered that had room."""


def tell(folder: Path, database: str, upstream_port: int, quick: bool) -> list[tuple[str, bool]]:
    """Measure and print; returns the limits and whether they hold. `quick`: the two smallest sizes, two rounds."""
    with ExitStack() as stack:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        server = stack.enter_context(postgres(folder / "pg")) if database == "PostgreSQL" else None
        found: dict[int, Costs] = {}
        for size in SIZES[:2] if quick else SIZES:
            settings = {"MCPWEB_DATABASE_URL": database_url(server, f"growth{size}")} if server else {}
            seed = ("--users", str(max(size // 10, 50)), "--instances", str(size))
            made = stack.enter_context(
                installation(folder / str(size), database, upstream_port, nginx=False, roles=False, workers=1,
                             seed=seed, **settings)
            )  # fmt: skip
            found[size] = Costs(made)
        return _measure(database, found, server.get_pid() if server else None, 2 if quick else ROUNDS)


def _measure(database: str, found: dict[int, Costs], postmaster: int | None, rounds: int) -> list[tuple[str, bool]]:
    for costs in found.values():
        _ask(costs, postmaster, most=_REMEMBERED, seconds=3)
    for number in range(rounds):
        for size, costs in found.items():
            if size > SIZES[0]:
                start = _REMEMBERED + number * _FIRST % (size - _REMEMBERED - _FIRST)
                costs.first.append(_ask(costs, postmaster, first=start, most=_FIRST, in_turn=True, clients=4))
        for costs in found.values():
            _ask(costs, postmaster, most=_REMEMBERED, in_turn=True)  # what is remembered is so for a minute
            before = _misses(costs.made)
            costs.again.append(_ask(costs, postmaster, most=_REMEMBERED, seconds=_CALLS_S))
            costs.missed.append((_misses(costs.made) - before) / max(1, costs.asked))
    full = found[min(FULL, max(found))]
    before = full.made.memory_mb()["web"]
    _ask(full, postmaster, in_turn=True)
    full.memory_mb = before, full.made.memory_mb()["web"]
    return _tell(database, found)


def _tell(database: str, found: dict[int, Costs]) -> list[tuple[str, bool]]:
    print(f"\n| {database}, instances | ms of a call | times | ms of a first call | times |\n|---|---|---|---|---|")
    checks = []
    for size, costs in found.items():
        again = _ratio(*_calm(costs, found[SIZES[0]]))
        first = _ratio(costs.first, found[SIZES[1]].first) if costs.first else 1.0
        cost = f"{statistics.median(costs.first):.3f}" if costs.first else "not asked"
        print(f"| {size:,} | {statistics.median(costs.again):.3f} | {again:.2f} | {cost} | {first:.2f} |", flush=True)
        checks.append((f"{database}: a call among {size:,}: {again:.2f} times, at most {MOST:.2f}", again <= MOST))
        checks.append(
            (f"{database}: a first call among {size:,}: {first:.2f} times, at most {MOST:.2f}", first <= MOST)
        )
    size, costs = next((size, costs) for size, costs in found.items() if costs.memory_mb[1])
    before, after = costs.memory_mb
    print(f"\n{database}: remembering {size:,} instances takes a worker from {before:.0f} MB to {after:.0f} MB.")
    return checks


def _calm(mine: Costs, others: Costs) -> tuple[list[float], list[float]]:
    """The rounds in which both remembered; a process that gets no processor hears of nobody, and trusts nothing."""
    rounds = zip(mine.again, others.again, mine.missed, others.missed, strict=True)
    pairs = [(one, other) for one, other, *missed in rounds if max(missed) <= MOST_MISSED]
    if not pairs:
        raise SystemExit("in no round was everything remembered: the machine is too busy to measure on")
    return [one for one, _ in pairs], [other for _, other in pairs]


def _misses(made: Installation) -> int:
    """How many calls so far found nothing remembered, as the log has it."""
    logs = (made.home / "home" / "logs" / "system").glob("performance-*.jsonl")
    return sum(path.read_bytes().count(b'"cache":"miss"') for path in logs)


def _ratio(mine: list[float], others: list[float]) -> float:
    """The median of the rounds' ratios: both were asked within the same seconds."""
    return statistics.median(one / other for one, other in zip(mine, others, strict=True))


def _ask(costs: Costs, postmaster: int | None, **plan: object) -> float:
    """Processor ms of a call."""
    pids = [costs.made.parts["web"], *([postmaster] if postmaster else [])]
    before = sum(map(processes.cpu_s, pids))
    kinds = {"kinds": {"call": 1}}
    seen = clients.run(Plan(costs.made.port, str(costs.made.home / "crowd.json"), **kinds, **plan))  # type: ignore[arg-type]
    if failed := [one for one in seen if not one.is_good]:
        raise SystemExit(f"{len(failed)} of {len(seen)} failed: {failed[0].status} {failed[0].words}")
    costs.asked = len(seen)
    return (sum(map(processes.cpu_s, pids)) - before) / len(seen) * 1000
