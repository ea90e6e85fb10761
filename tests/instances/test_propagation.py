"""Hosts that tell each other of changes: whoever has been answered can be sure that no host believes the old state."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from mcpweb import embedded_redis
from mcpweb.hosts import host_id
from mcpweb.instances.generations import Generations
from mcpweb.instances.propagation import CHANNEL, DEAF_AFTER_S, SETTLED_AFTER_S, Propagation
from tests.fault_proxy import FaultProxy
from tests.parallel import at_once
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("waits: propagation")

ROOT = Path(__file__).parents[2]


class _Line(redis.Redis):
    """A connection whose thread can be ended: the next heartbeat ends it."""

    is_over = False

    def hset(self, *arguments: Any, **options: Any) -> Any:
        if self.is_over:
            raise SystemExit
        return super().hset(*arguments, **options)


@pytest.fixture(scope="module")
def socket_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Valkey for these tests alone: other hosts would answer too, and it is flushed and cut off."""
    folder = tmp_path_factory.mktemp("v")
    path = embedded_redis.socket_path(folder)
    command = embedded_redis.command(embedded_redis.find_server(), folder, path)
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    until(path.exists, "Valkey listens")
    yield str(path)
    server.terminate()
    server.wait()


@pytest.fixture
def valkey(socket_path: str) -> redis.Redis:
    """An empty Valkey."""
    client = redis.Redis(unix_socket_path=socket_path)
    client.flushall()
    return client


Host = Callable[..., Propagation]


@pytest.fixture
def host(valkey: redis.Redis, socket_path: str, tmp_path: Path) -> Iterator[Host]:
    """Starts hosts that listen, and waits until they have settled."""
    lines: list[_Line] = []
    started: list[Propagation] = []

    def start(name: str, listens: bool = True, **options: Any) -> Propagation:
        where = options or {"unix_socket_path": socket_path}
        no_retry = Retry(NoBackoff(), 0)  # as `queue.connect` has it
        line = _Line(socket_timeout=0.5, socket_connect_timeout=0.5, retry=no_retry, **where)
        lines.append(line)
        home = tmp_path / name / "run"
        made = Propagation(Generations(home / "generations"), line, home)
        if listens:
            made.ensure_listening()
            started.append(made)
        return made

    yield start
    for line in lines:
        line.is_over = True
    for one in started:
        assert one._thread
        one._thread.join(3)


def settle(*hosts: Propagation) -> None:
    """Until they trust what they remember, and each other."""
    until(lambda: all(host.generations.is_trusted and not host.generations.is_doubted for host in hosts), "all settled")


def believes(host: Propagation, id: Any, number: int) -> bool:
    """Whether the host would let in whoever it loaded at this number."""
    return host.generations.is_trusted and host.generations.current(id) == number


def test_a_change_is_known_everywhere_when_it_has_been_confirmed(host):
    here, there, third = host("a"), host("b"), host("c")
    settle(here, there, third)
    for _ in range(20):
        id = uuid4()
        before = [one.generations.current(id) for one in (here, there, third)]

        started = time.monotonic()
        assert here.changed(id) == []

        assert time.monotonic() - started < 1
        assert [one.generations.current(id) for one in (here, there, third)] == [number + 1 for number in before]


def test_several_instances_are_told_at_once(host):
    here, there = host("a"), host("b")
    settle(here, there)
    ids = [uuid4() for _ in range(100)]
    before = [there.generations.current(id) for id in ids]

    assert here.changed(*ids) == []

    assert all(there.generations.current(id) != number for id, number in zip(ids, before, strict=True))


def test_that_everything_has_changed_is_known_everywhere(host):
    here, there = host("a"), host("b")
    settle(here, there)
    ids = [uuid4() for _ in range(100)]
    before = [[one.generations.current(id) for id in ids] for one in (here, there)]

    assert here.all_changed() == []

    after = [[one.generations.current(id) for id in ids] for one in (here, there)]
    assert after == [[number + 1 for number in numbers] for numbers in before]


def test_a_change_of_nothing_is_not_told(host):
    here, there = host("a"), host("b")
    settle(here, there)

    assert here.changed() == []

    settle(here, there)
    assert here.changed(uuid4()) == []


def test_a_host_alone_waits_for_nobody(host):
    here = host("a")
    settle(here)
    started = time.monotonic()

    assert here.changed(uuid4()) == []

    assert time.monotonic() - started < 1


def test_a_command_that_does_not_listen_itself_is_heard_by_the_hosts(host):
    there = host("b")
    settle(there)
    id = uuid4()
    before = there.generations.current(id)

    assert host("c", listens=False).changed(id) == []

    assert there.generations.current(id) != before


def test_a_host_that_has_died_is_named_and_trusts_nothing_by_then(host):
    here, there = host("a"), host("b")
    settle(here, there)
    there._redis.is_over = True
    there._thread.join(3)
    id = uuid4()
    before = there.generations.current(id)

    assert here.changed(id) == [there.host]

    assert not believes(there, id, before)


def test_after_a_subscription_was_cut_nothing_is_believed_that_was_loaded_before(host, valkey):
    here, there = host("a"), host("b")
    settle(here, there)
    id = uuid4()
    before = there.generations.current(id)

    valkey.client_kill_filter(_type="pubsub")
    here.changed(id)

    assert not believes(there, id, before)
    settle(here, there)
    assert there.generations.current(id) != before


def test_a_change_right_after_a_flush_is_known_everywhere(host, valkey):
    here, there = host("a"), host("b")
    for _ in range(2):
        settle(here, there)
        id = uuid4()
        before = there.generations.current(id)

        valkey.flushall()
        here.changed(id)

        assert not believes(there, id, before)


def test_without_redis_a_change_is_answered_when_nobody_trusts_any_longer(host, socket_path):
    with FaultProxy(socket_path) as way:
        here, there = host("a", port=way.port), host("b")
        settle(here, there)
        id = uuid4()
        before = there.generations.current(id)
        way.set("refuse")

        assert here.changed(id) == ["every other host"]

        assert not believes(there, id, before)
        way.set("pass")
        settle(here, there)
        assert there.generations.current(id) != before, "what it missed meanwhile makes everything stale"


def test_a_process_that_can_not_tell_silences_its_host_although_that_is_still_heard(host, socket_path):
    """One process has run out of sockets, for instance, and another one sends the heartbeats of both."""
    with FaultProxy(socket_path) as way:
        here, there = host("a"), host("b")
        cut = host("a", listens=False, port=way.port)
        settle(here, there)
        id = uuid4()
        before = there.generations.current(id)
        way.set("refuse")

        assert cut.changed(id) == ["every other host"]

        assert not believes(there, id, before)
        settle(here, there)
        assert there.generations.current(id) != before


def test_a_redis_that_says_nothing_holds_a_change_for_a_few_seconds_only(host, socket_path):
    with FaultProxy(socket_path) as way:
        here, there = host("a", port=way.port), host("b")
        settle(here, there)
        id = uuid4()
        before = there.generations.current(id)
        way.set("half")
        started = time.monotonic()

        here.changed(id)

        assert time.monotonic() - started < SETTLED_AFTER_S + 2
        assert not believes(there, id, before)


def test_a_host_is_taken_to_have_been_alive_when_our_own_last_beat_was_sent_and_not_later(host):
    here = host("a", listens=False)

    here._hear("beat other 5")
    assert here._heard == {}, "before the first of our own, nothing is known"
    here._hear(f"beat {here.host} 100.5")
    here._hear("beat other 999999")

    assert here._heard == {here.host: 100.5, "other": 100.5}


def test_a_host_that_has_just_come_and_can_not_tell_is_not_overlooked(host, socket_path):
    there = host("b")
    settle(there)
    with FaultProxy(socket_path) as way:
        here = host("a", port=way.port)
        until(lambda: there._redis.hexists("mcpweb:hosts", here.host), "it is on the list")
        id = uuid4()
        before = there.generations.current(id)
        way.set("refuse")

        here.changed(id)

        assert not believes(there, id, before)


def test_a_host_that_is_cut_off_is_not_forgotten_when_redis_loses_its_list(host, valkey, socket_path):
    with FaultProxy(socket_path) as way:
        here, there = host("a", port=way.port), host("b")
        settle(here, there)
        way.set("refuse")
        valkey.flushall()
        valkey.client_kill_filter(_type="pubsub")
        until(lambda: there.generations.is_doubted, "it has noticed")
        id = uuid4()
        before = there.generations.current(id)

        here.changed(id)

        assert not believes(there, id, before)


def test_the_processes_of_a_host_find_one_name_for_it(tmp_path, valkey):
    for number in range(20):
        home = tmp_path / str(number)
        names = at_once([lambda home=home: host_id(home)] * 6)
        assert len(set(names)) == 1 and names[0]


LISTEN = (
    "import sys, threading, redis; from pathlib import Path\n"
    "from mcpweb.instances.generations import Generations; from mcpweb.instances.propagation import Propagation\n"
    "home = Path(sys.argv[2])\n"
    "line = redis.Redis(unix_socket_path=sys.argv[1], socket_timeout=0.5)\n"
    "Propagation(Generations(home / 'generations'), line, home).ensure_listening(); threading.Event().wait(60)"
)
"""A program that listens for the host whose `run` folder is its second argument, for a minute."""


def test_who_leaves_is_waited_for_by_nobody(host, valkey, socket_path, tmp_path):
    here = host("a")
    other = subprocess.Popen([sys.executable, "-c", LISTEN, socket_path, tmp_path / "b" / "run"], cwd=ROOT)
    leaving = host("b", listens=False)
    try:
        until(lambda: leaving.host in here._heard, "the other host is heard")
        settle(here)
        assert not leaving.leave(), "it still listens"
    finally:
        other.kill()
        other.wait()

    gone = time.monotonic()
    assert leaving.leave()

    until(lambda: leaving.host not in here._heard, "the goodbye is heard")
    trusted = []
    until(lambda: trusted.append(here.generations.is_trusted) or time.monotonic() > gone + DEAF_AFTER_S + 0.5, "time")
    assert all(trusted)
    assert here.changed(uuid4()) == []


def test_one_process_listens_for_its_host_and_another_takes_over_when_it_is_killed(host, valkey, socket_path, tmp_path):
    first = subprocess.Popen([sys.executable, "-c", LISTEN, socket_path, tmp_path / "a" / "run"], cwd=ROOT)
    try:
        until(lambda: dict(valkey.pubsub_numsub(CHANNEL))[CHANNEL.encode()] == 1, "the first listens")
        second, there = host("a"), host("b")
        settle(second, there)
        assert dict(valkey.pubsub_numsub(CHANNEL))[CHANNEL.encode()] == 2, "one for each host"
        id = uuid4()
        before = second.generations.current(id)
    finally:
        first.kill()
        first.wait()

    there.changed(id)

    assert not believes(second, id, before)
    settle(second, there)
    assert dict(valkey.pubsub_numsub(CHANNEL))[CHANNEL.encode()] == 2


def test_starting_to_listen_from_many_threads_starts_one(host):
    here = host("a", listens=False)
    before = threading.active_count()

    at_once([here.ensure_listening] * 8)

    assert sum(thread.name == "changes" and thread is here._thread for thread in threading.enumerate()) == 1
    assert threading.active_count() <= before + 1
