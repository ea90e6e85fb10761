"""The keys of an installation, as they travel with a backup: sealed with a passphrase (scrypt, AES-256-GCM)."""

from __future__ import annotations

import base64
import hmac
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from mcpweb.backup.manifest import Damaged
from mcpweb.crypto import Keyring, KeyUnusable, derive
from mcpweb.errors import InvalidInput, NotFound

SHORTEST = 12
"""Characters of a passphrase."""
_COST, _BLOCK_SIZE, _PARALLEL = 2**17, 8, 1
"""128 MB and about half a second for each guess (RFC 7914; the parameters that OWASP names)."""
_MAX_COST = 2**20
_PURPOSE = b"mcpweb backup keys 1"


class WrongPassphrase(KeyUnusable):
    """The passphrase does not open the keys of a backup."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Both secrets of an installation, as their settings have them."""

    secret_key: str = field(repr=False)
    encryption_keys: str = field(repr=False)

    @property
    def check(self) -> str:
        """Tells two secret keys apart, and neither of them to anybody."""
        return derive(self.secret_key, "backup check")[:16]

    def fits(self, check: str) -> bool:
        """Whether the secret key is the one that left this check."""
        return hmac.compare_digest(self.check, check)

    @property
    def ring(self) -> Keyring:
        """The encryption keys, ready for use.

        Raises:
            KeyUnusable: they are malformed.
        """
        return Keyring.parse(self.encryption_keys)


def seal(keys: Keys, passphrase: str) -> bytes:
    """Encrypt for a backup.

    Raises:
        InvalidInput: the passphrase is too short.
    """
    if len(passphrase) < SHORTEST:
        raise InvalidInput(f"The passphrase of a backup must have {SHORTEST} characters or more.")
    salt, nonce = os.urandom(16), os.urandom(12)
    plain = json.dumps({"secret_key": keys.secret_key, "encryption_keys": keys.encryption_keys}).encode()
    sealed = AESGCM(_stretch(passphrase, salt, _COST)).encrypt(nonce, plain, _PURPOSE)
    told = {"cost": _COST} | {
        name: base64.b64encode(value).decode() for name, value in (("salt", salt), ("nonce", nonce), ("keys", sealed))
    }
    return json.dumps(told).encode()


def unseal(raw: bytes, passphrase: str) -> Keys:
    """Decrypt what `seal` made.

    Raises:
        WrongPassphrase: it does not open it.
        Damaged: it is nothing that `seal` made.
    """
    try:
        told = json.loads(raw)
        cost = int(told["cost"])
        salt, nonce, sealed = (base64.b64decode(told[name], validate=True) for name in ("salt", "nonce", "keys"))
        if not 2 <= cost <= _MAX_COST or cost & (cost - 1):
            raise ValueError
        plain = AESGCM(_stretch(passphrase, salt, cost)).decrypt(nonce, sealed, _PURPOSE)
        return Keys(**json.loads(plain))
    except InvalidTag:
        raise WrongPassphrase("This passphrase does not open the keys of the backup. Nothing was changed.") from None
    except (ValueError, TypeError, KeyError):
        raise Damaged("The part with the keys is none that this mcpweb knows.") from None


def in_folder(folder: Path) -> Keys:
    """The keys that stand in a folder as a home has them: `secret_key` and `encryption_keys`.

    Raises:
        NotFound: one of them is missing or can not be read.
    """
    try:
        return Keys(*((folder / name).read_text("utf-8").strip() for name in ("secret_key", "encryption_keys")))
    except (OSError, ValueError):
        raise NotFound(f"{folder} must hold the files secret_key and encryption_keys of the installation.") from None


def _stretch(passphrase: str, salt: bytes, cost: int) -> bytes:
    return Scrypt(salt, 32, cost, _BLOCK_SIZE, _PARALLEL).derive(passphrase.encode())
