"""Bringing the database to this program's revision."""

from __future__ import annotations

from alembic import command
from alembic.config import Config

from mcpweb.shipped import folder


def alembic_config() -> Config:
    """Where the migrations are; there is no alembic.ini."""
    config = Config()
    config.set_main_option("script_location", str(folder("migrations")))
    return config


def upgrade() -> None:
    """Run what is missing, inside an application context; nothing when the database is up to date."""
    command.upgrade(alembic_config(), "head")
