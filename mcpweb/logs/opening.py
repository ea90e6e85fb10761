"""Which log index an installation has."""

from __future__ import annotations

from mcpweb.logs.index import LogIndex
from mcpweb.logs.index_none import NoIndex
from mcpweb.logs.index_sqlite import SqliteIndex
from mcpweb.settings import Settings


def open_index(settings: Settings) -> LogIndex:
    """PostgreSQL where one is named for the logs or holds the rest; else files in the home folder; or none at all."""
    if settings.log_index == "off":
        return NoIndex()
    url = settings.log_database_url or settings.database
    if url.startswith("sqlite:"):
        return SqliteIndex(settings.home / "logs" / "index")
    from mcpweb.logs.index_postgres import PostgresIndex  # its driver takes 9 MB of each process

    return PostgresIndex(url)
