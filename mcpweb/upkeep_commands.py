"""Maintenance mode and key rotation, as parts of the `mcpweb` command: pages may be out of reach."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from flask import Flask

    from mcpweb.crypto import Keyring
    from mcpweb.instances.house import House

_BY = "command line"


@click.group()
def maintenance() -> None:
    """Maintenance mode: pages and endpoints say that they are closed."""


@maintenance.command("on")
@click.option("--message", default="We are updating the server.", show_default=True, help="What everybody is told.")
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]),
    help="When it ends by itself (UTC), as 2026-12-31T18:00; in an hour by default.",
)
def maintenance_on(message: str, until: datetime | None) -> None:
    """Close pages and endpoints until a time that always comes; administrators go on working."""
    from mcpweb import clock, closure
    from mcpweb.admin import maintenance_mode

    ends_at = until.replace(tzinfo=UTC) if until else clock.utcnow().replace(microsecond=0) + closure.USUAL
    app = _app()
    with app.app_context():
        unheard = maintenance_mode.switch_on(message, ends_at, _BY)
    click.echo(f"maintenance mode is on until {ends_at:%Y-%m-%d %H:%M} UTC")
    for host in unheard:
        click.echo(f"{host} did not confirm; calls there ask the database by themselves", err=True)


@maintenance.command("off")
def maintenance_off() -> None:
    """Open everything again."""
    from mcpweb.admin import maintenance_mode

    app = _app()
    with app.app_context():
        was_on = maintenance_mode.switch_off(_BY)
    click.echo("maintenance mode is off" if was_on else "maintenance mode was off already")


@click.command("rotate-keys")
@click.option("--new-key", is_flag=True, help="First make a new key in the home folder.")
def rotate_keys(new_key: bool) -> None:
    """Seal every stored credential with the newest encryption key; may be stopped and started again at any point."""
    from mcpweb.instances import resealing

    app = _app()
    with app.app_context():
        house: House = app.extensions["mcpweb_house"]
        if new_key:
            _new_key(house.keyring)
        done = resealing.reseal(house.keyring, lambda report: click.echo(f"{report.done} sealed, {report.left} to go"))
        rows = resealing.rows_by_key()
    for instance_id in done.unreadable:
        click.echo(f"{instance_id} can not be read: no key here opens it", err=True)
    for key_id in (*house.keyring.keys, *(name for name in rows if name not in house.keyring.keys)):
        click.echo(f"{key_id:<22}{rows.get(key_id, 0):>8}  {_advice(key_id, rows, house.keyring)}")
    sys.exit(1 if done.unreadable else 0)


def _new_key(keyring: Keyring) -> None:
    from mcpweb import crypto
    from mcpweb.database import transaction
    from mcpweb.instances import key_checks

    if keyring.file is None:
        raise click.ClickException(
            "The keys are given by MCPWEB_ENCRYPTION_KEYS. Put a new one in front of the others there, restart every "
            "host, then run this without --new-key. An entry is a new name, a colon, and 32 random bytes in base64."
        )
    with transaction():
        key_checks.check_all(keyring)  # with a wrong key in the file, a new one would only hide that
    key_id = crypto.add_encryption_key(keyring.file)
    keyring.read_again()
    click.echo(f"the new key {key_id} stands in {keyring.file}; back that file up")


def _advice(key_id: str, rows: Mapping[str, int], keyring: Keyring) -> str:
    if key_id == keyring.newest:
        return "seals"
    if key_id not in keyring.keys:
        return "is missing: bring it back"
    return "still needed" if rows.get(key_id) else "may be taken out"


def _app() -> Flask:
    from mcpweb.application import create_app

    return create_app()
