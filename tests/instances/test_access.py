"""Who may call: remembered for a minute, asked for once, and never wider than the database says."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from datetime import timedelta
from uuid import uuid4

import pytest

from mcpweb import clock, queue
from mcpweb.crypto import mint_token
from mcpweb.database import db, transaction
from mcpweb.errors import Unavailable
from mcpweb.instances import access_cache as access_module
from mcpweb.instances import access_reading
from mcpweb.instances.access import Unauthorized
from mcpweb.instances.access_cache import AccessCache
from mcpweb.instances.generations import Generations
from mcpweb.instances.house import house
from mcpweb.instances.models import Instance, InstanceToken, ServiceRow
from mcpweb.instances.propagation import Propagation
from mcpweb.logs import events, reading
from mcpweb.web.current import settings
from tests.conftest import user
from tests.parallel import at_once
from tests.spec_server import TOKENS
from tests.waiting import until


class _AllEars(Propagation):
    """A host that hears every other one for the next hour, without listening."""

    def ensure_listening(self) -> None:
        """It needs not to."""
        self.generations.trust_until(clock.monotonic() + 3600)


@pytest.fixture
def cache(app, tmp_path) -> AccessCache:
    """A cache that knows nothing yet, on a host of its own that hears every change."""
    here = house()
    propagation = _AllEars(Generations(tmp_path / "generations"), queue.connect(settings().redis_url), tmp_path)
    return AccessCache(here.registry.services, here.keyring, app.app_context, propagation)


def refused(cache: AccessCache, instance_id: object, token: str) -> bool:
    try:
        cache.get(instance_id, token)  # type: ignore[arg-type]
    except Unauthorized:
        return True
    return False


def test_the_first_call_asks_the_database_and_the_next_does_not(cache, make_instance):
    instance, token = make_instance(label="Work")

    first, was_there = cache.get(instance.id, token)
    again, is_there = cache.get(instance.id, token)

    assert (was_there, is_there) == (False, True)
    assert first is again
    assert (first.label, first.service.name) == ("Work", "github")
    assert first.credential == {"token": TOKENS["github"]["good"]}
    assert (cache.stats.hits, cache.stats.misses, cache.stats.size) == (1, 1, 1)


def test_what_is_remembered_does_not_show_its_secrets(cache, make_instance):
    instance, token = make_instance()

    shown = repr(cache.get(instance.id, token)[0])

    assert TOKENS["github"]["good"] not in shown
    assert " tokens=" not in shown and " credential=" not in shown


def test_after_a_minute_the_database_is_asked_again(cache, make_instance, monkeypatch):
    instance, token = make_instance()
    cache.get(instance.id, token)
    with transaction():
        db.session.query(InstanceToken).update({"revoked_at": clock.utcnow()})
    now = clock.monotonic()

    monkeypatch.setattr(clock, "monotonic", lambda: now + access_module.MAX_AGE_S + 1)

    assert refused(cache, instance.id, token)


def test_an_instance_that_has_changed_is_loaded_anew(cache, make_instance):
    instance, token = make_instance()
    cache.get(instance.id, token)
    with transaction():
        db.session.query(InstanceToken).update({"revoked_at": clock.utcnow()})

    cache._generations.bump(instance.id)

    assert refused(cache, instance.id, token)
    assert (cache.stats.size, cache.stats.invalidations) == (0, 1)


def test_while_changes_can_not_be_heard_every_call_asks_the_database(cache, make_instance):
    instance, token = make_instance()
    cache.get(instance.id, token)
    assert cache.get(instance.id, token)[1]

    cache._generations.trust_until(0)
    assert not cache.get(instance.id, token)[1]
    cache._generations.trust_until(0)
    with transaction():
        db.session.query(InstanceToken).update({"revoked_at": clock.utcnow()})

    assert refused(cache, instance.id, token)


def test_what_was_loaded_before_changes_could_not_be_heard_is_not_believed_afterwards(cache, make_instance):
    instance, token = make_instance()
    cache.get(instance.id, token)
    cache._generations.trust_until(0)
    with transaction():  # on another host, which could tell nobody
        db.session.query(InstanceToken).update({"revoked_at": clock.utcnow()})

    cache._generations.trust_until(clock.monotonic() + 3600)

    assert refused(cache, instance.id, token)


def test_a_sweep_drops_what_is_stale_with_its_credential_and_leaves_the_rest(cache, make_instance):
    (stale, stale_token), (fresh, fresh_token) = make_instance(), make_instance()
    cache.get(stale.id, stale_token), cache.get(fresh.id, fresh_token)

    cache._generations.bump(stale.id)

    assert cache.sweep() == 1
    assert set(cache._entries) == {fresh.id}


def test_the_figures_of_the_cache_are_logged(cache, make_instance, monkeypatch):
    (first, first_token), (second, second_token) = make_instance(), make_instance()
    cache.get(first.id, first_token), cache.get(second.id, second_token), cache.get(second.id, second_token)
    cache._generations.bump(first.id)
    later = clock.monotonic() + 7
    monkeypatch.setattr(clock, "monotonic", lambda: later)
    cache.sweep()

    cache.report()

    folder = events.files().root / "system"
    line = next(line for line in reading.last(folder, "performance", 100) if line["message"] == "access cache")
    assert {name: line[name] for name in ("hits", "misses", "invalidations", "size")} == {
        "hits": 1, "misses": 2, "invalidations": 1, "size": 1,
    }  # fmt: skip
    assert 7 <= line["oldest_s"] < 8


def test_a_credential_that_nobody_uses_is_gone_from_memory_after_a_minute(cache, make_instance, monkeypatch):
    monkeypatch.setattr(access_module, "_SWEEP_S", 0.02)
    instance, token = make_instance()
    cache.get(instance.id, token)
    now = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: now + access_module.MAX_AGE_S + 1)
    until(lambda: not cache._entries, "it is forgotten")


def test_a_change_while_an_access_is_being_loaded_makes_it_stale_from_the_start(cache, make_instance, monkeypatch):
    instance, token = make_instance()
    read = access_reading.read

    def read_then_change(*arguments: object) -> object:
        found = read(*arguments)  # type: ignore[arg-type]
        cache._generations.bump(instance.id)
        return found

    monkeypatch.setattr(access_reading, "read", read_then_change)
    cache.get(instance.id, token)
    monkeypatch.undo()

    assert not cache.get(instance.id, token)[1], "it was read before the change, so it is read again"


def test_a_token_opens_its_own_instance_only(cache, make_instance):
    (mine, my_token), (other, other_token) = make_instance(), make_instance()
    cache.get(mine.id, my_token), cache.get(other.id, other_token)

    assert refused(cache, mine.id, other_token)
    assert refused(cache, other.id, my_token)
    assert refused(cache, uuid4(), my_token)
    assert refused(cache, mine.id, mint_token())


def test_a_malformed_token_is_refused_without_asking_anybody(cache, make_instance):
    instance, token = make_instance()

    for text in ("", "x", token[:-1], token + "0", token[:-1] + ("0" if token[-1] != "0" else "1"), "mcpw_" + "0" * 38):
        assert refused(cache, instance.id, text)

    assert cache.stats.misses == 0


def test_a_token_with_an_end_of_its_own_ends_then_even_while_remembered(cache, make_instance, monkeypatch):
    instance, token = make_instance()
    end = clock.utcnow() + timedelta(seconds=30)
    with transaction():
        db.session.query(InstanceToken).update({"expires_at": end})
    cache.get(instance.id, token)

    monkeypatch.setattr(clock, "utcnow", lambda: end)

    assert refused(cache, instance.id, token)


@pytest.mark.parametrize("reason", ["owner disabled", "service disabled", "instance gone"])
def test_what_is_not_to_be_served_is_not_loaded(reason, cache, make_instance):
    instance, token = make_instance()
    with transaction():
        match reason:
            case "owner disabled":
                user("alice@example.com").is_enabled = False
            case "service disabled":
                db.session.query(ServiceRow).filter_by(name="github").update({"is_enabled": False})
            case _:
                db.session.delete(db.session.get(Instance, instance.id))

    assert refused(cache, instance.id, token)


def test_of_many_who_come_at_once_at_most_two_ask_the_database(cache, make_instance, monkeypatch):
    instance, token = make_instance()
    read, reads = access_reading.read, []

    def slow_read(*arguments: object) -> object:
        reads.append(1)
        until(lambda: cache.stats.misses == 8, "all of them wait")
        return read(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(access_reading, "read", slow_read)

    found = at_once([lambda: Context().run(cache.get, instance.id, token) for _ in range(8)])

    # The second is for all who came while the first was reading already: it may have read what was true before.
    assert len(reads) <= 2
    assert len({id(access) for access, _ in found}) <= 2


def test_nobody_waits_for_ever_for_one_whose_question_is_not_answered(cache, make_instance, monkeypatch):
    instance, token = make_instance()
    monkeypatch.setattr(access_module, "PATIENCE_S", 0.05)
    read, is_silent, is_asking = access_reading.read, threading.Event(), threading.Event()

    def silent_read(*arguments: object) -> object:
        is_asking.set()
        is_silent.wait(20)
        return read(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(access_reading, "read", silent_read)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(Context().run, cache.get, instance.id, token)
        assert is_asking.wait(20)
        try:
            with pytest.raises(Unavailable):
                Context().run(cache.get, instance.id, token)
            assert not first.done()
        finally:
            is_silent.set()
        assert first.result()[0].instance_id == instance.id


def test_only_so_many_are_remembered_and_the_oldest_go_first(cache, make_instance, monkeypatch):
    monkeypatch.setattr(access_module, "MAX_ENTRIES", 2)
    made = [make_instance() for _ in range(3)]
    for instance, token in made:
        cache.get(instance.id, token)

    assert cache.stats.size == 2
    assert not cache.get(*_call(made[0]))[1]
    assert cache.get(*_call(made[2]))[1]


def _call(made: tuple[Instance, str]) -> tuple[object, str]:
    return made[0].id, made[1]
