"""What web processes count for Prometheus. Labels have few values, all of our own: no user, instance or tool.

Imported where /metrics has a token, and only there: it takes 15 ms and 0.8 MB, and counting takes 6 µs of each call.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, values
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from mcpweb.gateway import journal
from mcpweb.gateway.record import CallRecord
from mcpweb.instances.access_cache import Stats
from mcpweb.instances.models import BUCKETS_MS
from mcpweb.logs import events
from mcpweb.monitoring import metrics_files

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))

# They would make a second series of each counter, and only its own process would know it.
disable_created_metrics()  # type: ignore[no-untyped-call]
if metrics_files.claimed:
    values.ValueClass = values.MultiProcessValue(lambda: metrics_files.claimed)  # type: ignore[no-untyped-call]

_ours = CollectorRegistry()
_pages = Counter("mcpweb_pages", "Pages served.", ["endpoint", "method", "status"], registry=_ours)
_calls = Counter("mcpweb_calls", "Tool calls, by how they ended.", ["service", "outcome"], registry=_ours)
_messages = Counter(
    "mcpweb_messages",
    "MCP messages other than tool calls; without a service: not let in.",
    ["service", "outcome"],
    registry=_ours,
)
_upstream = Histogram(
    "mcpweb_upstream_seconds",
    "How long a call waited for its service, for all its requests together.",
    ["service"],
    buckets=[bound / 1000 for bound in BUCKETS_MS],
    registry=_ours,
)
_lookups = Counter("mcpweb_access_lookups", "Look-ups of an instance's access.", ["result"], registry=_ours)
_dropped = Counter("mcpweb_access_invalidations", "Accesses that changed or grew old.", registry=_ours)
_remembered = Gauge("mcpweb_access_remembered", "Accesses in memory.", multiprocess_mode="livesum", registry=_ours)
_lost = Counter("mcpweb_log_lines_lost", "Log lines that web processes could not write.", registry=_ours)


class _Following:
    """A counter that follows a number which something else counts and which only grows."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._noted = 0
        self._noting = threading.Lock()

    def note(self, number: int) -> None:
        """Count what has come since the last time."""
        if number == self._noted:
            return
        with self._noting:
            if number > self._noted:
                self._counter.inc(number - self._noted)
            self._noted = number


_lines = _Following(_lost)
_invalidations = _Following(_dropped)


def record(record: CallRecord) -> None:
    """Write the record of a call, and count it."""
    journal.write(record)
    counter = _calls if record.method == "tools/call" else _messages
    counter.labels(record.service, record.outcome).inc()
    if record.upstream_requests:
        _upstream.labels(record.service).observe(record.upstream_ms / 1000)
    if record.cache:
        _lookups.labels(record.cache).inc()
    _lines.note(events.files().lost_lines)


def page(endpoint: str, method: str, status: int) -> None:
    """Count a page; `endpoint` is empty where there is none."""
    _pages.labels(endpoint, method if method in _METHODS else "other", f"{status // 100}xx").inc()
    _lines.note(events.files().lost_lines)


def cache(stats: Stats) -> None:
    """Take over how much this process remembers, and how often that was dropped."""
    _remembered.set(stats.size)
    _invalidations.note(stats.invalidations)


class _Given:
    """What was found out already, as something to collect from."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """All of it."""
        return self._metrics


def text(gauges: Iterable[Metric]) -> bytes:
    """What all web processes of this host have counted, and these, as Prometheus reads it."""
    counted = MultiProcessCollector(None) if metrics_files.claimed else _ours  # type: ignore[no-untyped-call]
    return generate_latest(counted) + generate_latest(_Given(gauges))
