"""Bringing an installation back from a backup, or rehearsing it without touching anything."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from flask import Flask

from mcpweb import clock, migrating
from mcpweb.application import create_app
from mcpweb.backup import examining, key_folder, loading, log_part, present, since
from mcpweb.backup.archive import Reader, Tell
from mcpweb.backup.examining import Found
from mcpweb.backup.manifest import Manifest
from mcpweb.backup.sealed_keys import Keys
from mcpweb.backup.settling import Settled, settle
from mcpweb.database import REVISION, db
from mcpweb.errors import Conflict, Unavailable
from mcpweb.hosts import host_id
from mcpweb.instances.house import House
from mcpweb.jobs.counting import recount
from mcpweb.logs import audit
from mcpweb.logs.rebuilding import rebuild
from mcpweb.settings import Settings


@dataclass(slots=True)
class Restored:
    """What came of it. `aside` names where the database and keys are that were there before."""

    manifest: Manifest
    found: list[Found]
    settled: Settled
    known: str
    """Where the changes since the backup were read; empty when nobody can know them."""
    aside: list[str] = field(default_factory=list)
    logs: int = 0
    """Files."""
    lines: int = 0
    """Log lines that are in the index again."""
    index_trouble: str = ""
    """Why they are not."""
    unheard: list[str] = field(default_factory=list)
    """Hosts that did not confirm that they forgot what they remember."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted: from which backup, for which installation, with which keys."""

    reader: Reader
    settings: Settings
    keys: Path | None
    passphrase: Callable[[], str]
    tell: Tell


def rehearse(order: Order) -> list[Found]:
    """Do everything that can be done to the side, and touch nothing.

    Raises:
        Damaged, KeyUnusable, NotFound, Conflict, Unavailable: it could not be restored.
    """
    keys = _ready(order)
    with TemporaryDirectory(prefix="mcpweb-rehearsal-") as name:
        home = Path(name)
        order.tell("loading the database")
        with loading.rehearsal(order.reader, order.settings.database, home) as loaded:
            aside = replace(order.settings, home=home, redis_url="", log_database_url="")
            with _application(aside, keys, loaded.url) as app:
                found = _examine(order, app)
        parts = order.reader.manifest.parts
        return [Found("Parts", True, f"{len(parts)}, each with its digest"), *found]


def restore(order: Order, *, is_replacing: bool) -> Restored:
    """Restore; when anything fails, the installation is as it was.

    Raises:
        Conflict: something is there already, or still running.
        Damaged, KeyUnusable, NotFound, Unavailable: it can not be restored.
    """
    settings, manifest, stamp = order.settings, order.reader.manifest, f"{clock.utcnow():%Y%m%d-%H%M%S}"
    _expect_kind(order)
    if not present.is_empty(settings):
        if not is_replacing:
            raise Conflict("There is a database already. Nothing was changed: with --replace it is kept beside.")
        present.refuse_running(settings)
    keys = _ready(order)
    known = since.look(manifest, settings.database, settings.home / "logs")
    order.tell("loading the database")
    with audit.held(), ExitStack() as undone, loading.in_place(order.reader, settings.database, stamp) as loaded:
        logs, host = undone.enter_context(_logs(order)), host_id(settings.home / "run")
        with _application(settings, keys, loaded.url) as app:
            found = _examine(order, app)
            settled = settle(manifest, known, host=host, has_its_logs=bool(logs))
            recount()
        aside = undone.enter_context(key_folder.placed(keys, settings, stamp))
    done = Restored(manifest, found, settled, known.source, [str(path) for path in aside], logs)
    done.aside = [*([loaded.aside] if loaded.aside else []), *done.aside]
    with _application(settings, keys, settings.database) as app:
        order.tell("building the log index anew")
        _index_anew(app, settings, host, done)
        done.unheard = _forget_everywhere(app, settings)
    return done


def _ready(order: Order) -> Keys:
    """Everything that can be known without loading anything; returns the keys."""
    _expect_kind(order)
    order.reader.verify(order.tell)
    return key_folder.choose(order.reader, order.settings, order.keys, order.passphrase)


def _expect_kind(order: Order) -> None:
    manifest, here = order.reader.manifest, order.settings.database.partition(":")[0].partition("+")[0]
    if manifest.database != here:
        raise Conflict(
            f"The backup is of {_title(manifest.database)}, and MCPWEB_DATABASE_URL names {_title(here)}. "
            "A backup is restored into the same kind of database; nothing was changed."
        )
    if manifest.revision > REVISION:
        raise Conflict(
            f"The backup has revision {manifest.revision}, made by mcpweb {manifest.version}, and this program knows "
            f"{REVISION} at most. Update mcpweb first; nothing was changed."
        )


def _title(kind: str) -> str:
    return {"sqlite": "SQLite", "postgresql": "PostgreSQL"}.get(kind, kind)


@contextmanager
def _application(settings: Settings, keys: Keys, url: str) -> Iterator[Flask]:
    """The program on a database that was loaded, and nothing open of it at the end."""
    app = create_app(
        replace(settings, database_url=url, secret_key=keys.secret_key, encryption_keys=keys.encryption_keys)
    )
    with app.app_context():
        try:
            yield app
        finally:
            db.session.remove()
            db.engine.dispose()


def _examine(order: Order, app: Flask) -> list[Found]:
    """Look at what was loaded, and bring it to this program's revision."""
    manifest = order.reader.manifest
    order.tell("comparing what was loaded with the manifest")
    rows = examining.counts(manifest)
    db.session.rollback()
    migrating.upgrade()
    step = "is this program's" if manifest.revision == REVISION else f"migrated to {REVISION}"
    house: House = app.extensions["mcpweb_house"]
    return [
        rows,
        Found("Revision", True, f"{manifest.revision}, {step}"),
        examining.keys(manifest, house.keyring),
        examining.audit_trail(),
    ]


@contextmanager
def _logs(order: Order) -> Iterator[int]:
    """Unpack the log files, where there are none: those that are there are newer. When the block fails, they go again.

    Else the next attempt would take them for this host's own, of which nothing was counted yet.
    """
    root = order.settings.home / "logs"
    if log_part.PART not in order.reader.manifest.parts or log_part.exist(root):
        yield 0
        return
    order.tell("unpacking the logs")
    try:
        with order.reader.open(log_part.PART) as part:
            files = log_part.unpack(part, root)
        yield files
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise


def _index_anew(app: Flask, settings: Settings, host: str, done: Restored) -> None:
    """What the index has goes by numbers of files that may mean others now. Use that was counted stays as it is.

    All else is in its place by now, so an index that does not answer is only told.
    """
    index = app.extensions["mcpweb_log_index"]
    try:
        for day in index.days():
            index.drop_day(day)
        done.lines = sum(one.lines for one in rebuild(settings.home / "logs", host, index))
    except Unavailable as error:
        done.index_trouble = error.sentence


def _forget_everywhere(app: Flask, settings: Settings) -> list[str]:
    """Nobody may answer from what was remembered of the database before."""
    house: House = app.extensions["mcpweb_house"]
    if not settings.redis_url:  # the embedded one is as down as everything else on this host
        house.propagation.generations.bump_all()
        return []
    return list(house.propagation.all_changed())
