"""Keys and what is made with them: encryption at rest, derived keys, and the tokens that MCP clients show us."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import os
import secrets
import string
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mcpweb.errors import AppError
from mcpweb.settings import Settings

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_NONCE_BYTES = 12
_VERSION = b"\x01"

TOKEN_PREFIX = "mcpw_"  # noqa: S105 - a public marker that lets scanners find leaked tokens
TOKEN_LENGTH = len(TOKEN_PREFIX) + 32 + 6


class KeyUnusable(AppError):
    """A key is missing or malformed, or does not open what another key has sealed."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


@dataclass(slots=True)
class Keyring:
    """AES-256-GCM keys by id. The first one seals, all of them open.

    With a file, what stands in it counts: whoever seals, or meets a key that is not known here, reads it again. So a
    process needs no restart to open what another one has sealed with a new key, and never seals with an old one.
    """

    keys: Mapping[str, AESGCM] = field(repr=False)
    file: Path | None = None

    @classmethod
    def parse(cls, text: str, file: Path | None = None) -> Keyring:
        """Read `id:base64,id:base64`, newest first; `file` is where that stands, if it may change while we run.

        Raises:
            KeyUnusable: an entry is not an id of 1 to 20 characters with 32 bytes.
        """
        keys: dict[str, AESGCM] = {}
        for entry in filter(None, (part.strip() for part in text.split(","))):
            key_id, _, encoded = entry.partition(":")
            try:
                raw = base64.b64decode(encoded, validate=True)
            except ValueError:
                raw = b""
            if not 1 <= len(key_id) <= 20 or not key_id.isascii() or len(raw) != 32:
                raise KeyUnusable("MCPWEB_ENCRYPTION_KEYS must hold entries `id:base64 of 32 bytes`")
            keys[key_id] = AESGCM(raw)
        if not keys:
            raise KeyUnusable("MCPWEB_ENCRYPTION_KEYS holds no key")
        return cls(keys, file)

    @property
    def newest(self) -> str:
        """The id of the key that seals."""
        return next(iter(self.keys))

    def read_again(self) -> None:
        """Take in what the file holds by now; one that can not be read changes nothing."""
        if self.file is not None:
            with contextlib.suppress(OSError, ValueError, KeyUnusable):
                self.keys = Keyring.parse(self.file.read_text(encoding="utf-8")).keys

    def seal(self, plain: bytes, context: str) -> tuple[str, bytes]:
        """Encrypt, bound to a context such as `instance/<uuid>/credential`: (key id, version + nonce + ciphertext)."""
        self.read_again()
        key_id, key = next(iter(self.keys.items()))
        nonce = os.urandom(_NONCE_BYTES)
        return key_id, _VERSION + nonce + key.encrypt(nonce, plain, _aad(key_id, context))

    def open(self, key_id: str, sealed: bytes, context: str) -> bytes:
        """Decrypt what `seal` made for the same context.

        Raises:
            KeyUnusable: the key is not in the ring, or the data was made for another context, or changed.
        """
        if key_id not in self.keys:
            self.read_again()
        key = self.keys.get(key_id)
        if key is None or sealed[:1] != _VERSION:
            raise KeyUnusable("A stored secret was sealed with a key that this server does not have")
        try:
            return key.decrypt(sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :], _aad(key_id, context))
        except (InvalidTag, ValueError):  # ValueError: it is too short to hold a nonce
            raise KeyUnusable("A stored secret can not be opened with the key of its name") from None


def _aad(key_id: str, context: str) -> bytes:
    return f"{key_id}\n{context}".encode()


def derive(secret: str, purpose: str) -> str:
    """A key of its own for one purpose, so that a session cookie is never a valid mail link (HKDF, RFC 5869)."""
    raw = HKDF(SHA256(), 32, salt=None, info=f"mcpweb {purpose}".encode()).derive(secret.encode())
    return base64.urlsafe_b64encode(raw).decode()


def hash_secret(secret: str) -> bytes:
    """What the database keeps of a random secret of 128 bits or more: enough to find it, useless to a thief."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def mint_token() -> str:
    """A token for an MCP client: `mcpw_`, 32 random base62 characters (190 bits), 6 of their CRC-32.

    The checksum lets scanners and the endpoint tell a token from noise without asking a database.
    """
    body = "".join(secrets.choice(_BASE62) for _ in range(32))
    return TOKEN_PREFIX + body + _checksum(TOKEN_PREFIX + body)


def is_token(text: str) -> bool:
    """Whether the text has the form of `mint_token`, checksum included; says nothing about its being valid."""
    return len(text) == TOKEN_LENGTH and text.startswith(TOKEN_PREFIX) and _checksum(text[:-6]) == text[-6:]


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode("utf-8", "surrogatepass"))
    digits = ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits


def load_or_make(path: Path, make: str) -> str:
    """The secret in the file, written once (mode 0600, its folder 0700) if there is none."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        # Two processes may start at once: each writes its own whole file, and the first to link it wins.
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(make + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text(encoding="utf-8").strip()


def new_secret() -> str:
    """256 random bits as text, for the secret key."""
    return secrets.token_urlsafe(32)


def new_encryption_key() -> str:
    """An entry of the key ring with a fresh id and 32 random bytes."""
    return f"k{secrets.token_hex(3)}:{base64.b64encode(os.urandom(32)).decode()}"


def add_encryption_key(path: Path) -> str:
    """Put a fresh key in front of those in the file, whole and at once; returns its id.

    Raises:
        KeyUnusable: what stands in the file can not be read; nothing was changed.
    """
    entry, folder = new_encryption_key(), os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # of two at once, the second adds to what the first has written
        before = path.read_text(encoding="utf-8").strip()
        Keyring.parse(before)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(f"{entry},{before}\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        os.fsync(folder)
    finally:
        os.close(folder)
    return entry.partition(":")[0]


def encryption_key_file(settings: Settings) -> Path | None:
    """Where the home folder keeps the encryption keys; None when the operator names them in the settings."""
    return None if settings.encryption_keys else settings.home / "keys" / "encryption_keys"


def with_keys(settings: Settings) -> Settings:
    """The settings with both secrets filled in: from the environment, or made once in the home folder."""
    folder = settings.home / "keys"
    return replace(
        settings,
        secret_key=settings.secret_key or load_or_make(folder / "secret_key", new_secret()),
        encryption_keys=settings.encryption_keys or load_or_make(folder / "encryption_keys", new_encryption_key()),
    )
