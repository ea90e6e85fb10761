"""Health for machines: cheap, and silent about details."""

from __future__ import annotations

from flask import Blueprint, current_app
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from mcpweb.monitoring import readiness
from mcpweb.monitoring.readiness import Readiness
from mcpweb.monitoring.recent import Recent
from mcpweb.web.guard import public

bp = Blueprint("monitoring", __name__)


@bp.record
def _start(state: BlueprintSetupState) -> None:
    state.app.extensions["mcpweb_readiness"] = Recent(readiness.look)


@bp.get("/healthz")
@public
def alive() -> ResponseReturnValue:
    """The process answers."""
    return {"status": "ok"}


@bp.get("/readyz")
@public
def ready() -> ResponseReturnValue:
    """The database answers and has the revision that this program was written for; without Redis most goes on."""
    recent: Recent[Readiness] = current_app.extensions["mcpweb_readiness"]
    found = recent.get()
    answer: dict[str, object] = {"status": found.status}
    if found.warnings:
        answer["warnings"] = list(found.warnings)
    return answer, 200 if found.status == "ok" else 503
