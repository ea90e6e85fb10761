"""The ticker of a host: puts due jobs on the queue. Any number of tickers run each slot once.

RQ's own cron is not used: it runs every job once a host and again at each start, and pickles.
"""

from __future__ import annotations

import logging
import signal
import threading

import redis
from rq import Queue

from mcpweb import clock
from mcpweb.config import Settings
from mcpweb.errors import Unavailable
from mcpweb.jobs.schedule import SCHEDULES
from mcpweb.logs import events
from mcpweb.logs.writing import LogFiles
from mcpweb.queue import connect, enqueue_slot, open_queue

log = logging.getLogger(__name__)

TICK_S = 2.0
_MAX_BACKOFF_S = 10.0


def main(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        Unavailable: no Redis is named.
    """
    if not settings.redis_url:
        raise Unavailable("MCPWEB_REDIS_URL is not set; `mcpweb up` starts a Redis by itself.")
    events.start(LogFiles(settings.home / "logs"))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(open_queue(connect(settings.redis_url)), stop)


def run(queue: Queue, stop: threading.Event) -> None:
    """Tick until stopped; a Redis that is away only delays the next tick.

    The monotonic clock sets the pace, so that a wall clock that is set back stops nothing.
    """
    done: dict[str, int] = {}
    wait_s = TICK_S
    while not stop.wait(wait_s):
        try:
            tick(queue, done)
            wait_s = TICK_S
        except redis.RedisError as error:
            if wait_s == TICK_S:
                log.warning("the ticker can not reach the queue", extra={"error": type(error).__name__})
            wait_s = min(wait_s * 2, _MAX_BACKOFF_S)


def tick(queue: Queue, done: dict[str, int]) -> list[str]:
    """Enqueue every job whose slot has begun and that this ticker has not seen to yet; returns those it won.

    A slot is counted by the wall clock, which all hosts share; `done` keeps the last slot of each job.
    """
    won = []
    now_s = clock.utcnow().timestamp()
    for schedule in SCHEDULES:
        slot = int(now_s // schedule.period_s)
        if done.get(schedule.name) == slot:
            continue
        if enqueue_slot(queue, schedule.name, slot, schedule.period_s):
            won.append(schedule.name)
        done[schedule.name] = slot
    return won
