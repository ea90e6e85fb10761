"""Bringing the database to this program's revision."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import OperationalError

from mcpweb.errors import Unavailable
from mcpweb.shipped import folder


def alembic_config() -> Config:
    """Where the migrations are; there is no alembic.ini."""
    config = Config()
    config.set_main_option("script_location", str(folder("migrations")))
    return config


def upgrade() -> None:
    """Run what is missing, inside an application context; nothing when the database is up to date.

    Raises:
        Unavailable: the database can not be reached, lets nobody in, or is locked for too long.
    """
    try:
        command.upgrade(alembic_config(), "head")
    except OperationalError as error:
        reason = str(error.orig).partition("\n")[0]
        raise Unavailable(f"The database can not be brought up to date: {reason}. See MCPWEB_DATABASE_URL.") from None
