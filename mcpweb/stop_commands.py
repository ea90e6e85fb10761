"""Stopping endpoints from a shell, for when the pages can not be reached, as parts of the `mcpweb` command."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from flask import Flask

    from mcpweb.instances.stops import Target

_ACTOR = "command line"
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_KINDS = click.Choice(["everything", "service", "user"])


class _Span(click.ParamType[timedelta]):
    """A number of minutes, hours or days: 15m, 1h, 30d."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The span that the text names."""
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", str(value))
        if found is None:
            self.fail(f"{value!r} is no span. Write 15m, 1h or 1d; at most 30d.", param, ctx)
        return int(found[1]) * _UNITS[found[2]]


@click.command()
@click.argument("kind", type=_KINDS)
@click.argument("name", default="")
@click.option("--reason", required=True, help="Whoever is stopped reads it; at most 300 characters.")
@click.option("--for", "span", type=_Span(), required=True, help="When it ends by itself: 15m, 1h, 1d; at most 30d.")
def stop(kind: str, name: str, reason: str, span: timedelta) -> None:
    """Refuse every call for a while: of everything, of the service NAME, or of the user with the address NAME."""
    from mcpweb.instances import stopping
    from mcpweb.web.filters import utc

    reason = " ".join(reason.split())
    if not 0 < len(reason) <= 300:
        raise click.UsageError("A reason has 1 to 300 characters.")
    with _app().app_context():
        row = stopping.stop(_target(kind, name), reason, span, _ACTOR)
        click.echo(f"stopped until {utc(row.ends_at)}; `mcpweb lift {kind}{name and ' '}{name}` ends it before")


@click.command()
@click.argument("kind", type=_KINDS)
@click.argument("name", default="")
def lift(kind: str, name: str) -> None:
    """End the stop of everything, of the service NAME, or of the user with the address NAME."""
    from mcpweb import clock
    from mcpweb.instances import stopping, stops

    with _app().app_context():
        row = stops.of_target(_target(kind, name), clock.utcnow())
        if row is None:
            raise click.ClickException("This is not stopped.")
        stopping.lift(row, _ACTOR)
        click.echo("lifted")


def _target(kind: str, name: str) -> Target:
    """What is meant.

    Raises:
        NotFound: no such service or user.
    """
    from mcpweb.accounts import addresses, directory
    from mcpweb.instances import switching
    from mcpweb.instances.stops import Target

    if (kind == "everything") == bool(name):
        raise click.UsageError("Name the service or the user." if not name else "Everything has no name.")
    match kind:
        case "user":
            return Target(user=directory.of_email(addresses.normalise(name)))
        case "service":
            return Target(service=switching.get(name))
        case _:
            return Target()


def _app() -> Flask:
    from mcpweb.application import create_app

    return create_app()
