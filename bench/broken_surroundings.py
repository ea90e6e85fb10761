"""Faults of what the program depends on: Redis, the database, the disk, a service, and time itself."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from bench import clients, processes
from bench.crowd import Crowd
from bench.outcome import Outcome, words
from bench.scene import Scene
from bench.servers import get
from bench.traffic import Seen
from bench.trial import CALLED, Trial, plan, switching, under_load
from tests.logs.small_disk import fill

HANGING = 50
TIMES_WHILE_HANGING, TIMES_WHILE_EXPIRING = 2.0, 1.5
ANSWER_S, NORMAL_S = 3.0, 5.0
_TRUSTED_S = 3.0
"""So long an answer of the database counts; what is remembered may serve until then."""
LEARNT_S = 2.0
"""By then it is known that Redis is silent, and nobody waits for it."""
_MARKED_S = 60.0
_ROUND_S = 8.0


def without_redis(scene: Scene) -> Outcome:
    """It is killed, and started again later."""
    made = scene.made
    with under_load(made) as trial, switching(made, trial):
        made.stop("redis", signal.SIGKILL)
        time.sleep(scene.gone_s)
        made.start_redis()
    return Outcome(trial, "none lost, none stale", not trial.failed and not trial.stale, words(trial))


def silent_redis(scene: Scene) -> Outcome:
    """Connections are taken and stay open, and nothing comes."""
    made = scene.made
    with under_load(made) as trial, _frozen(made.parts["redis"]):
        time.sleep(scene.gone_s)
    late = [one.took_s for one in trial.seen if one.sent_at > trial.began + LEARNT_S and one.sent_at < trial.over]
    note = f"slowest after {LEARNT_S:g} s: {max(late, default=0) * 1000:.0f} ms; {words(trial)}"
    return Outcome(trial, "none lost", not trial.failed, note)


def restarted_database(scene: Scene) -> Outcome:
    """PostgreSQL is restarted and cuts its connections."""
    with under_load(scene.made) as trial:
        scene.postgres.stop()
        scene.postgres.ensure_postgres_running()
    limit = f"normal within {NORMAL_S:g} s"
    return Outcome(trial, limit, trial.normal_s <= NORMAL_S and _are_refusals(trial.failed), words(trial))


def stopped_database(scene: Scene) -> Outcome:
    """Nobody listens where it was."""
    with under_load(scene.made) as trial:
        scene.postgres.stop()
        time.sleep(scene.gone_s)
        scene.postgres.ensure_postgres_running()
    return _refused(trial)


def silent_database(scene: Scene) -> Outcome:
    """Connections are taken and stay open, and nothing comes."""
    with under_load(scene.made) as trial, _frozen(scene.postgres.get_pid()):
        time.sleep(scene.gone_s)
    return _refused(trial)


def full_disk(scene: Scene) -> Outcome:
    """Nothing more can be written to the logs."""
    if scene.logs_disk is None:
        return Outcome(Trial(), "not one call lost", True, "not tried: mounting a disk needs root")
    with under_load(scene.made, kinds={"call": 90, "tools": 10}) as trial:
        filler = fill(scene.logs_disk)
        try:
            time.sleep(min(scene.gone_s, 15))
        finally:
            filler.unlink()
    return Outcome(trial, "not one call lost", not trial.failed, words(trial))


def hanging_service(scene: Scene) -> Outcome:
    """50 callers of a service that never answers, and everybody else."""
    made = scene.made
    alone = clients.run(plan(made, seconds=_ROUND_S))
    callers = clients.Running(plan(made, clients=HANGING, kinds={"hanging": 1}, pause_s=0.0, seconds=1.0))
    time.sleep(2)  # each has asked once; they are given up after 25 s
    trial = Trial(began=time.monotonic())
    beside = clients.run(plan(made, seconds=_ROUND_S))
    began = time.monotonic()
    get(made.port, "/healthz")
    page_s = time.monotonic() - began
    trial.over, trial.seen = time.monotonic(), beside
    hung = callers.end()
    times = clients.quantile(beside, 0.95) / clients.quantile(alone, 0.95)
    longest = max(one.took_s for one in hung)
    note = f"others' p95 {times:.2f} times; /healthz {page_s * 1000:.0f} ms; given up after {longest:.1f} s"
    is_good = times <= TIMES_WHILE_HANGING and not trial.failed and page_s < 1 and longest <= 26
    return Outcome(trial, f"others' p95 at most {TIMES_WHILE_HANGING:g} times", is_good, note)


def ten_thousand_ends(scene: Scene) -> Outcome:
    """10,000 instances end in the same second; those that are called are others."""
    made = scene.made
    kept = [one for one, _ in Crowd.read(Path(made.home / "crowd.json")).endpoints[: CALLED.stop]]
    with psycopg.connect(scene.postgres.get_uri(), autocommit=True) as connection:
        with under_load(made) as trial:
            time.sleep(_ROUND_S)
            trial.began = time.monotonic()
            connection.execute("UPDATE instance SET expires_at = now() WHERE NOT id = ANY(%s::uuid[])", (kept,))
            left = "SELECT count(*) FROM instance WHERE status = 'active' AND expires_at <= now()"
            while _count(connection, left) and time.monotonic() - trial.began < 2 * _MARKED_S:
                time.sleep(0.5)
        took = trial.over - trial.began
        entries = _count(connection, "SELECT count(*) FROM audit_event WHERE action = 'instance.expire'")
        ended = _count(connection, "SELECT count(*) FROM instance WHERE status = 'expired'")
    times = clients.quantile(trial.during(), 0.5) / clients.quantile(trial.before(), 0.5)
    note = f"calls' p50 {times:.2f} times; {ended:,} marked and {entries:,} audited after {took:.0f} s"
    is_good = times <= TIMES_WHILE_EXPIRING and took <= _MARKED_S and ended == entries and not trial.failed
    return Outcome(trial, f"p50 at most {TIMES_WHILE_EXPIRING:g} times", is_good, note)


@contextmanager
def _frozen(pid: int) -> Iterator[None]:
    """Neither the process nor those below it do anything meanwhile; the kernel goes on taking connections for them."""
    frozen = processes.family(pid)
    try:
        for one in frozen:
            os.kill(one, signal.SIGSTOP)
        yield
    finally:
        for one in frozen:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGCONT)


def _refused(trial: Trial) -> Outcome:
    """Fail closed: nothing that is remembered serves for longer than the last answer counts."""
    served = [one for one in trial.during() if one.is_good and one.kind == "call"]
    late = sum(trial.began + _TRUSTED_S + 0.5 < one.sent_at and one.sent_at + one.took_s < trial.over for one in served)
    # What was asked already when PostgreSQL fell silent waits for its answer: see `reachable`.
    asked = [one for one in trial.failed if one.sent_at > trial.began]
    slowest = max((one.took_s for one in asked), default=0.0)
    is_good = not late and slowest <= ANSWER_S and trial.normal_s <= NORMAL_S and _are_refusals(asked)
    note = f"slowest refusal {slowest:.1f} s; {late} calls served from memory after {_TRUSTED_S:g} s; {words(trial)}"
    return Outcome(trial, f"refused within {ANSWER_S:g} s, normal within {NORMAL_S:g} s", is_good, note)


def _are_refusals(failed: list[Seen]) -> bool:
    return all(one.status == 503 for one in failed)


def _count(connection: psycopg.Connection[tuple[int]], query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


FAULTS = {
    "Redis is gone": without_redis,
    "Redis is silent": silent_redis,
    "PostgreSQL is restarted": restarted_database,
    "PostgreSQL is gone": stopped_database,
    "PostgreSQL is silent": silent_database,
    "the logs' disk is full": full_disk,
    "a service hangs for 50 callers": hanging_service,
    "10,000 instances end at once": ten_thousand_ends,
}
