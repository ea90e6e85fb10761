"""The `mcpweb` command. Each subcommand imports what it needs when it runs: `up` stays small and starts at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

import click

from mcpweb import __version__, config, core_dumps
from mcpweb.errors import AppError

if TYPE_CHECKING:
    from datetime import datetime

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
    core_dumps.forbid()


def main() -> NoReturn:
    """Run the command line."""
    cli(prog_name="mcpweb")
    sys.exit(0)


@cli.command()
@click.option("--verbose", is_flag=True, help="Show everything that the programs print.")
def up(verbose: bool) -> None:
    """Run everything on this machine: Redis, web, worker, ticker."""
    from mcpweb.supervisor import Options, supervise

    settings = config.load(os.environ)
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

    role.run(_app())


@cli.command()
def ticker() -> None:
    """Put the periodic jobs on the queue."""
    from mcpweb.jobs import ticker as role

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


@cli.group()
def audit() -> None:
    """The audit trail."""


@audit.command("verify")
def audit_verify() -> None:
    """Check that no entry was changed, removed, exchanged, inserted or cut off; exits 1 when one was."""
    from mcpweb.logs.verifying import verify
    from mcpweb.web.current import settings

    app = _app()
    with app.app_context():
        verdict = verify(settings().home / "logs")
    for note in verdict.notes:
        click.echo(note)
    click.echo(verdict.damage or f"{verdict.entries} entries, whole to the last, {verdict.last}")
    sys.exit(0 if verdict.is_whole else 1)


@cli.group()
def logs() -> None:
    """The log files and their index."""


@logs.command("rebuild-index")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Only this day (UTC); all of them by default.")
def logs_rebuild_index(day: datetime | None) -> None:
    """Build the index of this host's logs anew from the files; exits 1 when one can not be read to its end."""
    from mcpweb.hosts import host_id
    from mcpweb.logs.opening import open_index
    from mcpweb.logs.rebuilding import rebuild
    from mcpweb.web.current import settings

    app = _app()
    with app.app_context():
        home, is_whole = settings().home, True
        for done in rebuild(home / "logs", host_id(home / "run"), open_index(settings()), day and day.date()):
            click.echo(f"{done.day}: {done.lines} lines" + (f", {done.skipped} left out" if done.skipped else ""))
            for name in done.broken:
                is_whole = False
                click.echo(f"{name} can not be read to its end")
    sys.exit(0 if is_whole else 1)


@logs.command("verify")
def logs_verify() -> None:
    """Compare the closed days with their list; exits 1 when one is changed, missing, damaged or not listed."""
    from mcpweb.crypto import with_keys
    from mcpweb.logs.integrity import verify
    from mcpweb.logs.retention import Policy

    settings = with_keys(config.load(os.environ))
    found = verify(settings.home / "logs", Policy.of(settings).key)
    for sentence in found.sentences:
        click.echo(sentence)
    click.echo(_counted(found.counts) or "no day is closed yet")
    sys.exit(0 if found.is_whole else 1)


@logs.command("maintain")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def logs_maintain(dry_run: bool) -> None:
    """Close finished days, verify the closed ones, and delete what is due: what the daily job does."""
    from mcpweb.jobs.log_maintenance import run
    from mcpweb.web.current import settings

    app = _app()
    with app.app_context():
        report = run(settings(), dry_run=dry_run)
    for problem in report.problems:
        click.echo(problem)
    for word, names in (("close", report.closed), ("delete", report.deleted)):
        click.echo(f"{f'would {word}' if dry_run else f'{word}d'} {len(names)} files")
        for name in names[:20] if dry_run else ():
            click.echo(f"  {name}")
    click.echo(f"{'would free' if dry_run else 'freed'} {report.freed_bytes / 1e6:.1f} MB")
    click.echo(_counted(report.verified) or "no day is closed yet")


def _counted(states: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items()))


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
