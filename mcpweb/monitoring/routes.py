"""Health for machines: cheap, and silent about details."""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from mcpweb.database import REVISION, db
from mcpweb.web.guard import public

bp = Blueprint("monitoring", __name__)


@bp.get("/healthz")
@public
def alive() -> ResponseReturnValue:
    """The process answers."""
    return {"status": "ok"}


@bp.get("/readyz")
@public
def ready() -> ResponseReturnValue:
    """The database answers and has the revision that this program was written for."""
    try:
        revision = db.session.scalar(text("SELECT version_num FROM alembic_version"))
    except SQLAlchemyError:
        return {"status": "database"}, 503
    return ({"status": "ok"}, 200) if revision == REVISION else ({"status": "migrations"}, 503)
