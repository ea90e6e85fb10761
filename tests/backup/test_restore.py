"""An installation that is backed up while it is used, lost, and brought back: here, and on a new host."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from alembic import command
from sqlalchemy import func, select, text

from mcpweb import clock, migrating
from mcpweb.accounts import administration, links
from mcpweb.accounts.models import Role, User
from mcpweb.backup import sqlite_store
from mcpweb.backup.archive import Reader
from mcpweb.database import db, transaction
from mcpweb.instances import creation, lifecycle, tokens
from mcpweb.instances.house import house
from mcpweb.instances.models import Instance, ServiceRow, Status
from mcpweb.instances.notices import send_notices
from mcpweb.jobs.expiry import expire_instances
from mcpweb.jobs.models import JobRun
from mcpweb.logs import audit
from mcpweb.logs.verifying import verify
from mcpweb.web.current import settings
from tests.backup.installation import Installation, of_kind
from tests.form_client import FormClient, InProcess
from tests.instances.endpoint import call
from tests.logs.small_disk import small_disk
from tests.spec_server import TOKENS, SpecServer
from tests.waiting import until

URL = "http://127.0.0.1:8080"


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """Of the database."""
    return str(request.param)


@pytest.fixture
def new(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path, redis_url: str, github: SpecServer, process_state: None
) -> Iterator[Callable[[str], Installation]]:
    """Makes installations, empty ones, by the name of their home."""

    def make(name: str) -> Installation:
        environ = {"MCPWEB_REDIS_URL": redis_url, "MCPWEB_GITHUB_BASE_URL": github.url}
        return of_kind(kind, lambda: str(request.getfixturevalue("postgres_url")), tmp_path / name, **environ)

    mask = os.umask(0o077)
    yield make
    os.umask(mask)


def connect(email: str, label: str) -> tuple[Instance, str]:
    """An instance with its first token."""
    owner = db.session.scalar(select(User).where(User.email == email))
    if owner is None:
        with transaction():
            owner = User(email=email, role=Role.USER, created_at=clock.utcnow())
            db.session.add(owner)
    wish = creation.Wish(label, {"token": TOKENS["github"]["good"]}, clock.utcnow() + timedelta(days=30), uuid4())
    return creation.create(owner, house().registry.services["github"], wish, None, house().keyring, 100)


def set_end(instance: Instance, status: Status) -> None:
    """It ended an hour ago, as far as its row says."""
    with transaction():
        db.session.execute(
            db.update(Instance)
            .where(Instance.id == instance.id)
            .values(expires_at=clock.utcnow() - timedelta(hours=1), status=status)
        )


def test_what_ended_since_the_backup_stays_ended_and_every_call_counts_once(
    new: Callable[[str], Installation], tmp_path: Path
) -> None:
    here, file = new("home"), tmp_path / "backup"
    here.prepare()
    with here.app() as app:
        browser = FormClient(InProcess(app), URL)
        link = links.direct_link("alice@example.com", Role.USER, links.Links.of(settings()))
        browser.get(f"/sign-in/{link}")
        browser.submit(browser.page.form(f"/sign-in/{link}"))
        assert browser.get("/instances").path == "/instances"
        work, first = connect("alice@example.com", "Work")
        second = tokens.add(work, "laptop", "alice@example.com")
        stopped, stopped_token = connect("alice@example.com", "Stopped")
        late, late_token = connect("alice@example.com", "Late")
        set_end(late, Status.ACTIVE)
        over, over_token = connect("alice@example.com", "Over")
        set_end(over, Status.EXPIRED)
        connect("bob@example.com", "Bob's")
        pending = links.direct_link("carol@example.com", Role.ADMIN, links.Links.of(settings()))
        with transaction():
            run = JobRun(job="recount", state="running", started_at=clock.utcnow(), report={})
            db.session.add(run)
        assert [call(app, work.id, first)[0] for _ in range(3)] == [200] * 3
        here.follow()
        assert [call(app, work.id, second)[0] for _ in range(2)] == [200] * 2  # in the log, and not counted yet
        bob = db.session.scalar(select(User).where(User.email == "bob@example.com"))

        here.mcpweb("backup", file, "--logs")
        assert file.stat().st_mode & 0o777 == 0o600

    with here.app() as app:
        assert call(app, work.id, first)[0] == 200
        here.follow()
        revoked = next(row for row in tokens.valid(db.session.get(Instance, work.id)) if row.name == "laptop")
        tokens.revoke(db.session.get(Instance, work.id), revoked.id, "alice@example.com")
        lifecycle.deactivate(db.session.get(Instance, stopped.id), "alice@example.com")
        administration.disable(db.session.get(User, bob.id), db.session.get(User, work.owner_id))
        connect("alice@example.com", "Lost")

    said = here.mcpweb("restore", file, expect=1)
    assert "with --replace it is kept beside" in said
    assert "can be restored" in here.mcpweb("restore", file, "--check")
    said = here.mcpweb("restore", file, "--replace")
    assert "done again: token.revoke instance/" in said and "done again: instance.deactivate" in said
    assert "done again: user.disable" in said
    assert "lost: 1 x instance.create" in said and "1 sessions and 1 sign-in links were ended, 1 jobs are lost" in said
    assert "kept:" in said

    with here.app() as app:
        visitor = FormClient(InProcess(app), URL)
        visitor.transport.client._cookies = dict(browser.transport.client._cookies or {})
        assert visitor.get("/instances").path == "/sign-in", "the session has ended"
        assert visitor.get(f"/sign-in/{pending}").status == 410 or "can not be used" in visitor.page.text
        assert call(app, work.id, first)[0] == 200, "what was there and not revoked works"
        assert call(app, work.id, second)[0] == 401, "what was revoked since is revoked"
        for instance, token in ((stopped, stopped_token), (late, late_token), (over, over_token)):
            status, answer = call(app, instance.id, token)
            assert status == 200 and answer["result"]["isError"], "what was switched off or has ended is so again"
        assert not db.session.get(User, bob.id).is_enabled
        assert db.session.scalar(select(JobRun.state).where(JobRun.id == run.id)) == "lost"
        here.follow()
        db.session.expire_all()
        assert db.session.get(Instance, work.id).usage_count == 7, "every call once, also the one after the backup"
        row = db.session.get(ServiceRow, "github")
        found = db.session.scalars(select(Instance)).all()
        assert (row.total_instances, row.active_instances) == (5, sum(one.status == "active" for one in found))
        verdict = verify(here.home / "logs")
        assert verdict.is_whole and "the database was restored at" in "".join(verdict.notes)


def test_on_a_new_host_only_the_right_passphrase_opens_it_and_it_says_what_it_can_not_know(
    new: Callable[[str], Installation], tmp_path: Path
) -> None:
    here, file = new("home"), tmp_path / "backup"
    here.prepare()
    with here.app() as app:
        work, token = connect("alice@example.com", "Work")
        assert [call(app, work.id, token)[0] for _ in range(2)] == [200] * 2
        here.follow()
        assert call(app, work.id, token)[0] == 200
        here.mcpweb("backup", file, "--logs")
        here.mcpweb("backup", bare := tmp_path / "bare", "--without-keys")
    assert "there already" in here.mcpweb("backup", file, expect=1)

    there = new("there")
    said = there.mcpweb("restore", file, expect=1, MCPWEB_BACKUP_PASSPHRASE="a wrong passphrase")
    assert "does not open the keys" in said
    assert not (there.home / "keys").exists() and not (there.home / "mcpweb.sqlite3").exists()
    assert "made without keys" in there.mcpweb("restore", bare, expect=1)
    said = there.mcpweb("restore", file)
    assert "can not be known" in said and "log files were unpacked" in said
    with there.app() as app:
        there.follow()
        assert db.session.get(Instance, work.id).usage_count == 3, "what the log of the old host says counts once"
        assert call(app, work.id, token)[0] == 200
        assert verify(there.home / "logs").is_whole

    third = new("third")
    third.mcpweb("restore", bare, "--keys", here.home / "keys")
    with third.app() as app:
        assert call(app, work.id, token)[0] == 200


def test_a_restore_that_fails_at_its_end_leaves_all_as_it_was_and_the_next_one_mails_nobody_twice(
    new: Callable[[str], Installation], tmp_path: Path
) -> None:
    here, file = new("home"), tmp_path / "backup"
    here.prepare()
    with here.app() as app:
        work, token = connect("alice@example.com", "Work")
        over, _ = connect("alice@example.com", "Over")
        set_end(over, Status.ACTIVE)
        expire_instances()
        assert call(app, work.id, token)[0] == 200
        here.mcpweb("backup", file, "--logs")
        assert send_notices()["items"] == 1

    def fail(one: Installation, *options: str) -> None:
        obstacle = one.home / "keys" / ".encryption_keys.restoring"
        obstacle.mkdir(parents=True)
        said = one.mcpweb("restore", file, *options, expect=1)
        assert f"{obstacle.with_name('encryption_keys')} can not be written" in said
        obstacle.rmdir()

    bare = new("bare")
    fail(bare)
    assert list((bare.home / "keys").iterdir()) == [] and not list(bare.home.glob("*sqlite3*"))
    assert "log files were unpacked" in bare.mcpweb("restore", file), "it is as empty as before"
    with bare.app() as app:
        bare.follow()
        assert db.session.get(Instance, work.id).usage_count == 1
        assert send_notices()["items"] == 1, "nobody there can know that it was mailed"

    other = new("other")
    other.prepare()
    with other.app() as app:
        own, own_token = connect("bob@example.com", "His own")
    keys = {path.name: path.read_bytes() for path in (other.home / "keys").iterdir()}
    fail(other, "--replace")
    assert {path.name: path.read_bytes() for path in (other.home / "keys").iterdir()} == keys
    with other.app() as app:
        assert call(app, own.id, own_token)[0] == 200
        assert verify(other.home / "logs").is_whole, "nothing was logged of what is no more"

    nowhere = "postgresql://nobody@127.0.0.1:9/nothing"
    said = here.mcpweb("restore", file, "--replace", MCPWEB_LOG_DATABASE_URL=nowhere)
    assert "the log index was not built" in said and "will be mailed" not in said
    with here.app() as app:
        assert call(app, work.id, token)[0] == 200, "an index that is away stops no restore"
        assert send_notices()["items"] == 0, "the database before knew that it was mailed"
        assert verify(here.home / "logs").is_whole


def test_a_backup_that_is_made_while_others_write_is_of_one_moment(
    new: Callable[[str], Installation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "_PAGES", 2)
    here, file, stop, written = new("home"), tmp_path / "backup", threading.Event(), [0]
    here.prepare()
    longest_s = [0.0]

    with here.app() as app:

        def write() -> None:
            with app.app_context():
                while not stop.is_set():
                    began = clock.monotonic()
                    with transaction():
                        email = f"{written[0]}@example.com"
                        db.session.add(User(email=email, role=Role.USER, created_at=clock.utcnow()))
                        audit.record("user.create", actor=email, subject="user/0")
                    longest_s[0] = max(longest_s[0], clock.monotonic() - began)
                    written[0] += 1

        before = db.session.scalar(select(func.count()).select_from(text("audit_event")))
        writer = threading.Thread(target=write)
        writer.start()
        try:
            until(lambda: written[0] > 3, "it is written to")
            begun = written[0]
            here.mcpweb("backup", file)
            assert written[0] > begun, "nobody waits for the backup"
        finally:
            stop.set()
            writer.join()

    rows = Reader(file).manifest.rows
    print(f"\n{written[0] - begun} transactions meanwhile, the longest {longest_s[0] * 1000:.0f} ms")
    assert rows["user"] == rows["audit_event"] - (before or 0), "a transaction is in it whole, or not at all"
    assert begun <= rows["user"] <= written[0]
    said = here.mcpweb("restore", file, "--check")
    assert said.count("good") == 5


def test_a_backup_of_an_older_revision_is_migrated_and_one_of_a_newer_is_refused(
    new: Callable[[str], Installation], tmp_path: Path
) -> None:
    here = new("home")
    here.prepare()
    with here.app():
        connect("alice@example.com", "Work")
        for back in ("0001", "0002"):  # up, down, up: what is there stays
            command.downgrade(migrating.alembic_config(), back)
            migrating.upgrade()
            assert db.session.scalar(text("SELECT count(*) FROM instance_token")) == 1
            db.session.rollback()
        command.downgrade(migrating.alembic_config(), "0002")
        here.mcpweb("backup", older := tmp_path / "older")
        with transaction():
            db.session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        here.mcpweb("backup", newer := tmp_path / "newer")

    there = new("there")
    assert "Update mcpweb first" in there.mcpweb("restore", newer, expect=1)
    assert "0002, migrated to 0003" in there.mcpweb("restore", older)
    with there.app():
        assert db.session.scalar(select(Instance.label)) == "Work"
        with transaction():
            db.session.execute(
                text(
                    "INSERT INTO host_role (host, role, process, name, version, started_at, seen_at, figures) "
                    "VALUES ('h', 'web', 7, 'one', '1', :now, :now, '{}')"
                ),
                {"now": clock.utcnow() if db.engine.dialect.name == "postgresql" else f"{clock.utcnow():%F %T.%f}"},
            )
    assert "web on one (process 7)" in there.mcpweb("restore", older, "--replace", expect=1)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_damaged_file_is_refused_with_the_name_of_the_part_and_a_full_disk_leaves_nothing(
    new: Callable[[str], Installation], tmp_path: Path
) -> None:
    here, file = new("home"), tmp_path / "backup"
    here.prepare()
    here.mcpweb("backup", file, "--logs")
    whole, reader = file.read_bytes(), Reader(file)
    places = {member.name: (member.offset, member.offset_data + member.size // 2) for member in reader._tar}
    assert set(places) == {"keys.sealed", "database.sqlite3.gz", "logs.tar.gz", "manifest.json"}

    def said_of(damaged: bytes) -> str:
        file.write_bytes(damaged)
        return here.mcpweb("restore", file, "--check", expect=1)

    for name, (head, middle) in places.items():
        assert f"The part {name}" in said_of(flipped(whole, middle))
        assert "damaged" in said_of(flipped(whole, head + 3))
    assert "cut off or" in said_of(whole[: len(whole) // 2])
    assert "no backup of mcpweb" in said_of(b"something else" * 100)

    before = sorted(path.name for path in tmp_path.iterdir())
    with small_disk(tmp_path / "small", 128) as small:
        assert "disk is full" in here.mcpweb("backup", small / "backup", expect=1)
        assert list(small.iterdir()) == []
    (tmp_path / "small").rmdir()
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def flipped(whole: bytes, place: int) -> bytes:
    """With one bit changed."""
    return whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
