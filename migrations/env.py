"""Alembic's entry: one history for SQLite and PostgreSQL, run by `mcpweb migrate`."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from mcpweb import closure as _closure  # noqa: F401
from mcpweb import policies as _policies  # noqa: F401
from mcpweb import revision as _revision  # noqa: F401
from mcpweb.accounts import models as _accounts  # noqa: F401 - known to the metadata
from mcpweb.admin import models as _admin  # noqa: F401
from mcpweb.alerts import models as _alerts  # noqa: F401
from mcpweb.database import Base, UTCDateTime, db
from mcpweb.instances import models as _instances  # noqa: F401
from mcpweb.jobs import models as _jobs  # noqa: F401
from mcpweb.logs import export_models as _exports  # noqa: F401
from mcpweb.logs import models as _logs  # noqa: F401
from mcpweb.monitoring import models as _monitoring  # noqa: F401

# PostgreSQL advisory lock: of two hosts that migrate at once, one waits (any number that nothing else uses).
_LOCK = 0x6D637076


def _render(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """A migration stands by itself: it says what a column is, not what today's program calls it."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UTCDateTime) else False


def run() -> None:
    """Migrate in one transaction, so that an interrupted run leaves nothing half done."""
    with db.engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,
            compare_type=True,
            render_item=_render,
            transaction_per_migration=False,
            transactional_ddl=True,  # SQLite can, although Alembic does not take it for granted
        )
        with context.begin_transaction():
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            else:
                # A write, before anything is read: SQLite then waits for who migrates already. It is 0 anyway.
                connection.exec_driver_sql("PRAGMA user_version = 0")
            context.run_migrations()


run()
