"""Whether a backup that was loaded into a database is what it says it is, and opens with the keys at hand."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from sqlalchemy import select

from mcpweb.backup import facts
from mcpweb.backup.manifest import Damaged, Manifest
from mcpweb.crypto import Keyring, KeyUnusable
from mcpweb.database import db
from mcpweb.instances import key_checks
from mcpweb.instances.models import Instance
from mcpweb.logs.verifying import verify


class Found(NamedTuple):
    """A line of the table: what was looked at, whether it is as it should be, and what was found."""

    what: str
    is_good: bool
    value: str


def counts(manifest: Manifest) -> Found:
    """Every table has as many rows as when it was backed up; ask before anything is changed.

    Raises:
        Damaged: one has not.
    """
    rows = facts.ask(db.session.connection()).rows
    for name, expected in manifest.rows.items():
        if rows.get(name) != expected:
            raise Damaged(f"The table {name} has {rows.get(name, 'no')} rows; there should be {expected}.")
    return Found("Rows", True, f"{sum(rows.values()):,} in {len(rows)} tables, as in the manifest")


def keys(manifest: Manifest, keyring: Keyring) -> Found:
    """The keys are the right ones, none is missing, and one credential is opened.

    Raises:
        KeyUnusable: they are not.
    """
    if lost := [key for key in manifest.keys_needed if key not in keyring.keys]:
        raise KeyUnusable(f"The encryption key {', '.join(lost)} is missing, and credentials are sealed with it.")
    key_checks.compare(keyring)
    row = db.session.execute(
        select(Instance.id, Instance.credential_key_id, Instance.credential_sealed).limit(1)
    ).one_or_none()
    if row is None:
        return Found("Keys", True, "they fit; there is no credential to open")
    keyring.open(row.credential_key_id, row.credential_sealed, Instance.context_of(row.id))
    return Found("Keys", True, f"they fit; the credential of {row.id} was opened")


def audit_trail() -> Found:
    """The chain holds from its first entry to its last. One that does not is told and no reason to refuse."""
    with TemporaryDirectory() as empty:
        verdict = verify(Path(empty))
    return Found("Audit trail", verdict.is_whole, verdict.damage or f"{verdict.entries:,} entries, whole to the last")
