"""nginx's configuration and files, as parts of the `mcpweb` command."""

from __future__ import annotations

import os
from pathlib import Path

import click

from mcpweb import config


@click.command("nginx-config")
@click.option("--certificate", metavar="FILE", help="Default: where Let's Encrypt's certbot puts it.")
@click.option("--key", metavar="FILE", help="The certificate's key. Default: beside the certificate of certbot.")
@click.option("--listen", metavar="ADDRESS", multiple=True, help="Address of this machine; may be repeated.")
@click.option("--web", metavar="HOST:PORT", multiple=True, help="A web role; may be repeated. Default: MCPWEB_BIND.")
@click.option("--keep-endpoints", is_flag=True, help="Send the calls of an endpoint to one and the same web role.")
@click.option("--files", default="/var/www/mcpweb", show_default=True, help="The folder filled by nginx-files.")
@click.option("--logs", default="/var/log/nginx", show_default=True, help="The folder of nginx' logs.")
@click.option("--connections", default=256, show_default=True, help="Most requests of one address at once.")
@click.option("--whole", is_flag=True, help="A whole nginx.conf instead of a file to include.")
def nginx_config(
    certificate: str | None,
    key: str | None,
    listen: tuple[str, ...],
    web: tuple[str, ...],
    keep_endpoints: bool,
    files: str,
    logs: str,
    connections: int,
    whole: bool,
) -> None:
    """Print nginx' configuration for this installation: MCPWEB_PUBLIC_URL, MCPWEB_BIND, the services' own ports."""
    from mcpweb.nginx import configuration

    settings = config.load(os.environ)
    wishes = configuration.Wishes(certificate, key, listen, web, files, logs, connections, whole, keep_endpoints)
    click.echo(configuration.render(settings, wishes), nl=False)
    for sentence in configuration.warnings(settings):
        click.echo(sentence, err=True)


@click.command("nginx-files")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def nginx_files(folder: Path) -> None:
    """Put what nginx serves itself into FOLDER: static files and error pages. Those of other versions stay."""
    from mcpweb.nginx import files

    for path in files.publish(folder):
        click.echo(path)
