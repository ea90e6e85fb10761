"""The door to every page: signed in unless marked `@public`, and changes only from our own pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from flask import Flask, Response, abort, current_app, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from werkzeug.exceptions import SecurityError

from mcpweb.logs import context, events
from mcpweb.web import closed
from mcpweb.web.errors import takes_json

View = TypeVar("View", bound=Callable[..., ResponseReturnValue])

_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_FORMS = frozenset(("application/x-www-form-urlencoded", "multipart/form-data"))


def public(view: View) -> View:
    """Let everybody see this page."""
    view.is_public = True  # type: ignore[attr-defined]
    return view


def init_app(app: Flask) -> None:
    """Guard every route of the application, also those that are added later."""
    app.before_request(_our_name)
    app.before_request(_same_origin)
    app.before_request(_plain_form)
    app.before_request(closed.refuse)
    app.before_request(_signed_in)


def _our_name() -> Response | None:
    """Nothing of ours is shown under another host's name; no page can even be made there, as it has no addresses."""
    if isinstance(request.routing_exception, SecurityError):
        return Response("This server does not go by that name.\n", 400, mimetype="text/plain")
    return None


def _same_origin() -> None:
    """A second line behind the form token: browsers say where a request comes from (Fetch Metadata, Origin)."""
    if request.method in _SAFE:
        return
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin")
    if site not in ("same-origin", "none") or (origin is not None and origin.partition("://")[2] != request.host):
        events.security("request from another site refused", level="warning", path=request.path)
        abort(403)


def _plain_form() -> None:
    """Forms of texts are all that pages take: a JSON body or a file would put other types into the forms' fields."""
    if request.method in _SAFE or not request.endpoint:
        return
    if request.files or (request.mimetype and request.mimetype not in _FORMS):
        abort(415)


def _signed_in() -> ResponseReturnValue | None:
    if current_user.is_authenticated:
        context.add_fields(user=current_user.id)
        # Asked at every request, so that who is no administrator any more has none of the pages left.
        if (request.blueprint or "").startswith("admin") and not current_user.is_admin:
            abort(404)
        return None
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None or request.endpoint == "static" or getattr(view, "is_public", False):
        return None
    if takes_json():
        abort(401)
    if request.method not in _SAFE:
        flash("Your session has ended. Sign in, then try again.", "error")
        return redirect(url_for("accounts.ask"), code=303)
    return redirect(url_for("accounts.ask", next=request.full_path.rstrip("?")), code=303)
