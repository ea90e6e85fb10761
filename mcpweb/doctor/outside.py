"""What others see of us and we of them: the address that people use, and the mail server."""

from __future__ import annotations

import http.client
import ssl
from datetime import UTC, datetime
from urllib.parse import urlsplit

from mcpweb import clock, mailer
from mcpweb.mailer import MailRefused
from mcpweb.monitoring.check import Check
from mcpweb.settings import Settings

_TIMEOUT_S = 5.0
_DAYS = (14, 3)
"""Days that a certificate still holds: below the first it is told, below the second it is urgent."""


def mail_server(settings: Settings) -> Check:
    """A real conversation up to the login, and no mail."""
    if not settings.mail_server:
        return Check(
            "Mail server", "warn", "None is named", "Mail stays in the local mailbox; see the line about mail."
        )
    try:
        mailer.greet()
    except MailRefused as error:
        where = f"{settings.mail_server}, port {settings.mail_port}, {settings.mail_security}"
        return Check("Mail server", "bad", f"{where}: {error}", _mail_advice(error.kind))
    how = {"starttls": "encrypted", "tls": "encrypted"}.get(settings.mail_security, "not encrypted")
    login = ", login accepted" if settings.mail_username else ""
    return Check("Mail server", "good", f"{settings.mail_server} talks to us, {how}{login}")


def test_mail(settings: Settings, to: str) -> Check:
    """Send one."""
    try:
        mailer.send(to, "mcpweb: a test mail", "test", url=settings.url)
    except MailRefused as error:
        return Check("Test mail", "bad", f"Not sent: {error}", _mail_advice(error.kind))
    where = "the local mailbox" if settings.has_local_mailbox else "the mail server"
    return Check("Test mail", "good", f"Handed to {where} for {to}")


def public_address(settings: Settings) -> list[Check]:
    """Our own /healthz answers under the address in every link, and the certificate holds for a while."""
    parts = urlsplit(settings.url)
    host = parts.hostname or ""
    advice = "See that mcpweb runs, and that name, proxy and firewall lead to it; or look at MCPWEB_PUBLIC_URL."
    try:
        status, body, ends = _fetch(host, parts.port, parts.path + "/healthz", is_https=parts.scheme == "https")
    except ssl.SSLCertVerificationError as error:
        return [Check("Public address", "bad", f"{settings.url}: {error.verify_message}", "Renew the certificate.")]
    except (OSError, http.client.HTTPException):
        return [Check("Public address", "bad", f"{settings.url} does not answer", advice)]
    if status != 200 or body.replace(b" ", b"").strip() != b'{"status":"ok"}':
        return [Check("Public address", "bad", f"{settings.url} answers with something else ({status})", advice)]
    found = [Check("Public address", "good", f"{settings.url} leads to mcpweb")]
    if ends is not None:
        found.append(_certificate((ends - clock.utcnow()).days))
    return found


def _certificate(days: int) -> Check:
    state = "bad" if days < _DAYS[1] else "warn" if days < _DAYS[0] else "good"
    return Check("Certificate", state, f"Holds for {days} days", "" if state == "good" else "Renew it.")


def _fetch(host: str, port: int | None, path: str, *, is_https: bool) -> tuple[int, bytes, datetime | None]:
    """Status and body of a page, and when the certificate ends.

    Raises:
        OSError, HTTPException: there is none.
    """
    ends = None
    if is_https:
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=_TIMEOUT_S, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    try:
        connection.connect()
        if isinstance(connection.sock, ssl.SSLSocket) and (certificate := connection.sock.getpeercert()):
            ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, reply.read(1000), ends
    finally:
        connection.close()


def _mail_advice(kind: str) -> str:
    if "Authentication" in kind:
        return "Look at MCPWEB_MAIL_USERNAME and MCPWEB_MAIL_PASSWORD."
    if "NotSupported" in kind or "SSL" in kind:
        return "Look at MCPWEB_MAIL_SECURITY, and at the server's certificate."
    if kind == "gaierror":
        return "Look at MCPWEB_MAIL_SERVER, and at this host's DNS."
    return "Look at MCPWEB_MAIL_SERVER and MCPWEB_MAIL_PORT, and whether the server runs."
