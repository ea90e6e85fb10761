"""The counters of a service are the true numbers, whatever is done in whatever order; each change is audited once."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextvars import Context
from datetime import timedelta
from uuid import UUID

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mcpweb import clock
from mcpweb.crypto import derive
from mcpweb.database import db, transaction
from mcpweb.errors import AppError, Conflict, InvalidInput, NotFound
from mcpweb.instances import lifecycle, tokens
from mcpweb.instances.models import Instance, Status
from mcpweb.jobs.expiry import expire_instances
from mcpweb.logs.models import AuditEvent
from mcpweb.web.current import settings as current_settings
from tests.ageing import age
from tests.conftest import empty
from tests.instances.living import actions, drift, stored
from tests.logs.test_audit import chain_is_whole
from tests.parallel import at_once

ACTOR = "alice@example.com"
LONGEST = timedelta(days=90)
DAYS = st.integers(1, 90)

Make = Callable[..., tuple[Instance, str]]


def in_days(days: int):
    return clock.utcnow() + timedelta(days=days)


def whole_chain() -> bool:
    db.session.rollback()
    db.session.expire_all()
    return chain_is_whole(derive(current_settings().secret_key, "audit chain"))


class Life(RuleBasedStateMachine):
    """Any number of instances of two services; the model is what their owners would say of them."""

    app: Flask
    make: Make

    instances = Bundle("instances")

    def __init__(self) -> None:
        super().__init__()
        db.session.rollback()  # what it has read keeps the tables from being emptied
        empty(self.app)
        self.status: dict[UUID, Status] = {}
        self.days_left: dict[UUID, int] = {}
        self.done: dict[UUID, list[str]] = {}

    @rule(target=instances, service=st.sampled_from(["github", "figma"]), days=DAYS)
    def create(self, service: str, days: int) -> UUID:
        id: UUID = self.make(service=service, days=days)[0].id
        self.status[id], self.days_left[id], self.done[id] = Status.ACTIVE, days, []
        return id

    @rule(id=instances)
    def activate(self, id: UUID) -> None:
        self._switch(id, lifecycle.activate, "instance.activate", Status.INACTIVE, Status.ACTIVE)

    @rule(id=instances)
    def deactivate(self, id: UUID) -> None:
        self._switch(id, lifecycle.deactivate, "instance.deactivate", Status.ACTIVE, Status.INACTIVE)

    def _switch(
        self, id: UUID, change: Callable[[Instance, str], None], action: str, before: Status, after: Status
    ) -> None:
        if self._has_ended(id):
            with pytest.raises(Conflict):
                change(self._row(id), ACTOR)
            return
        change(self._row(id), ACTOR)
        if self.status[id] == before:
            self._now(id, action, after)

    @rule(id=instances, days=DAYS)
    def renew(self, id: UUID, days: int) -> None:
        if not self._has_ended(id):
            with pytest.raises(Conflict):
                lifecycle.renew(self._row(id), in_days(days), LONGEST, ACTOR)
            return
        lifecycle.renew(self._row(id), in_days(days), LONGEST, ACTOR)
        self._now(id, "instance.renew", Status.ACTIVE)
        self.days_left[id] = days

    @rule(id=instances, days=DAYS)
    def extend(self, id: UUID, days: int) -> None:
        # One end is a moment later than the other when the days are the same, so only clear cases are told.
        if self._has_ended(id) or days < self.days_left[id]:
            with pytest.raises((Conflict, InvalidInput)):
                lifecycle.extend(self._row(id), in_days(days), LONGEST, ACTOR)
        elif days > self.days_left[id]:
            lifecycle.extend(self._row(id), in_days(days), LONGEST, ACTOR)
            self._now(id, "instance.extend", self.status[id])
            self.days_left[id] = days

    @rule(id=consumes(instances))
    def delete(self, id: UUID) -> None:
        lifecycle.remove(self._row(id), ACTOR)
        self._now(id, "instance.delete", Status.EXPIRED)
        del self.status[id]

    @precondition(lambda self: self.status)
    @rule(days=st.integers(1, 40))
    def time_passes(self, days: int) -> None:
        age(Instance, timedelta(days=days))
        self.days_left = {id: left - days for id, left in self.days_left.items()}

    @rule(times=st.integers(1, 2))
    def expire(self, times: int) -> None:
        for _ in range(times):
            expire_instances()
        for id, status in self.status.items():
            if self.days_left[id] <= 0 and status != Status.EXPIRED:
                self._now(id, "instance.expire", Status.EXPIRED)

    @invariant()
    def the_counters_are_true(self) -> None:
        assert drift() == {}

    @invariant()
    def each_instance_is_as_its_owner_would_say(self) -> None:
        db.session.rollback()
        rows = db.session.query(Instance).execution_options(populate_existing=True)
        assert {row.id: row.status for row in rows} == self.status

    @invariant()
    def each_change_is_audited_once(self) -> None:
        db.session.rollback()
        found: dict[UUID, list[str]] = {id: [] for id in self.done}
        for event in db.session.query(AuditEvent).order_by(AuditEvent.seq):
            if event.subject.startswith("instance/") and event.action != "instance.create":
                found[UUID(event.subject.removeprefix("instance/"))].append(event.action)
        assert found == self.done

    def teardown(self) -> None:
        assert whole_chain()

    def _row(self, id: UUID) -> Instance:
        row = stored(id)
        assert row
        return row

    def _has_ended(self, id: UUID) -> bool:
        return self.days_left[id] <= 0

    def _now(self, id: UUID, action: str, status: Status) -> None:
        self.status[id] = status
        self.done[id].append(action)


def test_the_counters_are_the_true_numbers_after_any_sequence_of_changes(app, make_instance):
    machine = type("LifeOnThisDatabase", (Life,), {"app": app, "make": staticmethod(make_instance)})
    quick = settings(
        max_examples=12,
        stateful_step_count=25,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )

    run_state_machine_as_test(machine, settings=quick)


def test_the_counters_are_the_true_numbers_when_several_change_the_same_instances_at_once(app, make_instance):
    ids = [make_instance(service=service)[0].id for service in ("github", "figma", "github")]
    changes: list[Callable[[Instance], object]] = [
        lambda row: lifecycle.deactivate(row, ACTOR),
        lambda row: lifecycle.activate(row, ACTOR),
        lambda row: lifecycle.extend(row, in_days(60), LONGEST, ACTOR),
        lambda row: lifecycle.renew(row, in_days(30), LONGEST, ACTOR),
        lambda row: tokens.add(row, "CI", ACTOR),
        lambda row: lifecycle.remove(row, ACTOR),
    ]
    refused: list[str] = []

    def actor(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(20):
            with app.app_context():
                row = db.session.get(Instance, chance.choice(ids))
                try:
                    if row:
                        chance.choices(changes, [6, 6, 2, 4, 2, 1])[0](row)
                    else:
                        ids.append(make_instance(service=chance.choice(["github", "figma"]))[0].id)
                except (Conflict, InvalidInput, NotFound) as error:
                    refused.append(str(error))

    def time() -> None:
        for _ in range(8):
            with app.app_context():
                end_some()
                expire_instances()

    def end_some() -> None:
        for id in ids[::2]:
            row = db.session.get(Instance, id)
            db.session.rollback()
            if row:
                _end_now(id)

    at_once([*(lambda seed=seed: Context().run(actor, seed) for seed in range(5)), lambda: Context().run(time)])

    assert drift() == {}
    assert whole_chain()
    for id in ids:
        assert (stored(id) is None) == (actions(id)[-1:] == ["instance.delete"])


def _end_now(id: UUID) -> None:
    """The end comes without anything else in the row being touched."""
    with transaction():
        db.session.execute(
            db.update(Instance).where(Instance.id == id).values(expires_at=clock.utcnow() - timedelta(seconds=1))
        )


def test_a_change_that_fails_half_way_is_counted_not_at_all(app, make_instance, monkeypatch):
    instance, _ = make_instance()

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(lifecycle, "record", fail)
    for change in (lifecycle.deactivate, lifecycle.remove):
        with pytest.raises(OSError):
            change(stored(instance.id), ACTOR)
        assert drift() == {}
    monkeypatch.undo()

    assert stored(instance.id).status == Status.ACTIVE
    with pytest.raises(AppError):
        lifecycle.renew(stored(instance.id), in_days(3), LONGEST, ACTOR)
    assert drift() == {}
