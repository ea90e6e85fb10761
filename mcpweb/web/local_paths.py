"""Where `next` may lead: to a page of ours, and nowhere else."""

from __future__ import annotations

from flask import current_app, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

HOME = "/"


def local_path(text: str, *, also_signing_in: bool = False) -> str:
    """The path if it is one that a GET of ours answers, else the start page.

    The pages of signing in lead back to themselves, so they count only when asked for.
    The router decides, so that `//host`, `/\\host`, control characters and schemes have nothing to stand on.
    """
    path, _, query = text.partition("?")
    if len(text) > 500 or not path.startswith("/") or path.startswith(("//", "/\\")) or not text.isprintable():
        return HOME
    try:
        endpoint, _ = current_app.url_map.bind(request.host).match(path, method="GET")
    except (HTTPException, RequestRedirect):
        return HOME
    if endpoint == "static":
        return HOME
    if endpoint.startswith("accounts.") and endpoint != "accounts.account" and not also_signing_in:
        return HOME
    return f"{path}?{query}" if query else path
