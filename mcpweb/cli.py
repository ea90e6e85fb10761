"""The `mcpweb` command. Each subcommand imports what it needs when it runs: `up` stays small and starts at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from mcpweb import (
    __version__,
    backup_commands,
    config,
    core_dumps,
    log_commands,
    setting_names,
    stop_commands,
    upkeep_commands,
)
from mcpweb.errors import AppError
from mcpweb.nginx import commands as nginx_commands

if TYPE_CHECKING:
    from flask import Flask


class _Command(click.Group):
    """Turns an expected failure into its sentence and exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except AppError as error:
            raise click.ClickException(error.sentence) from None


@click.group(cls=_Command)
@click.version_option(__version__, prog_name="mcpweb")
def cli() -> None:
    """MCP endpoints for services, without handing out the keys."""


cli.add_command(backup_commands.backup)
cli.add_command(backup_commands.restore)
cli.add_command(log_commands.audit)
cli.add_command(log_commands.logs)
cli.add_command(upkeep_commands.maintenance)
cli.add_command(upkeep_commands.rotate_keys)
cli.add_command(stop_commands.stop)
cli.add_command(stop_commands.lift)
cli.add_command(nginx_commands.nginx_config)
cli.add_command(nginx_commands.nginx_files)


def main() -> NoReturn:
    """Run the command line."""
    core_dumps.forbid()
    cli(prog_name="mcpweb")
    sys.exit(0)


@cli.command()
@click.option("--verbose", is_flag=True, help="Show everything that the programs print.")
def up(verbose: bool) -> None:
    """Run everything on this machine: Redis, web, worker, ticker."""
    from mcpweb.supervisor import Options, supervise

    settings = config.load(os.environ)
    for sentence in setting_names.unknown(os.environ):
        click.echo(sentence, err=True)
    sys.exit(
        supervise(
            Options(
                home=settings.home,
                bind=settings.bind,
                public_url=settings.public_url,
                has_redis=bool(settings.redis_url),
                is_verbose=verbose,
            )
        )
    )


@cli.command()
@click.argument("folder", default="loopback", type=click.Path(path_type=Path, file_okay=False))
@click.option("--verbose", is_flag=True, help="Show everything that the programs print.")
def loopback(folder: Path, verbose: bool) -> None:
    """Run what production consists of, all on loopback: nginx, PostgreSQL, Redis, web, worker, ticker."""
    from mcpweb.supervisor.loopback import supervise

    sys.exit(supervise(config.load(os.environ), os.environ, folder, verbose))


@cli.command()
def web() -> None:
    """Run the web server alone."""
    from mcpweb.shipped import folder

    settings = config.load(os.environ)
    host, port = settings.bind
    environ = {**os.environ, "MCPWEB_BIND": f"[{host}]:{port}" if ":" in host else f"{host}:{port}"}
    conf = str(folder("deploy") / "gunicorn.conf.py")
    arguments = [sys.executable, "-m", "gunicorn", "--config", conf, "mcpweb.wsgi:application"]
    os.execve(sys.executable, arguments, environ)  # noqa: S606 - our own interpreter, fixed arguments


@cli.command()
def worker() -> None:
    """Run the jobs of the queue."""
    from mcpweb.jobs import worker as role
    from mcpweb.logs import events

    events.last_words()
    role.run(_app())


@cli.command()
def ticker() -> None:
    """Put the periodic jobs on the queue."""
    from mcpweb.jobs import ticker as role
    from mcpweb.logs import events

    events.last_words()
    role.main(config.load(os.environ))


@cli.command()
@click.option("--strict", is_flag=True, help="Exit with 1 when a plugin could not be registered.")
def migrate(strict: bool) -> None:
    """Bring the database up to date, then register the services."""
    from mcpweb.instances import registration

    app = _app()
    with app.app_context():
        house: House = app.extensions["mcpweb_house"]
        warnings = _upgrade(house.keyring)
        lines = registration.register(house.registry)
    _print_services(lines)
    for warning in warnings:
        click.echo(warning, err=True)
    if strict and any(line.problem for line in lines):
        sys.exit(1)


@cli.command()
def services() -> None:
    """Show what `migrate` would register, without changing anything."""
    from mcpweb.instances import registration

    app = _app()
    with app.app_context():
        _print_services(registration.compare(app.extensions["mcpweb_house"].registry))


@cli.command("sign-in-link")
@click.argument("email")
@click.option("--admin", is_flag=True, help="The link also makes its user an administrator.")
def sign_in_link(email: str, admin: bool) -> None:
    """Print a sign-in link for EMAIL that works once, for ten minutes."""
    from mcpweb.accounts import addresses, links
    from mcpweb.accounts.models import Role
    from mcpweb.web.current import settings

    app = _app()
    with app.app_context():
        role = Role.ADMIN if admin else Role.USER
        link = links.direct_link(addresses.normalise(email), role, links.Links.of(settings()))
        click.echo(f"{settings().url}/sign-in/{link}")


@cli.command()
@click.option("--mail", "address", default="", metavar="ADDRESS", help="Also send a test mail there.")
def doctor(address: str) -> None:
    """Check everything that mcpweb needs, a line each; exits 1 when something is bad."""
    from mcpweb.doctor import checkup

    os.umask(0o077)  # it may be the first to write something
    found = checkup.run(os.environ, address)
    for check in found:
        word = click.style(f"{check.state:<5}", fg={"good": "green", "warn": "yellow", "bad": "red"}[check.state])
        click.echo(f"{word}{check.name:<23}{check.value}{f'. {check.advice}' if check.advice else ''}")
    sys.exit(1 if any(check.state == "bad" for check in found) else 0)


@cli.command(hidden=True)
def prepare() -> None:
    """For the supervisor: migrate, and print as JSON what the first screen needs."""
    import json

    from mcpweb.accounts import links
    from mcpweb.accounts.models import Role
    from mcpweb.instances import registration
    from mcpweb.web.current import settings

    app = _app()
    with app.app_context():
        house: House = app.extensions["mcpweb_house"]
        warnings = _upgrade(house.keyring)
        lines = registration.register(house.registry)
        warnings += [f"The service {line.name} is left out: {line.problem}" for line in lines if line.problem]
        url = settings().url
        link = None if links.has_admin() else links.direct_link("", Role.ADMIN, links.Links.of(settings()))
        answer = {
            "setup_link": link and f"{url}/sign-in/{link}",
            "mailbox": f"{url}/dev/mailbox" if settings().has_local_mailbox else None,
            "services": [line.name for line in lines if not line.problem],
            "warnings": warnings,
        }
    click.echo(json.dumps(answer))


def _app() -> Flask:
    from mcpweb.application import create_app

    return create_app()


def _upgrade(keyring: Keyring) -> list[str]:
    """Bring the tables up to date, give new jobs their row in the schedule, and check the encryption keys.

    Returns a sentence for each key that is missing.
    """
    from mcpweb import clock, migrating
    from mcpweb.database import db, transaction
    from mcpweb.instances import key_checks
    from mcpweb.jobs import timetable

    migrating.upgrade()
    with transaction():
        timetable.insert_missing(db.session.connection(), clock.utcnow())
        return key_checks.check_all(keyring)


def _print_services(lines: list[registration.Line]) -> None:
    for line in lines:
        where = f"port {line.port}" if line.port else "-"
        click.echo(f"{line.name:<14}{line.outcome:<12}{where:<12}{line.problem or f'{line.tools} tools'}")


if TYPE_CHECKING:
    from mcpweb.crypto import Keyring
    from mcpweb.instances import registration
    from mcpweb.instances.house import House
