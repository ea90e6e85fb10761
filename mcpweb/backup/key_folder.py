"""Which keys an installation gets that is restored, and putting them into its home."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mcpweb.backup import sealed_keys
from mcpweb.backup.archive import Reader
from mcpweb.backup.making import KEYS_PART
from mcpweb.backup.sealed_keys import Keys
from mcpweb.crypto import KeyUnusable
from mcpweb.errors import NotFound, Unavailable
from mcpweb.settings import Settings


def choose(reader: Reader, settings: Settings, folder: Path | None, passphrase: Callable[[], str]) -> Keys:
    """Those of the folder that was named; else those in the backup; else those at hand.

    What the settings name is not overruled: the program will start with it.

    Raises:
        NotFound: there are none.
        KeyUnusable: they are not those of the backup, or the passphrase does not open them.
    """
    found = _found(reader, settings, folder, passphrase)
    keys = Keys(settings.secret_key or found.secret_key, settings.encryption_keys or found.encryption_keys)
    if not keys.fits(reader.manifest.secret_check):
        raise KeyUnusable(
            "The secret key is not that of the installation in the backup"
            + (", and MCPWEB_SECRET_KEY names it" if settings.secret_key else "")
            + ". Nothing was changed: bring the right one."
        )
    if lost := [key for key in reader.manifest.keys_needed if key not in keys.ring.keys]:
        raise KeyUnusable(f"The encryption key {', '.join(lost)} is missing, and credentials are sealed with it.")
    return keys


def _found(reader: Reader, settings: Settings, folder: Path | None, passphrase: Callable[[], str]) -> Keys:
    if folder is not None:
        return sealed_keys.in_folder(folder)
    if settings.secret_key and settings.encryption_keys:
        return Keys(settings.secret_key, settings.encryption_keys)
    if reader.manifest.has_keys:
        with reader.open(KEYS_PART) as part:
            return sealed_keys.unseal(part.read(), passphrase())
    try:
        return sealed_keys.in_folder(settings.home / "keys")
    except NotFound:
        needed = ", ".join(reader.manifest.keys_needed) or "any"
        raise NotFound(
            f"The backup was made without keys. Name the folder that has them with --keys; needed: {needed}."
        ) from None


@contextmanager
def placed(keys: Keys, settings: Settings, stamp: str) -> Iterator[list[Path]]:
    """Put what the settings do not name into the home; yields where the files are kept that differ from it.

    When the block fails, or not all of them can be written, the files that were there are back.

    Raises:
        Unavailable: one can not be written.
    """
    folder = settings.home / "keys"
    written: dict[Path, Path | None] = {}
    try:
        for name, value, is_named in (
            ("secret_key", keys.secret_key, settings.secret_key),
            ("encryption_keys", keys.encryption_keys, settings.encryption_keys),
        ):
            if not is_named:
                _place(folder / name, value, stamp, written)
        yield [before for before in written.values() if before]
    except BaseException:
        for path, before in written.items():
            if before:
                before.replace(path)
            else:
                path.unlink()
        raise


def _place(path: Path, value: str, stamp: str, written: dict[Path, Path | None]) -> None:
    """Write a key unless it is there; note in `written` where the one is now that was in its place."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (path.exists() and path.read_text("utf-8").strip() == value):
            written[path] = _write(path, value, stamp)
    except OSError as error:
        raise Unavailable(f"The file {path} can not be written: {error.strerror}. Nothing was changed.") from None


def _write(path: Path, value: str, stamp: str) -> Path | None:
    """Have it on the disk, and then in its place; returns where the one is now that was there before."""
    draft = path.with_name(f".{path.name}.restoring")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(value + "\n")
        file.flush()
        os.fsync(file.fileno())
    before = path.rename(path.with_name(f"{path.name}.before-{stamp}")) if path.exists() else None
    draft.rename(path)
    return before
