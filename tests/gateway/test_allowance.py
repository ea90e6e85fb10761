"""Counting over several processes, through a real Valkey and through none."""

import multiprocessing
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from mcpweb import clock, embedded_redis, queue
from mcpweb.gateway import ledger
from mcpweb.gateway.allowance import Allowance
from mcpweb.gateway.ledger import Ledger
from tests.fault_proxy import FaultProxy
from tests.waiting import until

NOW = datetime(2027, 3, 11, 12, 0, 0, tzinfo=UTC)
DAY = 86_400
PROCESSES, THREADS = 4, 8


@pytest.fixture
def moment(monkeypatch):
    """The time, which a test may move."""
    now = [NOW]
    monkeypatch.setattr(clock, "utcnow", lambda: now[0])
    return now


@pytest.fixture
def passed_s(monkeypatch):
    """How far a test has moved the clock that never goes back."""
    real, passed = time.monotonic, [0.0]
    monkeypatch.setattr(clock, "monotonic", lambda: real() + passed[0])
    return passed


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Valkey that may be emptied and held up."""
    folder = tmp_path_factory.mktemp("v")
    path = embedded_redis.socket_path(folder)
    server = subprocess.Popen(
        embedded_redis.command(embedded_redis.find_server(), folder, path), stdout=subprocess.DEVNULL
    )
    until(path.exists, "Valkey listens")
    yield str(path)
    server.terminate()
    server.wait()


@pytest.fixture
def proxy(valkey: str) -> Iterator[FaultProxy]:
    """A way to Valkey that can be broken."""
    with FaultProxy(valkey) as way:
        yield way


def over(proxy: FaultProxy) -> Ledger:
    return Ledger(queue.connect(f"redis://127.0.0.1:{proxy.port}/0"))


def granted(take: Callable[[], Any], times: int) -> int:
    return sum(take() is None for _ in range(times))


def _spend(url: str, limit: int, period_s: int, id: UUID, tries: int, begin: Any, said: Any) -> None:
    """One of the processes: its threads all take what they can."""
    allowance = Allowance(limit, period_s, Ledger(queue.connect(url)))
    counts: list[int] = []
    begin.wait()
    threads = [
        threading.Thread(target=lambda: counts.append(granted(lambda: allowance.take(id), tries)))
        for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said.put(sum(counts))


@pytest.mark.parametrize("limit", [7, 50, 99, 100, 2000])
def test_all_processes_together_get_the_limit_and_never_more(limit, valkey):
    spawning = multiprocessing.get_context("spawn")
    begin, said, id = spawning.Barrier(PROCESSES), spawning.Queue(), uuid4()
    url, tries = embedded_redis.url(Path(valkey)), limit // THREADS + 5
    processes = [
        spawning.Process(target=_spend, args=(url, limit, DAY, id, tries, begin, said)) for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    counts = [said.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()

    print(f"\n{PROCESSES} processes of {THREADS} threads, limit {limit}: {counts}, together {sum(counts)}")
    unspent = 0 if limit < 100 else PROCESSES * (limit // 50)
    assert limit - unspent <= sum(counts) <= limit


def test_another_process_finds_what_the_first_has_left(proxy, moment):
    id = uuid4()
    first, second = Allowance(1000, 60, over(proxy)), Allowance(1000, 60, over(proxy))

    assert granted(lambda: first.take(id), 500) == 500
    assert granted(lambda: second.take(id), 900) == 500


def test_redis_is_asked_once_for_a_fiftieth(valkey, moment):
    asked: list[str] = []

    class Watched(Ledger):
        def add(self, key: str, amount: int, keep_s: int) -> int | None:
            asked.append(key)
            return super().add(key, amount, keep_s)

    allowance, id = Allowance(500, 60, Watched(queue.connect(embedded_redis.url(Path(valkey))))), uuid4()

    assert granted(lambda: allowance.take(id), 600) == 500
    assert len(asked) == 50  # and not at all for what comes after the last one


def test_a_count_ends_in_redis_by_itself(valkey, moment):
    client = queue.connect(embedded_redis.url(Path(valkey)))
    id = uuid4()
    Allowance(10, 60, Ledger(client)).take(id)

    [key] = client.keys(f"mcpweb:calls:{id}:*")
    assert 60 <= client.ttl(key) <= 120


def test_a_window_ends_with_its_minute_and_forgets_its_instances(moment):
    allowance = Allowance(1, 60, Ledger(None))
    for _ in range(100):
        allowance.take(uuid4())
    id = uuid4()
    assert (allowance.take(id), allowance.take(id)) == (None, NOW + timedelta(minutes=1))
    assert len(allowance._leases) == 101

    moment[0] += timedelta(minutes=1)

    assert allowance.take(id) is None
    assert len(allowance._leases) == 1


def test_a_clock_that_goes_back_an_hour_locks_nobody_out(moment):
    allowance, id = Allowance(1, 60, Ledger(None)), uuid4()
    allowance.take(id)
    moment[0] -= timedelta(hours=1)

    assert allowance.take(id) is None


def test_without_redis_each_process_counts_to_the_limit_by_itself(proxy, moment, caplog):
    proxy.set("refuse")
    allowance, id = Allowance(100, 60, over(proxy)), uuid4()

    assert granted(lambda: allowance.take(id), 200) == 100
    assert caplog.text.count("each process counts calls by itself") == 1


def test_a_redis_that_lost_its_counts_gives_a_process_no_more_than_the_limit(proxy, moment):
    allowance, id = Allowance(101, 60, over(proxy)), uuid4()
    taken = granted(lambda: allowance.take(id), 90)
    queue.connect(f"redis://127.0.0.1:{proxy.port}/0").flushall()

    assert taken + granted(lambda: allowance.take(id), 90) == 101


def test_a_silent_redis_holds_one_call_up_and_then_none_for_seconds(proxy, moment, passed_s):
    held = Allowance(50, 60, over(proxy))
    proxy.set("half")
    took: list[float] = []

    def take() -> None:
        started = time.monotonic()
        assert held.take(uuid4()) is None
        took.append(time.monotonic() - started)

    for _ in range(20):
        take()
    print(f"\nhalf-open: first call {took[0] * 1000:.0f} ms, slowest after it {max(took[1:]) * 1000:.2f} ms")
    assert 0.4 < took[0] < 1.5
    assert max(took[1:]) < 0.05

    passed_s[0] += ledger.PAUSE_S
    del took[:]
    threads = [threading.Thread(target=take) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one > 0.4 for one in took) == 1


def test_one_call_that_waits_for_redis_does_not_stall_the_others(proxy, moment):
    id, stuck = uuid4(), Allowance(500, 60, over(proxy))
    assert stuck.take(id) is None
    proxy.set("half")
    waiting = threading.Thread(target=stuck.take, args=(uuid4(),))
    waiting.start()

    started = time.monotonic()
    assert granted(lambda: stuck.take(id), 9) == 9
    took = time.monotonic() - started
    assert waiting.is_alive()
    waiting.join()
    assert took < 0.3


def test_counting_in_common_comes_back_by_itself(proxy, moment, passed_s):
    first, second, id = Allowance(50, 60, over(proxy)), Allowance(50, 60, over(proxy)), uuid4()
    proxy.set("refuse")
    assert granted(lambda: first.take(id), 10) == 10
    proxy.set("pass")
    passed_s[0] += ledger.PAUSE_S

    assert granted(lambda: first.take(id), 50) == 40
    assert granted(lambda: second.take(id), 50) == 10


def test_a_slow_redis_is_left_alone_like_a_silent_one(moment):
    class Slow:
        """In the place of a client: answers late."""

        asked = 0

        def pipeline(self, transaction: bool) -> Any:
            self.asked += 1
            return self

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            """Nothing is kept."""

        def incrby(self, *_: object) -> None:
            """Nothing is counted."""

        expire = incrby

        def execute(self) -> list[int]:
            threading.Event().wait(0.3)
            return [1]

    slow = Slow()
    counting = Ledger(slow)  # type: ignore[arg-type]

    assert [counting.add("key", 1, 60) for _ in range(5)] == [0, None, None, None, None]
    assert slow.asked == 1
