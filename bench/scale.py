"""`python -m bench.scale`: what 100, 10,000 and 1,000,000 calls a minute need, computed from what one call costs.

Prints the two tables of docs/scale.md. COSTS were measured (`python -m bench.capacity --only units`), ASSUMED is a
guess at how people call: change either, run it, and put the tables into the document, which a test compares.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mcpweb.instances.propagation import BEAT_S

SIZES = (100, 10_000, 1_000_000)
"""Calls a minute."""
COSTS: dict[str, tuple[float, str]] = {
    "web": (0.804, "ms of a tools/call in a web worker, endpoint remembered"),
    "first": (4.0, "ms more in the worker when it is not remembered"),
    "asked": (1.2, "ms of PostgreSQL when it is not remembered"),
    "postgres": (0.090, "ms of PostgreSQL for the line and the counts of a call"),
    "ticker": (0.053, "ms of the ticker to index it"),
    "nginx": (0.052, "ms of nginx"),
    "redis": (0.008, "ms of Redis"),
    "counted": (0.085, "ms of Redis when it is not remembered: limits are counted anew"),
    "system": (550, "bytes in the system's log"),
    "own": (549, "bytes in the instance's own log"),
    "packed": (7.5, "times smaller is a file once its day is over"),
    "index": (2390, "bytes of PostgreSQL: index, counts"),
    "wal": (2829, "bytes of its write-ahead log"),
    "worker": (116, "MB of a web worker"),
    "remembered": (0.003, "MB more for each endpoint that it remembers"),
}
ASSUMED: dict[str, tuple[float, str]] = {
    "often": (10, "calls a minute of an endpoint in use"),
    "takes": (1.0, "seconds until the service has answered"),
    "share": (0.6, "of a core that is planned with"),
    "threads": (256, "threads of a web worker (`MCPWEB_WEB_THREADS`)"),
    "cores": (8, "cores of a web host, and web workers on it"),
    "days": (30, "days that logs are kept (`MCPWEB_LOG_DAYS`)"),
    "answer": (20, "kB on the network, four ways together"),
}
_ANYWHERE, _ONE_HOST = "any worker", "one host's"
_BEATS = 1 / BEAT_S
_CONNECTIONS = 7
"""Of a web worker: five of its pool, which may become fifteen, one of its heartbeat, one that asks once a second."""
_COLUMNS = (*((calls, _ANYWHERE) for calls in SIZES), (SIZES[-1], _ONE_HOST))


@dataclass(frozen=True)
class Need:
    """What a number of calls a minute needs."""

    calls: int
    meets: str
    """Among which workers the calls of one endpoint fall: all, or those of one host."""
    workers: int
    first: float
    """The share of calls that find nothing remembered."""
    web_cores: float


def need(calls: int, meets: str) -> Need:
    """The web workers that suffice; each one more remembers for itself, and so makes first calls more frequent."""
    second, workers = calls / 60, 1
    while True:
        among = min(workers, _guess("cores")) if meets == _ONE_HOST else workers
        # Calls come by chance; the first is remembered for a minute, and with it the calls of that minute are served.
        first = 1 / (1 + _guess("often") / among)
        cores = second * (_cost("web") + first * _cost("first")) / 1000
        waiting = second * _guess("takes") / _guess("threads")
        if workers >= max(cores, waiting) / _guess("share"):
            return Need(calls, meets, workers, first, cores)
        workers += 1


def inputs() -> list[str]:
    """The table of what goes in."""
    rows = [f"| {name} | {value:g} | {said} | measured |" for name, (value, said) in COSTS.items()]
    rows += [f"| {name} | {value:g} | {said} | assumed |" for name, (value, said) in ASSUMED.items()]
    return ["| name | value | what it is | |", "|---|---|---|---|", *rows]


def outputs() -> list[str]:
    """The table of what comes out, a column for each size."""
    columns = [_column(need(calls, meets)) for calls, meets in _COLUMNS]
    heads = ["| calls a minute | " + " | ".join(f"{calls:,}" for calls, _ in _COLUMNS) + " |", "|---" * 5 + "|"]
    return heads + [f"| {name} | " + " | ".join(column[name] for column in columns) + " |" for name in columns[0]]


def _column(one: Need) -> dict[str, str]:
    second, hosts = one.calls / 60, math.ceil(one.workers / _guess("cores"))
    firsts = second * one.first
    remembered = min(one.calls / _guess("often"), firsts * 60 / one.workers)
    return {
        "an endpoint's calls meet": one.meets,
        "calls a second": _number(second),
        "calls that wait for a service": _number(second * _guess("takes")),
        "endpoints in use": _number(one.calls / _guess("often")),
        "first calls, of all": f"{one.first:.0%}",
        "cores that web workers keep busy": _number(one.web_cores),
        "web workers": f"{one.workers:,}",
        "their memory": _size(one.workers * (_cost("worker") + _cost("remembered") * remembered) * 1e6),
        "web hosts": f"{hosts:,}",
        "cores of nginx": _number(second * _cost("nginx") / 1000),
        "cores of the tickers, all hosts": _number(second * _cost("ticker") / 1000),
        "cores of Redis, for calls": _number((second * _cost("redis") + firsts * _cost("counted")) / 1000),
        "heartbeats a second that Redis delivers": _number(_BEATS * hosts * hosts),
        "connections to PostgreSQL, when all is well": f"{one.workers * _CONNECTIONS:,}",
        "cores of PostgreSQL, for first calls": _number(firsts * _cost("asked") / 1000),
        "cores of PostgreSQL, for lines and counts": _number(second * _cost("postgres") / 1000),
        **_kept(one.calls),
    }


def _kept(calls: int) -> dict[str, str]:
    """What is written and kept."""
    second, day, days = calls / 60, calls * 1440, _guess("days")
    lines = day * (_cost("system") + _cost("own"))
    return {
        "write-ahead log a second": _size(second * _cost("wal")),
        "index a day": _size(day * _cost("index")),
        "index as long as it is kept": _size(day * _cost("index") * days),
        "log files a day, all hosts": _size(lines),
        "log files as long as they are kept": _size(lines * (2 + (days - 2) / _cost("packed"))),
        "network": f"{_size(second * _guess('answer') * 1000)}/s",
    }


def _cost(name: str) -> float:
    return COSTS[name][0]


def _guess(name: str) -> float:
    return ASSUMED[name][0]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}" if value >= 0.01 else "< 0.01"


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


if __name__ == "__main__":
    print("\n".join([*inputs(), "", *outputs()]))
