"""What an operator does when pages can not be reached, as parts of the `mcpweb` command: maintenance mode."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from flask import Flask

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


def _app() -> Flask:
    from mcpweb.application import create_app

    return create_app()
