"""`python -m bench.crowd FILE [--users N] [--instances N] [--hanging N]`: many people whose endpoints can be called.

Takes its settings from the environment, as the program does, and expects a database without users. Rows go in by the
thousand, each with a credential sealed for it and a token of its own. Writes a `Crowd` into the file.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
from flask import Flask
from sqlalchemy import insert, update

from bench.seeding import _insert
from mcpweb import clock, migrating
from mcpweb.accounts import sessions
from mcpweb.accounts.models import Role, User
from mcpweb.application import create_app
from mcpweb.crypto import Keyring, hash_secret, mint_token
from mcpweb.database import db, transaction
from mcpweb.instances import key_checks, registration
from mcpweb.instances.house import House
from mcpweb.instances.models import Instance, InstanceToken, ServiceRow
from mcpweb.jobs import timetable

VIEWERS = 50
"""So many of the users are signed in and look at pages."""
CREDENTIALS = {"github": {"token": f"ghp_{'a' * 36}"}, "figma": {"token": f"figd_{'a' * 40}"}}


@dataclass
class Crowd:
    """Who calls and who looks."""

    endpoints: list[tuple[str, str]]
    """Instances of GitHub: id and token."""
    hanging: list[tuple[str, str]]
    """Instances of Figma, each of another user."""
    viewers: list[tuple[str, str]]
    """Signed-in users: the cookie, and the id of an instance of theirs."""

    @classmethod
    def read(cls, path: Path) -> Crowd:
        """As `main` wrote it."""
        return cls(**json.loads(path.read_text()))


def main() -> None:
    """Make them."""
    parser = argparse.ArgumentParser(prog="python -m bench.crowd", description=__doc__)
    parser.add_argument("file", type=Path)
    for name, usual in (("users", 1000), ("instances", 10_000), ("hanging", 0)):
        parser.add_argument(f"--{name}", type=int, default=usual, help=f"default {usual:,}")
    options = parser.parse_args()
    app = create_app()
    house: House = app.extensions["mcpweb_house"]
    with app.app_context():
        migrating.upgrade()
        registration.register(house.registry)
        with transaction():
            timetable.insert_missing(db.session.connection(), clock.utcnow())
        owners = _users(options.users)
        mine = [owners[number % len(owners)] for number in range(options.instances)]
        called = _connect("github", mine, house.keyring)
        hanging = _connect("figma", owners[: options.hanging], house.keyring)
        viewers = [(_cookie(app, owners[number]), called[number][0]) for number in range(min(VIEWERS, len(owners)))]
        db.session.remove()
    options.file.write_text(json.dumps(asdict(Crowd(called, hanging, viewers))))


def _users(count: int) -> list[int]:
    now = clock.utcnow()
    rows = [{"email": f"user{number}@example.com", "role": Role.USER, "created_at": now} for number in range(count)]
    with transaction():
        return list(db.session.scalars(insert(User).returning(User.id), rows))


def _connect(service: str, owners: list[int], keyring: Keyring) -> list[tuple[str, str]]:
    made = [(uuid4(), owner, mint_token()) for owner in owners]
    with transaction():
        key_checks.ensure(keyring)
        _insert(Instance, (_instance(one, owner, service, keyring) for one, owner, _ in made))
        _insert(InstanceToken, (_token(one, token) for one, _, token in made))
        counters = {"total_instances": len(made), "active_instances": len(made)}
        db.session.execute(update(ServiceRow).where(ServiceRow.name == service).values(**counters))
    return [(str(one), token) for one, _, token in made]


def _instance(instance_id: UUID, owner: int, service: str, keyring: Keyring) -> dict[str, Any]:
    now = clock.utcnow()
    context = Instance.context_of(instance_id)
    key_id, sealed = keyring.seal(orjson.dumps(CREDENTIALS[service]), context)
    return {
        "id": instance_id, "owner_id": owner, "service_name": service, "label": "Work", "status": "active",
        "created_at": now, "expires_at": now + timedelta(days=30), "creation_key": uuid4(), "credential_sealed": sealed,
        "credential_key_id": key_id, "credential_state": "ok", "credential_checked_at": now,
        "credential_due_at": now + timedelta(days=1),
    }  # fmt: skip


def _token(instance_id: UUID, token: str) -> dict[str, Any]:
    return {
        "instance_id": instance_id, "name": "First token", "token_hash": hash_secret(token), "last_four": token[-4:],
        "created_at": clock.utcnow(),
    }  # fmt: skip


def _cookie(app: Flask, owner: int) -> str:
    """What the browser of a signed-in user sends."""
    settings = app.extensions["mcpweb_settings"]
    with transaction():
        user = db.session.get_one(User, owner)
        raw = sessions.start(user, clock.utcnow(), ip="127.0.0.1", agent="bench", settings=settings)
    client = app.test_client()
    with client.session_transaction() as session:
        session.update({"_user_id": raw, "_fresh": True})
    name = app.config["SESSION_COOKIE_NAME"]
    cookie = client.get_cookie(name)
    assert cookie is not None
    return f"{name}={cookie.value}"


if __name__ == "__main__":
    main()
