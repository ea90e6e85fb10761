"""Mail: text and HTML from one pair of templates, by SMTP or into the local mailbox."""

from __future__ import annotations

import secrets
import smtplib
import socket
import ssl
from email.utils import make_msgid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import flask_mail
from flask import current_app

from mcpweb import clock
from mcpweb.settings import Settings

_TIMEOUT_S = 10
_HEADERS = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}


class MailRefused(Exception):
    """The mail could not be handed over; the text names the cause, never the mail's content.

    `kind` is the name of its error. `is_away`: the server was not reached or did not let us in, so that no other mail
    would have gone out either.
    """

    def __init__(self, cause: str, kind: str = "", *, is_away: bool = False) -> None:
        super().__init__(cause)
        self.kind, self.is_away = kind, is_away


_WORDS: tuple[tuple[type[OSError], str], ...] = (
    (socket.gaierror, "there is no address of this name"),
    (ConnectionRefusedError, "nothing listens there"),
    (TimeoutError, f"no answer within {_TIMEOUT_S} s"),
)
"""Of what happens before a server says anything; else the name of the error says more than we could."""


class _Smtp(flask_mail.Connection):
    """Flask-Mail's connection with what it lacks: a time-out, and certificates that are checked."""

    def configure_host(self) -> smtplib.SMTP | smtplib.SMTP_SSL:
        try:
            return self._greeted()
        except (smtplib.SMTPException, OSError) as error:
            raise _refused(error, is_away=True) from None

    def _greeted(self) -> smtplib.SMTP | smtplib.SMTP_SSL:
        settings: Settings = current_app.extensions["mcpweb_settings"]
        tls = ssl.create_default_context()
        where = (settings.mail_server, settings.mail_port)
        host = (
            smtplib.SMTP_SSL(*where, timeout=_TIMEOUT_S, context=tls)
            if settings.mail_security == "tls"
            else smtplib.SMTP(*where, timeout=_TIMEOUT_S)
        )
        if settings.mail_security == "starttls":
            host.starttls(context=tls)
        if settings.mail_username:
            host.login(settings.mail_username, settings.mail_password)
        return host


class _Mailbox(flask_mail.Connection):
    """Keeps mails as files in the home folder, for the page at /dev/mailbox."""

    def configure_host(self) -> Any:
        return None

    def send(self, message: flask_mail.Message, envelope_from: Any = None) -> None:
        """Store one mail; its name sorts by time."""
        folder = mailbox_folder(current_app.extensions["mcpweb_settings"])
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{clock.utcnow():%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"
        draft = folder / f".{name}"
        draft.touch(mode=0o600)
        draft.write_bytes(message.as_bytes())
        draft.rename(folder / f"{name}.eml")


def mailbox_folder(settings: Settings) -> Path:
    """Where the local mailbox keeps its files."""
    return settings.home / "mail"


def _render(name: str, context: dict[str, Any]) -> str:
    # By the environment itself: what pages get on top (the current user, the theme) needs a request.
    return current_app.jinja_env.get_template(f"mail/{name}").render(context)


def send(to: str, subject: str, template: str, **context: Any) -> None:
    """Render `mail/<template>.txt` and `.html` and send them now; call it from a job.

    Raises:
        MailRefused: the server could not be reached or did not take the mail.
    """
    settings: Settings = current_app.extensions["mcpweb_settings"]
    message = flask_mail.Message(
        subject=subject,
        recipients=[to],
        sender=settings.mail_from,
        body=_render(f"{template}.txt", context),
        html=_render(f"{template}.html", context),
        extra_headers=_HEADERS,
    )
    message.msgId = make_msgid(domain=urlsplit(settings.url).hostname)
    try:
        with _connection(settings) as connection:
            connection.send(message)
    except (smtplib.SMTPException, OSError) as error:
        raise _refused(error) from None


def greet() -> None:
    """Talk to the mail server up to the login, and hang up: whether mail can be sent, without sending one.

    The local mailbox is always there.

    Raises:
        MailRefused: see `send`.
    """
    try:
        with _connection(current_app.extensions["mcpweb_settings"]) as connection:
            if connection.host is not None:
                connection.host.ehlo_or_helo_if_needed()
    except (smtplib.SMTPException, OSError) as error:
        raise _refused(error) from None


def _connection(settings: Settings) -> flask_mail.Connection:
    return (_Mailbox if settings.has_local_mailbox else _Smtp)(current_app.extensions["mail"])


def _refused(error: Exception, *, is_away: bool = False) -> MailRefused:
    kind = type(error).__name__
    code = f" {error.smtp_code}" if isinstance(error, smtplib.SMTPResponseException) else ""
    cause = next((words for known, words in _WORDS if isinstance(error, known)), kind + code)
    return MailRefused(cause, kind, is_away=is_away)
