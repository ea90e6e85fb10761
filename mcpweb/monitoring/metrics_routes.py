"""The page that Prometheus reads, for who has its token. Without one in the settings there is no such page."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from flask import Blueprint, Flask, Response, current_app, request
from flask.typing import ResponseReturnValue

from mcpweb.gateway.record import CallRecord
from mcpweb.instances.house import House
from mcpweb.logs import events
from mcpweb.monitoring import metrics_counts, metrics_gauges
from mcpweb.monitoring.metrics_gauges import LastRuns
from mcpweb.monitoring.recent import Recent
from mcpweb.web.current import settings
from mcpweb.web.guard import public

bp = Blueprint("metrics", __name__)

_KEEP_S = 1.0
_TELL_S = 60.0


def start(app: Flask, last_runs: LastRuns) -> Callable[[CallRecord], None]:
    """Count from now on, and show it; returns what is to be called with the record of each call."""

    def find() -> tuple[bytes, float]:
        return metrics_counts.text(metrics_gauges.read(settings().home, last_runs)), _KEEP_S

    app.extensions["mcpweb_metrics"] = Recent(find)
    app.extensions["mcpweb_metrics_refused"] = Recent(_tell)
    house: House = app.extensions["mcpweb_house"]
    house.access.show = metrics_counts.cache
    app.register_blueprint(bp)
    return metrics_counts.record


@bp.after_app_request
def count(response: Response) -> Response:
    """Count every page."""
    metrics_counts.page(request.endpoint or "", request.method, response.status_code)
    return response


@bp.get("/metrics")
@public
def show() -> ResponseReturnValue:
    """All figures, not older than a second."""
    if not _is_known(request.headers.get("Authorization", "")):
        current_app.extensions["mcpweb_metrics_refused"].get()
        return Response(status=401, headers={"WWW-Authenticate": "Bearer"})
    text: bytes = current_app.extensions["mcpweb_metrics"].get()
    return Response(text, content_type=metrics_counts.CONTENT_TYPE)


def _is_known(header: str) -> bool:
    scheme, _, token = header.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), settings().metrics_token.encode())


def _tell() -> tuple[None, float]:
    """Whoever guesses makes one line a minute of the security log, not one for each guess."""
    events.security("metrics refused", level="warning")
    return None, _TELL_S
