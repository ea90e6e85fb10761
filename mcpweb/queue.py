"""Background work: jobs by name on RQ, as JSON, and only the ones listed here.

Whoever can write to Redis could otherwise call any importable function in the worker, whatever the serializer.
Arguments are ids and plain values: they show up in Redis, in the worker's log and in stored tracebacks.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import redis
from rq import Queue, Worker
from rq.exceptions import DuplicateJobError
from rq.job import Job

log = logging.getLogger(__name__)

QUEUE = "mcpweb"
TIMEOUT_S = 120
"""How long a job may take."""
PATIENCE: Mapping[str, Any] = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5}
"""Seconds that whoever serves a page or a call waits for Redis."""
_CLOCKS_DIFFER_S = 300
_FAILURE_TTL_S = 7 * 24 * 3600  # RQ's default is a year

JobFunction = Callable[..., Any]
_functions: dict[str, JobFunction] = {}

_queue: Queue | None = None
_app_context: Callable[[], AbstractContextManager[Any]] | None = None


def job(name: str) -> Callable[[JobFunction], JobFunction]:
    """List a function as the job `name`; everything else is refused by the worker."""

    def register(function: JobFunction) -> JobFunction:
        _functions[name] = function
        return function

    return register


class ListedJob(Job):
    """An RQ job whose function is looked up in our list instead of being imported by its name."""

    @property
    def func(self) -> JobFunction:
        """The function to run.

        Raises:
            PermissionError: the name is not listed.
        """
        function = _functions.get(str(self.func_name))
        if function is None:
            raise PermissionError("a job that is not listed was on the queue")
        return function

    # RQ would import and call what a job names as its callbacks; none of ours has any.
    success_callback = None
    failure_callback = None
    stopped_callback = None


def connect(url: str) -> redis.Redis:
    """A connection that gives up soon, so that a sick Redis can not hold a page."""
    return redis.Redis.from_url(url, **PATIENCE)


def open_queue(connection: redis.Redis, host: str = "") -> Queue:
    """The queue of this installation, or of one of its hosts for what only that host can do."""
    return _named(f"{QUEUE}-{host}" if host else QUEUE, connection)


def open_long_queue(connection: redis.Redis, host: str) -> Queue:
    """Where a host's worker puts the long jobs that it has taken; it counts as none of the queues that jobs wait in."""
    return _named(f"{QUEUE}.long-{host}", connection)


def _named(name: str, connection: redis.Redis) -> Queue:
    return Queue(name, connection=connection, serializer="json", job_class=ListedJob)


def start(queue: Queue, app_context: Callable[[], AbstractContextManager[Any]]) -> None:
    """Use this queue for the process; jobs that must run here are given the application's context."""
    global _queue, _app_context
    _queue, _app_context = queue, app_context


def enqueue(name: str, *args: int | str) -> None:
    """Run the job `name` soon: in a worker, or, while Redis is away, in a thread of this process.

    Call it through `database.after_commit`, so that a job never sees what is later rolled back.

    Raises:
        ValueError: there is no such job.
    """
    if name not in _functions:
        raise ValueError(f"there is no job {name}")
    try:
        if _queue is None:
            raise redis.ConnectionError("no queue was started")
        # Before the periodic jobs, which are in no hurry: somebody may be waiting for a mail.
        _put(_queue, name, args, at_front=True)
    except redis.RedisError:
        log.warning("the queue can not be reached, the job runs in this process", extra={"job": name})
        threading.Thread(target=_run_here, args=(name, args), daemon=True).start()


def enqueue_on(host: str, name: str, *args: int | str, timeout_s: int = TIMEOUT_S) -> None:
    """Run the job `name` soon on one host, which alone can do it.

    Raises:
        ValueError: there is no such job.
        RedisError: the queue can not be reached.
    """
    if name not in _functions:
        raise ValueError(f"there is no job {name}")
    _put(open_queue(_connection(), host), name, args, job_timeout=timeout_s)


def enqueue_slot(queue: Queue, name: str, slot: int, span_s: int, timeout_s: int = TIMEOUT_S) -> bool:
    """Put a periodic job on the queue once for this slot, whoever else tries; returns whether it was us.

    Jobs that no worker takes for three slots are forgotten: later ones do the same work. Those that are done are
    remembered for longer, until the slot has begun on every host, however wrong its clock.
    """
    keep_s = max(3 * span_s, 60)
    options = {
        "result_ttl": max(keep_s, _CLOCKS_DIFFER_S),
        "ttl": keep_s,
        "job_timeout": timeout_s,
        "meta": {"trigger": "schedule"},
    }
    job_id = f"{name}{queue.name.removeprefix(QUEUE)}-{slot}"
    try:
        _put(queue, name, (), job_id=job_id, unique=True, **options)
    except DuplicateJobError:
        return False
    return True


def enqueue_run(name: str, run_id: int, host: str = "", timeout_s: int = TIMEOUT_S) -> None:
    """Put a job on the queue, or on that of one host, that somebody asked for in the row `run_id` of its runs.

    Raises:
        RedisError: the queue can not be reached.
    """
    if _queue is None:
        raise redis.ConnectionError("no queue was started")
    queue = open_queue(_queue.connection, host)
    _put(queue, name, (), job_timeout=timeout_s, meta={"trigger": "hand", "run": run_id})


def forget_failed(host: str = "") -> int:
    """Drop the failed jobs of a queue that are older than a week; returns how many are left.

    Raises:
        RedisError: the queue can not be reached.
    """
    if _queue is None:
        raise redis.ConnectionError("no queue was started")
    failed = open_queue(_queue.connection, host).failed_job_registry
    failed.cleanup()
    return len(failed)


def remember(name: str, for_s: int) -> None:
    """Let every process know for so many seconds that something is so; 0 takes it back. Lost when Redis is away."""
    try:
        if for_s:
            _connection().set(f"{QUEUE}:known:{name}", 1, ex=for_s)
        else:
            _connection().delete(f"{QUEUE}:known:{name}")
    except redis.RedisError:
        log.warning("it could not be noted in Redis", extra={"what": name})


def remembers(name: str) -> bool:
    """Whether some process noted it, and its time is not over; no when Redis is away."""
    try:
        return bool(_connection().exists(f"{QUEUE}:known:{name}"))
    except redis.RedisError:
        return False


def ping() -> None:
    """Ask whether the queue is there.

    Raises:
        RedisError: it can not be reached.
    """
    _connection().ping()


def info() -> Mapping[str, Any]:
    """What the server tells of itself: versions, memory, and how much of it may be used.

    Raises:
        RedisError: the queue can not be reached.
    """
    found: Mapping[str, Any] = _connection().info()
    return found


def time() -> tuple[int, int]:
    """The server's clock: seconds and microseconds since 1970.

    Raises:
        RedisError: the queue can not be reached.
    """
    found: tuple[int, int] = _connection().time()
    return found


def depth(hosts: Iterable[str]) -> int:
    """How many jobs wait in the queue of the installation and in those of these hosts.

    Raises:
        RedisError: the queue can not be reached.
    """
    connection = _connection()
    return sum(len(open_queue(connection, host)) for host in ("", *hosts))


def depths() -> dict[str, int]:
    """How many jobs wait in each queue that was ever used, by its name.

    Raises:
        RedisError: the queue can not be reached.
    """
    names = sorted(queue.name for queue in Queue.all(connection=_connection(), serializer="json"))
    names = [name for name in names if name == QUEUE or name.startswith(f"{QUEUE}-")]
    with _connection().pipeline(transaction=False) as all_at_once:
        for name in names:
            all_at_once.llen(f"{Queue.redis_queue_namespace_prefix}{name}")
        return dict(zip(names, all_at_once.execute(), strict=True))


def hosts() -> set[str]:
    """The hosts with a worker that is alive: each takes from the queue of its own host, too.

    Raises:
        RedisError: the queue can not be reached.
    """
    prefix = f"{QUEUE}-"
    found = (
        name for worker in Worker.all(connection=_connection(), serializer="json") for name in worker.queue_names()
    )
    return {name.removeprefix(prefix) for name in found if name.startswith(prefix)}


def _connection() -> redis.Redis:
    if _queue is None:
        raise redis.ConnectionError("no queue was started")
    return _queue.connection


def _put(queue: Queue, name: str, args: tuple[int | str, ...], **options: Any) -> None:
    options = {"result_ttl": 3600, "failure_ttl": _FAILURE_TTL_S, "job_timeout": TIMEOUT_S} | options
    queue.enqueue(name, args=args, kwargs={}, **options)


def _run_here(name: str, args: tuple[int | str, ...]) -> None:
    if _app_context is None:
        raise RuntimeError("the queue was not started")
    with _app_context():
        try:
            _functions[name](*args)
        except Exception:  # the last door of a thread: nobody else could log it
            log.exception("a job failed", extra={"job": name})
