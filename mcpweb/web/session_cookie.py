"""The cookie of a session, signed with the time; hosts need not have the same one."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import SignatureExpired, TimestampSigner, URLSafeTimedSerializer

from mcpweb import clock


class _Signer(TimestampSigner):
    """As itsdangerous has it, but what a host whose clock is ahead has signed is taken for new, not refused.

    A second would be enough for that: whoever signed in at one host would be a stranger to the next one.
    """

    def unsign(self, signed_value: Any, max_age: int | None = None, return_timestamp: bool = False) -> Any:
        """The value, and when it was signed if asked for.

        Raises:
            BadSignature: it is not ours, or older than `max_age` seconds.
        """
        value, signed_at = super().unsign(signed_value, return_timestamp=True)
        age_s = (clock.utcnow() - signed_at.astimezone(UTC)).total_seconds()
        if max_age is not None and age_s > max_age:
            raise SignatureExpired("too old", payload=value, date_signed=signed_at)
        return (value, signed_at) if return_timestamp else value


class SessionCookies(SecureCookieSessionInterface):
    """Flask's own, with that signer."""

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """What signs and reads the cookie."""
        found = super().get_signing_serializer(app)
        if found is not None:
            found.signer = _Signer
        return found
