"""The local mailbox: a page for the mails of an installation without a mail server, on loopback only."""

from __future__ import annotations

import email
import email.policy
import re
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, render_template, request
from flask.typing import ResponseReturnValue

from mcpweb import clock
from mcpweb.mailer import mailbox_folder
from mcpweb.settings import is_loopback
from mcpweb.web.current import settings
from mcpweb.web.guard import public

bp = Blueprint("mailbox", __name__, url_prefix="/dev/mailbox")

_ID = re.compile(r"[0-9T]{20,30}-[0-9a-f]{8}")
_MOST = 200
_HTML_CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox"


@bp.before_request
def _from_here_only() -> None:
    """Somebody may have put a proxy in front: its callers are not on this machine."""
    if not is_loopback(request.remote_addr or ""):
        abort(404)


@bp.get("")
@public
def index() -> ResponseReturnValue:
    """All mails, newest first."""
    files = sorted(mailbox_folder(settings()).glob("*.eml"), reverse=True)[:_MOST]
    return render_template("mailbox/list.html", messages=[_head(path, _parse(path)) for path in files], nav="mailbox")


@bp.get("/<message_id>")
@public
def show(message_id: str) -> ResponseReturnValue:
    """One mail with its links."""
    path = _path(message_id)
    message = _parse(path)
    text, html = (_body(message, kind) for kind in ("plain", "html"))
    shown = _head(path, message) | {
        "headers": list(message.items()),
        "text": text,
        "links": re.findall(r"https?://[^\s<>\"]+", text),
        "has_html": bool(html),
    }
    return render_template("mailbox/show.html", message=shown, nav="mailbox")


@bp.get("/<message_id>/html")
@public
def html(message_id: str) -> ResponseReturnValue:
    """The HTML part by itself, without any rights."""
    response = Response(_body(_parse(_path(message_id)), "html"), mimetype="text/html")
    response.headers["Content-Security-Policy"] = _HTML_CSP
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


def _path(message_id: str) -> Path:
    path = mailbox_folder(settings()) / f"{message_id}.eml"
    if not _ID.fullmatch(message_id) or not path.is_file():
        abort(404)
    return path


def _parse(path: Path) -> EmailMessage:
    parsed = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)  # noqa: S101 - what this policy makes
    return parsed


def _head(path: Path, message: EmailMessage) -> dict[str, Any]:
    try:
        at = datetime.strptime(path.stem.partition("-")[0] + "+0000", "%Y%m%dT%H%M%S%f%z")
    except ValueError:
        at = clock.utcnow()
    return {"id": path.stem, "to": message.get("To", ""), "subject": message.get("Subject", ""), "at": at}


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return str(part.get_content()) if part is not None else ""
