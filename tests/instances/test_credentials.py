"""Keys at rest: encrypted, bound to their row, and of no use anywhere else."""

from __future__ import annotations

import base64
from uuid import UUID

import pytest

from mcpweb.crypto import Keyring, KeyUnusable, new_encryption_key
from mcpweb.database import db, transaction
from mcpweb.instances import credentials, key_checks
from mcpweb.instances.house import house
from mcpweb.instances.models import Instance
from mcpweb.web.current import settings as current_settings
from tests.instances.connecting import GOOD, connect, shown_token
from tests.instances.endpoint import call, works
from tests.spec_server import TOKENS


def forget() -> None:
    """As after a minute, or in another process."""
    house().access.clear()


def test_the_stored_key_is_sealed_with_the_newest_key_of_the_ring(alice):
    connect(alice)

    instance = db.session.query(Instance).one()
    assert instance.credential_key_id == house().keyring.newest
    assert GOOD.encode() not in instance.credential_sealed
    assert base64.b64encode(GOOD.encode())[:20] not in instance.credential_sealed
    assert credentials.unseal(instance, house().keyring) == {"token": GOOD}


def test_the_same_key_stored_twice_looks_different(make_instance):
    first, second = make_instance()[0], make_instance()[0]

    assert first.credential_sealed != second.credential_sealed
    assert first.credential_sealed[1:13] != second.credential_sealed[1:13]


def test_a_key_moved_to_another_row_opens_nothing_there(app, make_instance):
    (mine, token), (other, others_token) = (
        make_instance(),
        make_instance("bob@example.com", token=TOKENS["github"]["oauth"]),
    )
    assert works(app, mine.id, token) and works(app, other.id, others_token)
    forget()

    with transaction():
        first, second = db.session.get(Instance, mine.id), db.session.get(Instance, other.id)
        assert first and second
        first.credential_sealed, second.credential_sealed = second.credential_sealed, first.credential_sealed

    for instance, its_token in ((mine, token), (other, others_token)):
        status, answer = call(app, instance.id, its_token)
        assert status == 503
        assert "result" not in answer
        assert TOKENS["github"]["oauth"] not in str(answer) and GOOD not in str(answer)


@pytest.mark.parametrize("place", [0, 1, 12, 13, -1])
def test_a_changed_byte_of_a_stored_key_is_noticed(place, app, make_instance):
    instance, token = make_instance()
    sealed = bytearray(instance.credential_sealed)
    sealed[place] ^= 1
    with transaction():
        row = db.session.get(Instance, instance.id)
        assert row
        row.credential_sealed = bytes(sealed)

    assert call(app, instance.id, token)[0] == 503


def test_the_database_alone_opens_no_key(make_instance):
    instance, _ = make_instance()

    with pytest.raises(KeyUnusable):
        credentials.unseal(instance, Keyring.parse(new_encryption_key()))
    same_name = Keyring.parse(f"{instance.credential_key_id}:{base64.b64encode(bytes(32)).decode()}")
    with pytest.raises(KeyUnusable):
        credentials.unseal(instance, same_name)


def test_after_a_new_encryption_key_the_old_rows_still_open_and_new_ones_use_it(other_app, make_instance, alice):
    old, token = make_instance()
    keys = f"{new_encryption_key()},{(current_settings().home / 'keys' / 'encryption_keys').read_text().strip()}"
    app = other_app(encryption_keys=keys)
    alice.transport.client.application = app

    page = connect(alice)

    new = db.session.get(Instance, UUID(page.path.rpartition("/")[2]))
    assert new and new.credential_key_id == keys.split(":")[0]
    assert works(app, old.id, token)
    assert works(app, new.id, shown_token(page))


def test_a_server_without_the_right_key_serves_everything_but_the_calls(other_app, make_instance, alice):
    instance, token = make_instance()
    app = other_app(encryption_keys=new_encryption_key())
    alice.transport.client.application = app

    status, answer = call(app, instance.id, token)
    assert status == 503
    assert "can not be read here. Its owner can enter it again: " in answer["error"]["message"]
    assert answer["error"]["message"].endswith(f"/instances/{instance.id}")
    page = alice.get(f"/instances/{instance.id}")
    assert page.status == 200
    db.session.expire_all()
    assert db.session.query(Instance).one().credential_key_id == house().keyring.newest, "nothing was overwritten"


def test_a_key_that_this_server_can_not_read_is_entered_again_and_works(other_app, make_instance, alice):
    (lost, lost_token), (other, _) = make_instance(), make_instance()
    before = other.credential_sealed
    app = other_app(encryption_keys=new_encryption_key())
    alice.transport.client.application = app
    assert not works(app, lost.id, lost_token)

    page = alice.get(f"/instances/{lost.id}/credential")
    page = alice.submit(page.form("/credential"), credential_token=TOKENS["github"]["good"])

    assert page.path == f"/instances/{lost.id}", page.text
    assert works(app, lost.id, lost_token)
    db.session.expire_all()
    untouched = db.session.get(Instance, other.id)
    assert untouched and untouched.credential_sealed == before, "nothing was overwritten that nobody entered"


def test_the_owner_is_told_that_a_key_can_not_be_read(other_app, make_instance, alice):
    instance, _ = make_instance()
    alice.transport.client.application = other_app(encryption_keys=new_encryption_key())

    page = alice.get(f"/instances/{instance.id}")

    assert "The stored key can not be read" in page.text
    assert "Key not readable" in alice.get("/instances").text
    assert "with a key that this server does not have" in alice.submit(page.form("/credential/check")).text


def impostor() -> str:
    """Another key under the name of the present one."""
    return f"{house().keyring.newest}:{new_encryption_key().partition(':')[2]}"


def test_nothing_is_sealed_with_another_key_under_the_name_of_the_present_one(other_app, make_instance, alice):
    instance, _ = make_instance()
    before = (instance.credential_sealed, db.session.query(Instance).count())
    app = other_app(encryption_keys=impostor())
    alice.transport.client.application = app

    page = alice.get(f"/instances/{instance.id}/credential")
    page = alice.submit(page.form("/credential"), credential_token=TOKENS["github"]["good"])
    assert page.status == 503 and "is not the one that was used before" in page.text
    page = alice.get("/services/github/connect")
    page = alice.submit(page.form("/connect"), credential_token=TOKENS["github"]["good"], label="Other")
    assert page.status == 503 and "is not the one that was used before" in page.text

    db.session.expire_all()
    assert (db.session.query(Instance).one().credential_sealed, db.session.query(Instance).count()) == before


def test_migrating_refuses_another_key_of_the_same_name_and_names_one_that_is_missing(app, make_instance):
    make_instance()
    right = house().keyring
    with transaction(), pytest.raises(KeyUnusable, match="not the one that was used before"):
        key_checks.check_all(Keyring.parse(impostor()))
    other = new_encryption_key()

    with transaction():
        missing = key_checks.check_all(Keyring.parse(other))

    assert missing == [f"The encryption key {right.newest} is missing; 1 instances can not be called."]
    with transaction():
        assert key_checks.check_all(right) == []
