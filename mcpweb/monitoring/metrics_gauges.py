"""What Prometheus is told of the whole installation: asked of the database and of Redis when somebody wants to know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import redis
from prometheus_client.metrics_core import GaugeMetricFamily
from sqlalchemy import func, select, tuple_
from sqlalchemy.exc import SQLAlchemyError

from mcpweb import __version__, clock, queue
from mcpweb.database import db
from mcpweb.hosts import host_id
from mcpweb.instances.models import Instance
from mcpweb.logs.following import behind
from mcpweb.monitoring.models import ResourceSample

_FRESH = timedelta(minutes=10)
"""A host that was not sampled for so long is not told of: it is gone, or nobody knows."""


class Run(Protocol):
    """What is told of a run of a job."""

    @property
    def job(self) -> str:
        """Its name."""

    @property
    def state(self) -> str:
        """waiting, running, done, failed or lost."""

    @property
    def started_at(self) -> datetime:
        """When it began, or was asked for."""

    @property
    def finished_at(self) -> datetime | None:
        """When it ended."""


LastRuns = Callable[[], Sequence[Run]]
"""Gives the newest run of each job."""


def read(home: Path, last_runs: LastRuns) -> list[GaugeMetricFamily]:
    """All figures; those of a part that does not answer are missing, and `mcpweb_up` says so.

    A silent Redis takes half a second of it, a silent database three.
    """
    up = _gauge("up", "Whether a part answers.", "part")
    found = [up, _gauge("build_info", "The version that answers.", "version", ((__version__,), 1))]
    try:
        found += [_instances(), _index(home), *_jobs(last_runs())]
        up.add_metric(["database"], 1)
    except SQLAlchemyError:
        db.session.rollback()
        up.add_metric(["database"], 0)
    try:
        waiting = queue.depths().items()
        found.append(_gauge("queue_jobs", "Jobs that wait.", "queue", *(((name,), jobs) for name, jobs in waiting)))
        up.add_metric(["redis"], 1)
    except redis.RedisError:
        up.add_metric(["redis"], 0)
    return found


def _gauge(name: str, says: str, labels: str, *values: tuple[Sequence[str], float]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(f"mcpweb_{name}", says, labels=labels.split())
    for names, value in values:
        gauge.add_metric(names, value)
    return gauge


def _instances() -> GaugeMetricFamily:
    columns = (Instance.service_name, Instance.status)
    rows = db.session.execute(select(*columns, func.count()).group_by(*columns)).all()
    values = (((service, status), count) for service, status, count in rows)
    return _gauge("instances", "Instances there are.", "service status", *values)


def _index(home: Path) -> GaugeMetricFamily:
    """Of this host as it is now, of the others as they were last sampled."""
    newest = (
        select(ResourceSample.host, func.max(ResourceSample.at))
        .where(ResourceSample.at > clock.utcnow() - _FRESH)
        .group_by(ResourceSample.host)
    )
    rows = db.session.execute(
        select(ResourceSample.host, ResourceSample.index_behind).where(
            tuple_(ResourceSample.host, ResourceSample.at).in_(newest)
        )
    ).all()
    here = host_id(home / "run")
    bytes_behind = {row.host: row.index_behind for row in rows} | {here: behind(home / "logs", here)}
    values = (((host,), count) for host, count in bytes_behind.items())
    return _gauge("index_behind_bytes", "Log lines that are not in the index yet.", "host", *values)


def _jobs(runs: Sequence[Run]) -> list[GaugeMetricFamily]:
    ended = [(run, run.finished_at) for run in runs if run.finished_at is not None]
    took = (((run.job,), (end - run.started_at).total_seconds()) for run, end in ended)
    return [
        _gauge(
            "job_last_start_timestamp_seconds",
            "When the newest run of a job began.",
            "job",
            *(((run.job,), run.started_at.timestamp()) for run in runs),
        ),
        _gauge("job_last_state", "What became of it.", "job state", *(((run.job, run.state), 1) for run in runs)),
        _gauge("job_last_duration_seconds", "How long it took, if it has ended.", "job", *took),
    ]
