"""Reading a provider's bad answers: which kind of refusal is it, and what can the caller do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal, get_args

import orjson

from mcpweb import clock
from mcpweb.catalog.outgoing import Reply

Kind = Literal["key_refused", "scope_missing", "not_found", "rate_limited", "invalid", "unavailable"]
KINDS: tuple[str, ...] = get_args(Kind)

_MAX_RETRY = timedelta(days=31)
"""A Retry-After beyond this is nonsense (the year 9999 was seen) and is cut; providers are known to ask for days."""

_SENTENCES: dict[Kind, str] = {
    "key_refused": "{title} refused the key of this connection: it is wrong, revoked or expired. "
    "Ask the owner to replace it in mcpweb; calling again will not help.",
    "scope_missing": "The key of this connection is not allowed to do this at {title}.",
    "not_found": "{title} has no such thing, or the key may not see it. Check the names and numbers.",
    "rate_limited": "{title} limits how often it may be asked.",
    "invalid": "{title} did not accept the request.",
    "unavailable": "{title} has a problem of its own at the moment. Try again later.",
}


class UpstreamError(Exception):
    """The service refused or failed; the text is a sentence that a model can act on, without any secret."""

    def __init__(self, kind: Kind, sentence: str, *, status: int | None = None, reset_at: datetime | None = None):
        super().__init__(sentence)
        self.kind = kind
        self.status = status
        self.reset_at = reset_at


@dataclass(frozen=True, slots=True)
class Refusal:
    """One `[[error]]` row of a manifest: an answer that looks like this means that."""

    means: Kind
    status: int
    contains: str | None = None
    header: str | None = None

    def fits(self, reply: Reply) -> bool:
        """Whether the answer has this status and, where the row names them, this text and this header."""
        if reply.status != self.status:
            return False
        if self.header is not None:
            name, _, value = self.header.partition(":")
            if reply.headers.get(name.strip().lower()) != value.strip():
                return False
        return self.contains is None or self.contains.lower() in reply.text.lower()


def read(reply: Reply, title: str, rows: Sequence[Refusal], reset_header: str | None = None) -> UpstreamError:
    """The error that an answer with a status of 300 or more stands for.

    `rows` are tried in order before the common meaning of the status. What the provider says itself is added
    to the sentence, cut to 300 characters.
    """
    kind = next((row.means for row in rows if row.fits(reply)), None) or _by_status(reply)
    sentence = _SENTENCES[kind].format(title=title)
    reset_at = _reset_at(reply.headers, reset_header) if kind == "rate_limited" else None
    if reset_at:
        sentence += f" It allows the next request at {reset_at:%Y-%m-%d %H:%M:%S} UTC."
    if kind == "scope_missing":
        sentence += _scopes(reply.headers)
    if kind in ("invalid", "scope_missing", "not_found") and (said := _said(reply)):
        sentence += f" It says: {said}"
    return UpstreamError(kind, sentence, status=reply.status, reset_at=reset_at)


def _by_status(reply: Reply) -> Kind:
    match reply.status:
        case 401:
            return "key_refused"
        case 403:
            return "rate_limited" if "retry-after" in reply.headers else "scope_missing"
        case 404 | 410:
            return "not_found"
        case 429:
            return "rate_limited"
        case status if 400 <= status < 500:
            return "invalid"
        case _:
            return "unavailable"


def _reset_at(headers: Mapping[str, str], reset_header: str | None) -> datetime | None:
    """When the limit ends: Retry-After (RFC 9110, 10.2.3: seconds or a date), else the provider's own header."""
    now = clock.utcnow()
    try:
        if after := headers.get("retry-after"):
            at = (
                now + timedelta(seconds=float(after))
                if re.fullmatch(r"[\d.]+", after)
                else parsedate_to_datetime(after)
            )
        elif reset_header and (epoch := headers.get(reset_header)):
            at = datetime.fromtimestamp(float(epoch), UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return now + _MAX_RETRY
    return min(max(at if at.tzinfo else at.replace(tzinfo=UTC), now), now + _MAX_RETRY)


def _scopes(headers: Mapping[str, str]) -> str:
    """GitHub names what an endpoint accepts in this header (docs.github.com, scopes for OAuth apps)."""
    accepted = headers.get("x-accepted-oauth-scopes") or headers.get("x-accepted-github-permissions")
    return f" It needs: {accepted[:200]}." if accepted else ""


def _said(reply: Reply) -> str:
    """The provider's own words: `message` (GitHub, Figma) or `err` (Figma), with GitHub's list of errors."""
    try:
        body = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(body, dict):
        return ""
    words = [str(body.get("message") or body.get("err") or "")]
    errors = body.get("errors")
    for error in errors if isinstance(errors, list) else ():
        if isinstance(error, dict):
            words.append(str(error.get("message") or f"{error.get('field')}: {error.get('code')}"))
        elif isinstance(error, str):
            words.append(error)
    return "; ".join(word for word in words if word)[:300]
