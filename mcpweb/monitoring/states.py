"""Since when a part of the installation is in its state. Any process may note it; only a change makes a difference."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from mcpweb.monitoring.models import PartState


def note(connection: Connection, found: Mapping[str, str], moment: datetime) -> None:
    """Keep the states of these parts, in the open transaction; `moment` is when those that are new began."""
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(PartState)
    statement = insert.on_conflict_do_update(
        index_elements=["part"],
        set_={"state": insert.excluded.state, "since": insert.excluded.since},
        where=PartState.state != insert.excluded.state,
    )
    rows = [{"part": part[:60], "state": state, "since": moment} for part, state in sorted(found.items())]
    if rows:
        connection.execute(statement, rows)


def read(connection: Connection) -> dict[str, tuple[str, datetime]]:
    """State and since when, by part."""
    rows = connection.execute(select(PartState.part, PartState.state, PartState.since))
    return {part: (state, since) for part, state, since in rows}
