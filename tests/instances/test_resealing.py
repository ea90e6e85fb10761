"""Key rotation: everything is sealed anew, at whatever point it was stopped, and nothing is overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from mcpweb import crypto
from mcpweb.crypto import Keyring, KeyUnusable
from mcpweb.database import db, transaction
from mcpweb.errors import Conflict
from mcpweb.instances import credentials, key_checks, resealing
from mcpweb.instances.house import house
from mcpweb.instances.models import Instance, KeyCheck
from mcpweb.jobs import resealing as job
from mcpweb.jobs import runs
from mcpweb.jobs.models import JobRun
from tests.instances import endpoint

AT = "/admin/maintenance/keys"


@pytest.fixture
def ring(app, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keyring:
    """The application's ring, with a file of the test's own in which the first key stands."""
    file = tmp_path / "encryption_keys"
    file.write_text(crypto.new_encryption_key() + "\n")
    found = house().keyring
    monkeypatch.setattr(found, "keys", Keyring.parse(file.read_text()).keys)
    monkeypatch.setattr(found, "file", file)
    return found


def rows() -> dict[str, int]:
    db.session.rollback()
    return dict(resealing.rows_by_key())


def reload(instance: Instance) -> Instance:
    db.session.rollback()
    db.session.refresh(instance)
    return instance


def work() -> None:
    """Does what waits, as a worker does."""
    waiting = db.session.query(JobRun).filter_by(job="reseal", state="waiting").one()
    runs.perform("reseal", job.reseal, trigger="hand", run_id=waiting.id)


def test_an_administrator_rotates_sees_what_is_left_and_which_key_may_go(app, carol, ring, make_instance):
    (one, token), (two, _), (broken, _) = (make_instance() for _ in range(3))
    assert endpoint.works_from_memory(app, one.id, token)
    with transaction():
        broken.credential_sealed = b"\x01" + bytes(40)
    old = ring.newest
    new = crypto.add_encryption_key(ring.file)
    assert ring.file.stat().st_mode & 0o777 == 0o600 and [path.name for path in ring.file.parent.glob(".enc*")] == []

    page = carol.get(AT)
    assert "3 credentials are sealed with another key" in page.text and "Not before the rotation" in page.text
    page = carol.submit(page.form("/reseal/run"))
    assert "Look again" in page.text and page.path == AT
    work()

    page = carol.get(AT)
    assert rows() == {new: 2, old: 1}
    assert (
        "1 credential is sealed with another key" in page.text and f'href="/admin/instances/{broken.id}"' in page.text
    )
    assert reload(broken).credential_sealed == b"\x01" + bytes(40), "what can not be read stays as it is"
    assert endpoint.works_from_memory(app, one.id, token)
    house().access.clear()
    assert endpoint.works(app, one.id, token), "sealed with the new key"

    with transaction():
        credentials.seal(broken, {"token": "entered again"}, ring)
    page = carol.get(AT)
    assert "Everything is sealed with the newest key" in page.text and "keep it with old backups" in page.text
    assert credentials.unseal(reload(two), Keyring({new: ring.keys[new]}))


def test_a_rotation_that_is_stopped_anywhere_is_finished_by_the_next(ring, make_instance, monkeypatch):
    made = [make_instance()[0] for _ in range(3)]
    monkeypatch.setattr(resealing, "_BATCH", 1)
    old, new = ring.newest, crypto.add_encryption_key(ring.file)

    def stop(report: resealing.Resealed) -> None:
        raise KeyboardInterrupt

    for left in (2, 1):
        with pytest.raises(KeyboardInterrupt):
            resealing.reseal(ring, stop)
        assert rows() == {new: 3 - left, old: left}
        assert all(credentials.is_readable(reload(one), ring) for one in made)

    told: list[tuple[int, int]] = []
    resealing.reseal(ring, lambda report: told.append((report.done, report.left)))
    assert told == [(1, 0)] and rows() == {new: 3}
    assert resealing.reseal(ring).done == 0


def test_what_its_owner_replaces_meanwhile_is_left_alone(ring, make_instance):
    instance, _ = make_instance()
    crypto.add_encryption_key(ring.file)

    class Meddled(Keyring):
        """While it is at work, the owner enters another key."""

        def open(self, key_id: str, sealed: bytes, context: str) -> bytes:
            plain = super().open(key_id, sealed, context)
            if context == instance.credential_context:
                key, fresh = self.seal(b'{"token":"newer"}', context)
                values = {"credential_key_id": key, "credential_sealed": fresh}
                with transaction():
                    db.session.execute(update(Instance).where(Instance.id == instance.id).values(**values))
            return plain

    done = resealing.reseal(Meddled(ring.keys, ring.file))

    assert done.done == 0
    assert credentials.unseal(reload(instance), ring) == {"token": "newer"}


def test_a_host_with_an_old_or_a_wrong_key_changes_nothing(ring, make_instance):
    instance, _ = make_instance()
    before = ring.file.read_text()
    new = crypto.add_encryption_key(ring.file)
    resealing.reseal(ring)
    sealed = reload(instance).credential_sealed

    with pytest.raises(Conflict, match=f"{new} is in use, and this host does not have it"):
        resealing.reseal(Keyring.parse(before))
    other = crypto.new_encryption_key().partition(":")[2]
    with pytest.raises(KeyUnusable, match="is not the one that was used before"):
        resealing.reseal(Keyring.parse(f"{new}:{other},{before}"))

    assert reload(instance).credential_sealed == sealed and rows() == {new: 1}
    assert credentials.is_readable(instance, ring)


def test_who_seals_takes_the_newest_key_of_the_file_although_it_came_later(ring, make_instance):
    new = crypto.add_encryption_key(ring.file)

    instance, _ = make_instance()

    assert instance.credential_key_id == new


def test_a_file_that_can_not_be_read_leaves_the_ring_as_it_was_and_gets_no_new_key(ring, make_instance):
    ring.file.write_text("nonsense")
    with pytest.raises(KeyUnusable):
        crypto.add_encryption_key(ring.file)
    assert ring.file.read_text() == "nonsense"

    instance, _ = make_instance()

    assert credentials.is_readable(instance, ring)
    with transaction():
        key_checks.check_all(ring)
    assert db.session.query(KeyCheck).count() == 1
