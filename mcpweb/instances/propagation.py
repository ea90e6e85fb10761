"""Telling the other hosts of a change, and hearing of theirs.

Redis Pub/Sub loses messages without a word, so nobody relies on a message alone: every host hears a heartbeat of
every other one, itself included, and a host that misses one for two seconds asks the database until it hears again.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import threading
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import redis

from mcpweb import clock
from mcpweb.hosts import host_id
from mcpweb.instances.generations import Generations

log = logging.getLogger(__name__)

CHANNEL = "mcpweb:changes"
_HOSTS = "mcpweb:hosts"
_ALL = "all"
"""Stands in a message for the ids of all instances."""

BEAT_S = 0.4
DEAF_AFTER_S = 2.0
SETTLED_AFTER_S = DEAF_AFTER_S + 0.6
"""A beat that is on its way when its host falls silent has half a second to arrive; then nobody trusts for its sake."""
_ACK_S = 1.0
_FORGET_HOST_S = 600.0
"""A host that vanished without a word might still change things: until then the others ask the database."""


class Propagation:
    """This process's part: it announces changes, and, if it is the first of its host, listens for the host."""

    def __init__(self, generations: Generations, client: redis.Redis, folder: Path) -> None:
        self.generations = generations
        self._redis = client
        self._folder = folder
        self.host = host_id(folder)
        # When each host was alive for sure. Kept when Redis is not: it may have lost its list while one was cut off.
        self._heard: dict[str, float] = {}
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def ensure_listening(self) -> None:
        """Start the listening thread of this process; a forked process needs its own."""
        if self._thread is not None and self._thread.is_alive():
            return
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._listen_for_ever, name="changes", daemon=True)
                self._thread.start()

    def leave(self) -> bool:
        """Say that nobody of this host serves calls any more, so that the others need not wait for it.

        Returns whether it was said: not while a process of this host listens, or when Redis is away.
        """
        lock = self._open_lock()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.generations.trust_until(0.0)
            self._redis.hdel(_HOSTS, self.host)
            self._redis.publish(CHANNEL, f"bye {self.host}")
        except (BlockingIOError, redis.RedisError):
            return False
        finally:
            os.close(lock)
        return True

    def changed(self, *instance_ids: UUID) -> Sequence[str]:
        """Make these instances' accesses stale everywhere; call it after the commit and before the answer.

        Waits up to a second for the other hosts, and for one that does not confirm until it has surely stopped
        trusting what it remembers. Returns the hosts that did not confirm.
        """
        if not instance_ids:
            return []
        for instance_id in instance_ids:
            self.generations.bump(instance_id)
        return self._tell(" ".join(map(str, instance_ids)))

    def all_changed(self) -> Sequence[str]:
        """As `changed`, for every instance there is."""
        self.generations.bump_all()
        return self._tell(_ALL)

    def _tell(self, what: str) -> Sequence[str]:
        try:
            return self._announce(what)
        except redis.RedisError as error:
            log.warning("a change could not be announced", extra={"error": type(error).__name__})
            # Our heartbeats stop, and with them the others' trust in what they remember.
            self._doubt()
            threading.Event().wait(SETTLED_AFTER_S)
            return ["every other host"]

    def mention(self, instance_ids: Sequence[UUID]) -> None:
        """As `changed`, but without waiting: for what every call sees by itself, such as an end that has come."""
        for instance_id in instance_ids:
            self.generations.bump(instance_id)
        ids = " ".join(map(str, instance_ids))
        try:
            # Whoever hears it confirms; nobody waits for the answer, which ends by itself.
            self._redis.publish(CHANNEL, f"change {self.host} mcpweb:heard:{secrets.token_hex(8)} {ids}")
        except redis.RedisError as error:
            log.warning("a change could not be announced", extra={"error": type(error).__name__})

    def _announce(self, ids: str) -> Sequence[str]:
        hosts = self._hosts()
        # A list of hosts that lacks us although we listen was lost a moment ago, and lacks the others too.
        unsure = self.generations.is_doubted or (self.generations.is_trusted and self.host not in hosts)
        others = hosts - {self.host}
        reply = f"mcpweb:heard:{secrets.token_hex(8)}"
        self._redis.publish(CHANNEL, f"change {self.host} {reply} {ids}")
        told = clock.monotonic()
        while others and (left := _ACK_S - (clock.monotonic() - told)) > 0:
            if heard := self._redis.blpop([reply], timeout=min(left, 0.3)):
                others.discard(_text(heard[1]))
        if others:
            log.warning("a host did not confirm a change", extra={"hosts": sorted(others)})
        if others or unsure:
            threading.Event().wait(max(0.0, SETTLED_AFTER_S - (clock.monotonic() - told)))
        self._redis.delete(reply)
        return sorted(others)

    def _doubt(self) -> None:
        self.generations.doubt_until(clock.monotonic() + SETTLED_AFTER_S)

    def _hosts(self) -> set[str]:
        """The hosts that listen, or did until not long ago."""
        return {_text(name) for name in self._redis.hkeys(_HOSTS)}

    def _listen_for_ever(self) -> None:
        """Listen for the host while holding its lock; whoever comes second waits for the first to end."""
        lock = self._open_lock()
        pause = threading.Event()
        said = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self.generations.trust_until(0.0)
                self._listen()
            except redis.RedisError as error:
                if not said:
                    log.warning(
                        "changes can not be heard, calls ask the database", extra={"error": type(error).__name__}
                    )
                said = True
                self.generations.trust_until(0.0)
                self._doubt()
            pause.wait(BEAT_S)

    def _open_lock(self) -> int:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(self._folder / "listener.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _listen(self) -> None:
        """Subscribe, then trust; ends with an error when the connection does."""
        with self._redis.pubsub() as channel:  # type: ignore[no-untyped-call]
            channel.subscribe(CHANNEL)
            self._heard.pop(self.host, None)
            last_beat = 0.0
            while True:
                now = clock.monotonic()
                if now - last_beat >= BEAT_S:
                    self._beat(now)
                    last_beat = now
                message = channel.get_message(timeout=BEAT_S / 2)
                if message and message["type"] == "subscribe":
                    # Whatever was said while nobody listened is lost, so everything loaded until now is stale.
                    self.generations.bump_all()
                    self._heard = dict.fromkeys({*self._heard, *self._hosts()} - {self.host}, clock.monotonic())
                elif message:
                    self._hear(_text(message["data"]))
                self._trust()

    def _beat(self, now: float) -> None:
        """Say that this host is alive, once it knows which others are there: one that has just come may fall silent."""
        if self.host in self._heard:
            for host in self._hosts():
                self._heard.setdefault(host, self._heard[self.host])
        is_new = self._redis.hset(_HOSTS, self.host, "1")
        if is_new:  # so the list of hosts was lost, and lacks some of the others for a moment
            self._doubt()
        if not self.generations.is_doubted:
            self._redis.publish(CHANNEL, f"beat {self.host} {now}")

    def _hear(self, text: str) -> None:
        """Note when a host was alive for sure, and take in what it says.

        Messages come in the order in which Redis got them, however late. So whoever is heard after one of our own beats
        spoke after we sent that one.
        """
        kind, host, *rest = text.split(" ")
        if kind == "bye":
            self._heard.pop(host, None)
        elif kind == "beat" and host == self.host:
            self._heard[host] = float(rest[0])
        elif self.host in self._heard:
            self._heard[host] = self._heard[self.host]
        if kind == "change" and host != self.host:
            reply, *ids = rest
            for instance_id in ids:
                if instance_id == _ALL:
                    self.generations.bump_all()
                else:
                    self.generations.bump(UUID(instance_id))
            self._redis.rpush(reply, self.host)
            self._redis.expire(reply, 10)

    def _trust(self) -> None:
        now = clock.monotonic()
        for host, at in list(self._heard.items()):
            if host != self.host and now - at > _FORGET_HOST_S:
                del self._heard[host]
                self._redis.hdel(_HOSTS, host)
        if self.host in self._heard:
            self.generations.trust_until(min(self._heard.values()) + DEAF_AFTER_S)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
