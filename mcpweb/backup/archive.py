"""The file of a backup: an ordinary tar archive of a few parts, written whole or not at all, and read with mistrust."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO

from mcpweb.backup import manifest as manifests
from mcpweb.backup.manifest import Damaged, Manifest
from mcpweb.errors import Conflict, Unavailable

MANIFEST = "manifest.json"
BLOCK = 1024 * 1024
_TAR_BLOCK = 512
_MAX_MANIFEST = 1024 * 1024

Tell = Callable[[str], object]
"""Takes a sentence about what goes on."""


class PartWriter:
    """Where a part is written to: whatever comes goes into the file, and is measured on its way."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._digest, self.size = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        """Add to the part."""
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits here."""

    @property
    def digest(self) -> str:
        """SHA-256 of all that was written."""
        return self._digest.hexdigest()


class Writer:
    """Writes a backup beside its place and moves it there when it is complete and on the disk.

    When anything fails, nothing is left. Draft and file are for their owner alone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.draft = path.with_name(f".{path.name}.draft")
        self.parts: dict[str, tuple[int, str]] = {}

    def __enter__(self) -> Writer:
        """Begin.

        Raises:
            Conflict: there is a file already, or another process writes it.
            Unavailable: the folder can not be written.
        """
        if self.path.exists():
            raise Conflict(f"{self.path} is there already. Nothing was written: name another file.")
        try:
            descriptor = os.open(self.draft, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable(f"{self.path} can not be written: {error.strerror}.") from None
        self._file = os.fdopen(descriptor, "w+b")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise Conflict(f"Another process is writing {self.path}.") from None
        self._file.truncate()  # a run that was killed may have left its half
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if kind is None:
                self._complete()
        except BaseException:
            kind = OSError
            raise
        finally:
            if kind is not None:
                self.draft.unlink(missing_ok=True)
            try:
                self._file.close()
            except OSError:
                if kind is None:
                    raise

    def _complete(self) -> None:
        self._file.write(b"\0" * 2 * _TAR_BLOCK)
        self._file.flush()
        os.fsync(self._file.fileno())
        self.draft.rename(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def part(self, name: str) -> Iterator[PartWriter]:
        """Add a part; its head is written last, when its size is known."""
        head_at = self._file.tell()
        self._file.write(b"\0" * _TAR_BLOCK)
        writer = PartWriter(self._file)
        yield writer
        self._file.write(b"\0" * (-writer.size % _TAR_BLOCK))
        end = self._file.tell()
        head = tarfile.TarInfo(name)
        head.size, head.mode = writer.size, 0o600
        self._file.seek(head_at)
        self._file.write(head.tobuf(tarfile.GNU_FORMAT))
        self._file.seek(end)
        self.parts[name] = (writer.size, writer.digest)


class Reader:
    """A backup that is read. Parts are taken by their names in the manifest; nothing is unpacked by the archive's."""

    def __init__(self, path: Path) -> None:
        """Open it and read its manifest.

        Raises:
            Damaged: it is no backup, or the part that says what is in it is missing or damaged.
            Unavailable: the file can not be read.
        """
        self.path = path
        try:
            self._tar = tarfile.open(path, "r:")  # noqa: SIM115 - open for as long as the reader is used
            self._members = {member.name: member for member in self._tar.getmembers() if member.isfile()}
        except OSError as error:
            raise Unavailable(f"{path} can not be read: {error.strerror or 'it is no file'}.") from None
        except tarfile.TarError:
            raise Damaged(f"{path} is no backup of mcpweb, or it is cut off or damaged at its beginning.") from None
        self.manifest = self._read_manifest()

    def _read_manifest(self) -> Manifest:
        found = self._members.get(MANIFEST)
        if found is None or found.size > _MAX_MANIFEST:
            last = ["its beginning", *self._members][-1]
            raise Damaged(
                f"{self.path} is cut off or damaged: what follows {last} can not be read, and {MANIFEST} is missing."
            )
        with self._open(found) as file:
            read = manifests.parse(file.read())
        for name, (size, _) in read.parts.items():
            if name not in self._members or self._members[name].size != size:
                raise Damaged(f"The part {name} of {self.path} is missing or has another size than it should.")
        return read

    def close(self) -> None:
        """Done with it."""
        self._tar.close()

    def open(self, name: str) -> IO[bytes]:
        """Read a part from its beginning.

        Raises:
            Damaged: there is no such part.
        """
        if name not in self.manifest.parts:
            raise Damaged(f"{self.path} has no part {name}.")
        return self._open(self._members[name])

    def _open(self, member: tarfile.TarInfo) -> IO[bytes]:
        file = self._tar.extractfile(member)
        if file is None:
            raise Damaged(f"The part {member.name} of {self.path} is no file.")
        return file

    def verify(self, tell: Tell) -> None:
        """Compare every part with its digest.

        Raises:
            Damaged: with the name of the first part that does not have it.
        """
        for name, (size, expected) in self.manifest.parts.items():
            tell(f"checking {name}, {size / 1e6:,.1f} MB")
            digest, left = hashlib.sha256(), size
            with self.open(name) as file:
                while block := file.read(BLOCK):
                    digest.update(block)
                    left -= len(block)
            if left or digest.hexdigest() != expected:
                raise Damaged(f"The part {name} of {self.path} is damaged: it does not have the digest it should have.")
