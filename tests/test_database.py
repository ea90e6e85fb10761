"""Transactions, times, and many who write at once."""

from __future__ import annotations

import subprocess
import sys
from contextvars import Context
from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from mcpweb import clock, migrating
from mcpweb.accounts.models import Role, User
from mcpweb.database import Base, after_commit, db, now, take_turns, transaction
from tests.parallel import at_once


def add(email: str, at: datetime | None = None) -> None:
    db.session.add(User(email=email, role=Role.USER, created_at=at or clock.utcnow()))


def users() -> int:
    db.session.rollback()
    return db.session.query(User).count()


def test_a_transaction_is_kept_at_its_end_and_undone_on_an_error(app):
    with transaction():
        add("a@example.com")
    with pytest.raises(ZeroDivisionError), transaction():
        add("b@example.com")
        raise ZeroDivisionError

    assert users() == 1


def test_a_transaction_does_not_nest(app):
    with pytest.raises(RuntimeError, match="does not nest"), transaction(), transaction():
        pass
    with transaction():
        add("a@example.com")

    assert users() == 1, "and the next one works"


def test_what_is_to_follow_a_commit_follows_it_in_order_and_not_otherwise(app):
    done: list[str] = []
    with transaction():
        after_commit(lambda: done.append(f"first, of {users()}"))
        after_commit(lambda: done.append("second"))
        add("a@example.com")
        assert done == []
    with pytest.raises(IntegrityError), transaction():
        after_commit(lambda: done.append("never"))
        add("a@example.com")

    assert done == ["first, of 1", "second"]
    with pytest.raises(RuntimeError, match="needs an open transaction"):
        after_commit(lambda: None)


def test_what_follows_a_commit_may_begin_a_transaction_of_its_own(app):
    def follow() -> None:
        with transaction():
            add("b@example.com")

    with transaction():
        add("a@example.com")
        after_commit(follow)

    assert users() == 2


def test_objects_can_be_read_after_the_commit(app):
    with transaction():
        user = User(email="a@example.com", role=Role.USER, created_at=clock.utcnow())
        db.session.add(user)

    assert (user.id, user.email) == (1, "a@example.com")


@pytest.mark.parametrize("hours", [-8, 0, 5.5])
def test_a_time_comes_back_aware_and_in_utc(hours, app):
    at = datetime(2026, 11, 23, 12, 30, 15, 123456, tzinfo=timezone(timedelta(hours=hours)))
    with transaction():
        add("a@example.com", at)
    db.session.expire_all()

    found = db.session.query(User).one().created_at

    assert found == at
    assert found.tzinfo is UTC


def test_a_naive_time_is_not_stored(app):
    with pytest.raises(StatementError, match="naive"), transaction():
        add("a@example.com", datetime(2026, 11, 23))


def test_the_databases_clock_is_aware_and_about_right(app):
    assert abs(now() - clock.utcnow()) < timedelta(seconds=5)
    assert now().tzinfo is UTC
    first = now()
    assert now() >= first, "it goes on inside a transaction too"


def test_many_who_look_before_they_write_lose_nothing_and_nobody_is_turned_away(app):
    with transaction():
        add("counter@example.com")
    db.session.query(User).update({"role": "0"})
    db.session.commit()

    def count_up() -> None:
        with app.app_context():
            for _ in range(10):
                with transaction():
                    take_turns("counter")
                    counted = int(db.session.execute(select(User.role)).scalar_one())
                    db.session.query(User).update({"role": str(counted + 1)})

    at_once([lambda: Context().run(count_up) for _ in range(6)])

    db.session.rollback()
    assert db.session.execute(select(User.role)).scalar_one() == "60"


def test_a_reader_in_between_does_not_make_a_writer_fail(app):
    def read_then_write(number: int) -> None:
        with app.app_context():
            for _ in range(5):
                db.session.execute(select(func.count()).select_from(User)).scalar_one()  # leaves a read open
                with transaction():
                    add(f"user{number}-{clock.monotonic()}@example.com")

    at_once([lambda n=n: Context().run(read_then_write, n) for n in range(6)])

    assert users() == 30


def test_sqlite_is_set_up_for_several_processes(app):
    if db.engine.dialect.name != "sqlite":
        return
    found = {
        name: db.session.execute(text(f"PRAGMA {name}")).scalar()
        for name in ("journal_mode", "foreign_keys", "busy_timeout")
    }

    assert found == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 15000}


def test_the_migrations_make_exactly_what_the_models_say(app):
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        differences = compare_metadata(context, Base.metadata)

    assert differences == []


def test_migrating_again_changes_nothing(app):
    before = db.session.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    db.session.rollback()

    migrating.upgrade()

    assert db.session.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == before


def test_deleting_a_user_leaves_no_row_of_theirs(app, alice, make_instance):
    make_instance()
    with transaction():
        db.session.execute(text("""DELETE FROM "user" WHERE email = 'alice@example.com'"""))

    for table in ("user_session", "instance", "instance_token"):
        assert db.session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0, table


def test_a_database_error_does_not_tell_the_values(app):
    with pytest.raises(IntegrityError) as caught, transaction():
        add("hunter2@example.com")
        add("hunter2@example.com")

    assert "SQL parameters hidden" in str(caught.value)


def test_the_program_waits_until_sqlite_has_what_it_commits_on_the_disk(tmp_path):
    look = (
        "from sqlalchemy import create_engine\n"
        "from mcpweb.database import prepare_engine\n"
        f"engine = create_engine('sqlite:///{tmp_path / 'x'}')\n"
        "prepare_engine(engine)\n"
        "print(engine.connect().exec_driver_sql('PRAGMA synchronous').scalar())\n"
    )
    said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout

    assert said == "2\n", "FULL; here, for speed, it is NORMAL"
