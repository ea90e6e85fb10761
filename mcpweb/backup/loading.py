"""Loading the database of a backup: to the side first, and into its place when everything about it is settled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mcpweb.backup import postgres_store, postgres_tools, sqlite_store
from mcpweb.backup.archive import Reader


@dataclass(slots=True)
class Loaded:
    """The address of a database that holds the backup, and, at the end, where the one before is kept."""

    url: str
    aside: str = field(default="")


@contextmanager
def rehearsal(reader: Reader, url: str, folder: Path) -> Iterator[Loaded]:
    """In a database that is thrown away at the end; `url` is the address where a real one would be restored.

    Raises:
        Damaged, NotFound, Conflict, Unavailable: it can not be loaded.
    """
    if reader.manifest.database == "sqlite":
        file = folder / "mcpweb.sqlite3"
        with reader.open(sqlite_store.PART) as part:
            sqlite_store.unpack(part, file)
        yield Loaded(f"sqlite:///{file}")
        return
    with postgres_store.spare_database(url) as spare:
        _load(reader, spare)
        yield Loaded(spare)


@contextmanager
def in_place(reader: Reader, url: str, stamp: str) -> Iterator[Loaded]:
    """Where it belongs. What was there is kept, and is back again when the block fails.

    Raises:
        Damaged, NotFound, Conflict, Unavailable: it can not be loaded.
    """
    around = _sqlite if reader.manifest.database == "sqlite" else _postgres
    with around(reader, url, stamp) as loaded:
        yield loaded


@contextmanager
def _sqlite(reader: Reader, url: str, stamp: str) -> Iterator[Loaded]:
    place = sqlite_store.path_of(url)
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = place.with_name(f".{place.name}.restoring")
    try:
        with reader.open(sqlite_store.PART) as part:
            sqlite_store.unpack(part, draft)
        loaded = Loaded(f"sqlite:///{draft}")
        yield loaded
        aside = sqlite_store.put(draft, place, stamp)
        loaded.aside = str(aside or "")
    finally:
        sqlite_store.remove(draft)


@contextmanager
def _postgres(reader: Reader, url: str, stamp: str) -> Iterator[Loaded]:
    engine = postgres_store.engine_of(url)
    try:
        postgres_tools.find("pg_restore", postgres_store.major(engine))
        aside = postgres_store.set_aside(engine, stamp)
        try:
            _load(reader, url)
            yield Loaded(url, aside and f"the schema {aside}")
        except BaseException:
            postgres_store.take_back(engine, aside)
            raise
    finally:
        engine.dispose()


def _load(reader: Reader, url: str) -> None:
    engine = postgres_store.engine_of(url)
    try:
        tool = postgres_tools.find("pg_restore", postgres_store.major(engine))
    finally:
        engine.dispose()
    with reader.open(postgres_store.PART) as part:
        postgres_tools.load(tool, url, part)
