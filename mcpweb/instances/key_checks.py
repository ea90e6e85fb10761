"""Is this the key that was used before? Each encryption key leaves a known text, sealed, in the database.

Without it, a server started with another key of the same id would seal new credentials that the right one can not open.
"""

from __future__ import annotations

from sqlalchemy import func, select

from mcpweb.crypto import Keyring, KeyUnusable
from mcpweb.database import db, now
from mcpweb.instances.models import Instance, KeyCheck

_KNOWN = b"mcpweb"
_CONTEXT = "key check"


def ensure(keyring: Keyring) -> None:
    """Check the key that seals, inside a transaction; one that is used for the first time leaves its mark.

    Raises:
        KeyUnusable: the database knows another key by this id.
    """
    row = db.session.get(KeyCheck, keyring.newest)
    if row is None:
        key_id, sealed = keyring.seal(_KNOWN, _CONTEXT)
        db.session.add(KeyCheck(key_id=key_id, sealed=sealed, created_at=now()))
        db.session.flush()
    elif not _fits(row, keyring):
        raise _wrong([row.key_id])


def check_all(keyring: Keyring) -> list[str]:
    """As `compare`, inside a transaction; a key that is used for the first time leaves its mark.

    Raises:
        KeyUnusable: the database knows another key by one of the ids.
    """
    ensure(keyring)
    return compare(keyring)


def compare(keyring: Keyring) -> list[str]:
    """Check every key of the ring without writing; returns a sentence for each key that is missing in it.

    Raises:
        KeyUnusable: the database knows another key by one of the ids.
    """
    if ids := wrong(keyring):
        raise _wrong(ids)
    lost = db.session.execute(
        select(Instance.credential_key_id, func.count())
        .where(Instance.credential_key_id.not_in(keyring.keys))
        .group_by(Instance.credential_key_id)
    )
    return [f"The encryption key {key_id} is missing; {count} instances can not be called." for key_id, count in lost]


def wrong(keyring: Keyring) -> list[str]:
    """The keys of the ring that are not what the database knows by these ids."""
    rows = db.session.scalars(select(KeyCheck).where(KeyCheck.key_id.in_(keyring.keys)))
    return [row.key_id for row in rows if not _fits(row, keyring)]


def _fits(row: KeyCheck, keyring: Keyring) -> bool:
    try:
        return keyring.open(row.key_id, row.sealed, _CONTEXT) == _KNOWN
    except KeyUnusable:
        return False


def _wrong(ids: list[str]) -> KeyUnusable:
    return KeyUnusable(
        f"The encryption key {', '.join(ids)} is not the one that was used before under this name. "
        "Nothing was changed: start with the right key, or give the new one another name."
    )
