"""What a backup says of itself: when and of what it was made, how many rows it has, and the digest of each part."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http import HTTPStatus

from mcpweb.errors import AppError

FORMAT = 1
"""Of the file as a whole. A backup of a newer format is refused."""


class Damaged(AppError):
    """A backup that can not be used as it is; the sentence names the part."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The last part of a backup. Everything in it was true in the one moment that the copy of the database shows."""

    format: int = FORMAT
    version: str
    """Of the program."""
    revision: str
    """Of the database."""
    database: str
    """sqlite or postgresql."""
    made_at: str
    """Just before that moment, in ISO 8601."""
    host: str
    """Id of the host whose home it was, and whose logs are in it if there are any."""
    host_name: str
    rows: Mapping[str, int]
    """By table."""
    audit_seq: int
    audit_digest: str
    """The newest entry of the audit trail: 0 and empty when there was none."""
    keys_needed: tuple[str, ...]
    """Ids of the encryption keys that something is sealed with."""
    secret_check: str
    """Tells whether a secret key is that of the installation, without telling the key."""
    has_keys: bool
    has_logs: bool
    parts: Mapping[str, tuple[int, str]]
    """Bytes and SHA-256 by name, in the order of the file; this one is not among them."""

    @property
    def moment(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.made_at).astimezone(UTC)

    def dump(self) -> bytes:
        """Two lines: the values as JSON, and the digest of the first line."""
        said = json.dumps(asdict(self), sort_keys=True).encode()
        return said + b"\n" + hashlib.sha256(said).hexdigest().encode() + b"\n"


def parse(raw: bytes) -> Manifest:
    """The opposite of `dump`.

    Raises:
        Damaged: it was changed, or is none that this program knows.
    """
    said, _, digest = raw.partition(b"\n")
    if hashlib.sha256(said).hexdigest().encode() != digest.strip():
        raise Damaged("The part manifest.json is damaged: it does not have the digest that stands under it.")
    try:
        values = json.loads(said)
        if values["format"] > FORMAT:
            raise Damaged(
                "A newer mcpweb made this backup, in a form that this one does not know. Update mcpweb first."
            )
        parts = {name: (int(size), str(digest)) for name, (size, digest) in values.pop("parts").items()}
        manifest = Manifest(**{**values, "keys_needed": tuple(values["keys_needed"])}, parts=parts)
        if manifest.moment.tzinfo is None or manifest.database not in ("sqlite", "postgresql"):
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Damaged("The part manifest.json is none that this mcpweb knows.") from None
    return manifest
