"""What an operator does with the audit trail and the logs, as parts of the `mcpweb` command."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import click

from mcpweb import config

if TYPE_CHECKING:
    from flask import Flask


@click.group()
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


@click.group()
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
        if settings().log_index == "off":
            raise click.ClickException("MCPWEB_LOG_INDEX is off: there is no index to build.")
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
    from mcpweb.logs.retention import list_key

    settings = with_keys(config.load(os.environ))
    found = verify(settings.home / "logs", list_key(settings))
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


def _app() -> Flask:
    from mcpweb.application import create_app

    return create_app()
