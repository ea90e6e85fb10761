"""The printed tables, and which targets hold."""

from bench.measure import Figures, Waiting
from bench.servers import Program

DELAY_MS = 100

CPU_OF_REQUESTS, CPU_OF_OUTGOING = 0.6, 1.35
IDEAL_SHARE = {64: 0.85, 256: 0.50}
P99_MS, PAGE_MS, READY_S, WORKER_MB = 500, 300, 1.5, 80


def fast(programs: list[Program], figures: list[Figures]) -> list[str]:
    """The servers side by side on an upstream that answers at once."""
    lines = [
        "| server | calls/s | p50 ms | p99 ms | CPU-s per 1,000 | worker's MB, RSS | and PSS | ready s | errors |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for program, found in zip(programs, figures, strict=True):
        lines.append(
            f"| {program.name} | {found.calls_per_s:,.0f} | {found.p50_ms:.1f} | {found.p99_ms:.1f} "
            f"| {found.cpu_s_per_1000:.3f} | {found.rss_mb:.0f} | {found.pss_mb:.0f} "
            f"| {program.ready_s:.2f} | {found.errors} |"
        )
    return lines


def slow(runs: dict[int, Waiting]) -> list[str]:
    """Our server on the upstream that takes its time."""
    lines = [
        "| clients | calls/s | of the ideal | p50 ms | p99 ms | errors | page ms at worst |",
        "|---|---|---|---|---|---|---|",
    ]
    for clients, run in runs.items():
        lines.append(
            f"| {clients} | {run.result.calls_per_s:,.0f} | {_share(clients, run):.0%} | {run.result.p50_ms:.0f} "
            f"| {run.result.p99_ms:.0f} | {run.result.errors} | {run.page_ms:.0f} ({run.pages} pages) |"
        )
    return lines


def targets(
    ours: Program, figures: list[Figures], runs: dict[int, Waiting], strays: list[str]
) -> list[tuple[str, bool]]:
    """Every target in words with its figure, and whether it holds. `figures` are ours, (a), (b)."""
    cpu, on_requests, on_outgoing = (found.cpu_s_per_1000 for found in figures)
    worst_page = max(run.page_ms for run in runs.values())
    checks = [
        _most("CPU of a call, of (a)'s", cpu / on_requests, CPU_OF_REQUESTS),
        _most("CPU of a call, of (b)'s", cpu / on_outgoing, CPU_OF_OUTGOING),
        _most("p99 with 256 clients, ms", runs[256].result.p99_ms, P99_MS),
        _most(
            "errors", sum(found.errors for found in figures[:1]) + sum(run.result.errors for run in runs.values()), 0
        ),
        _most("a page meanwhile, ms", worst_page, PAGE_MS),
        _most("ready, s", ours.ready_s, READY_S),
        _most("memory of a worker (PSS: shared pages by share), MB", figures[0].pss_mb, WORKER_MB),
    ]
    for clients, least in IDEAL_SHARE.items():
        share = _share(clients, runs[clients])
        checks.append((f"{clients} clients: {share:.0%} of the ideal rate, at least {least:.0%}", share >= least))
    checks.append((f"no asyncio server stack imported{': ' if strays else ''}{', '.join(strays)}", not strays))
    return checks


def _most(name: str, value: float, most: float) -> tuple[str, bool]:
    return f"{name}: {value:.4g}, at most {most:g}", value <= most


def _share(clients: int, run: Waiting) -> float:
    return run.result.calls_per_s / (clients * 1000 / DELAY_MS)
