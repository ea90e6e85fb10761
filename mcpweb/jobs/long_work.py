"""Jobs that may take minutes are done beside the others, in a process that is there only as long as there are any.

Else ends, reminders and mails would wait until the logs of a day are compressed.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.process import BaseProcess

import redis
from rq.job import Job

from mcpweb.lifeline import die_with_parent
from mcpweb.queue import TIMEOUT_S, open_long_queue

_forking = multiprocessing.get_context("fork")


def is_long(job: Job) -> bool:
    """Whether it was given more time than usual."""
    return int(job.timeout or 0) > TIMEOUT_S


class LongWork:
    """The long jobs of a host, in a queue of their own, and the process that does one after the other and then ends.

    `work_off` does all that is in the queue, in that process.
    """

    def __init__(self, connection: redis.Redis, host: str, work_off: Callable[[], None]) -> None:
        self._queue = open_long_queue(connection, host)
        self._work_off = work_off
        self._process: BaseProcess | None = None
        self._lock = threading.Lock()
        self._is_over = False

    def put(self, job: Job) -> None:
        """Take over a job that the worker has taken from its queue.

        Raises:
            RedisError: the queue can not be reached.
        """
        self._queue.push_job_id(job.id)

    def see_to(self) -> None:
        """Start the process if there is something to do and none at it; call it often.

        Raises:
            RedisError: the queue can not be reached.
        """
        with self._lock:
            if self._process is None and len(self._queue):
                self._process = self._start()
                threading.Thread(target=self._go_on, name="long work", daemon=True).start()

    def end(self) -> None:
        """Have the process finish the job at hand, and wait for it."""
        with self._lock:  # no other one is begun from now on
            self._is_over, process = True, self._process
        if process is not None:
            process.terminate()
            process.join()

    def _start(self) -> BaseProcess:
        # Forked like the worker's other children, so that it costs little memory.
        process = _forking.Process(target=self._run, args=(os.getpid(),), daemon=True)
        process.start()
        return process

    def _go_on(self) -> None:
        """Another process for what was put into the queue while one was ending: it would lie there until the next call.

        The thread stays as long as its process: for the kernel, it is the one that a child dies with.
        """
        while process := self._process:
            process.join()
            with self._lock, suppress(redis.RedisError):
                self._process = None
                if not self._is_over and len(self._queue):
                    self._process = self._start()

    def _run(self, parent: int) -> None:
        die_with_parent(parent)
        self._work_off()
