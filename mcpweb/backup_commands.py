"""Backup and restore, as parts of the `mcpweb` command."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcpweb import config

if TYPE_CHECKING:
    from mcpweb.backup.examining import Found
    from mcpweb.backup.restoring import Restored
    from mcpweb.settings import Settings


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--logs", "with_logs", is_flag=True, help="Also the log files of this host.")
@click.option("--without-keys", is_flag=True, help="Leave the keys out; keep them elsewhere, or it opens nothing.")
def backup(file: Path, with_logs: bool, without_keys: bool) -> None:
    """Write the whole installation into one FILE, while it runs.

    The keys in it are sealed with a passphrase: of MCPWEB_BACKUP_PASSPHRASE_FILE, or asked for.
    """
    from mcpweb.application import create_app
    from mcpweb.backup import making

    _end_in_order()
    settings = config.load(os.environ)
    passphrase = None if without_keys else _passphrase(settings, is_new=True)
    made = making.make(settings, file.absolute(), _tell, passphrase=passphrase, with_logs=with_logs)
    _tell("")
    with create_app(settings).app_context():
        making.note(made)
    click.echo(f"{file}: {made.size / 1e6:,.1f} MB, {sum(made.manifest.rows.values()):,} rows, SHA-256 of each part")
    for name, (size, digest) in made.manifest.parts.items():
        click.echo(f"  {name:<20}{size:>14,}  {digest}")
    if without_keys:
        needed = ", ".join(made.manifest.keys_needed) or "none"
        click.echo(f"Without keys: keep the folder {settings.home / 'keys'} apart (encryption keys needed: {needed}).")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--check", is_flag=True, help="Only rehearse it: load it to the side, look at it, touch nothing.")
@click.option("--replace", "is_replacing", is_flag=True, help="The database that is there is kept beside.")
@click.option("--keys", type=click.Path(path_type=Path, file_okay=False), help="A folder with the installation's keys.")
def restore(file: Path, check: bool, is_replacing: bool, keys: Path | None) -> None:
    """Bring the installation of the backup FILE into this home and database.

    Sessions and sign-in links end, and what was revoked since is revoked again as far as anybody knows of it.
    """
    from mcpweb.backup import restoring
    from mcpweb.backup.archive import Reader

    _end_in_order()
    settings = config.load(os.environ)
    reader = Reader(file)
    order = restoring.Order(reader, settings, keys, lambda: _passphrase(settings), _tell)
    if check:
        found = restoring.rehearse(order)
        _tell("")
        _print_found(found)
        click.echo(f"{file} of {reader.manifest.moment:%Y-%m-%d %H:%M:%S} UTC can be restored. Nothing was touched.")
        return
    done = restoring.restore(order, is_replacing=is_replacing)
    _tell("")
    _print_found(done.found)
    _print_restored(done)


def _print_found(found: list[Found]) -> None:
    for one in found:
        word = click.style(f"{'good' if one.is_good else 'bad':<6}", fg="green" if one.is_good else "red")
        click.echo(f"{word}{one.what:<14}{one.value}")


def _print_restored(done: Restored) -> None:
    settled = done.settled
    click.echo(f"restored as of {done.manifest.moment:%Y-%m-%d %H:%M:%S} UTC")
    click.echo(
        f"{settled.sessions} sessions and {settled.links} sign-in links were ended, {settled.runs} jobs are lost"
    )
    if done.logs:
        click.echo(f"{done.logs} log files were unpacked")
    if settled.unsent:
        click.echo(f"{settled.unsent} notices to owners, not mailed yet when the backup was made, will be mailed")
    if done.index_trouble:
        click.echo(
            f"the log index was not built: {done.index_trouble} Later, on every host: `mcpweb logs rebuild-index`"
        )
    else:
        click.echo(f"{done.lines:,} lines of this host's logs are in the index")
        click.echo("other hosts: `mcpweb logs rebuild-index`")
    if not done.known:
        click.echo(
            "What was revoked since the backup can not be known: neither the present database nor the audit log of "
            "this host goes on from it. Look through the tokens yourself."
        )
    else:
        click.echo(f"since the backup, by {done.known}:")
        for one in settled.again:
            click.echo(f"  done again: {one.sentence}")
        for action, count in sorted(settled.lost.items()):
            click.echo(f"  lost: {count} x {action}")
        if not settled.again and not settled.lost:
            click.echo("  nothing was changed")
    for place in done.aside:
        click.echo(f"kept: {place}")
    for host in done.unheard:
        click.echo(f"{host} did not confirm that it forgot what it remembers; restart it", err=True)
    click.echo("next: `mcpweb migrate`, then start every host")


def _end_in_order() -> None:
    """A polite end is an error like any other, after which nothing is left behind."""
    os.umask(0o077)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def _passphrase(settings: Settings, *, is_new: bool = False) -> str:
    if settings.backup_passphrase:
        return settings.backup_passphrase
    if not sys.stdin.isatty():
        advice = "Name a file that holds it with MCPWEB_BACKUP_PASSPHRASE_FILE" + (
            ", or use --without-keys." if is_new else "."
        )
        raise click.UsageError(f"The passphrase of the backup is asked for on a terminal, and there is none. {advice}")
    answer: str = click.prompt("Passphrase of the backup", hide_input=True, confirmation_prompt=is_new, err=True)
    return answer


def _tell(sentence: str) -> None:
    """Progress, on the error output: in one line of a terminal, which an empty sentence clears; else a line each."""
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{sentence}", nl=False, err=True)
    elif sentence and not sentence.endswith("%"):
        click.echo(sentence, err=True)
