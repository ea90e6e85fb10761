"""The live check of a credential: one call that says whose it is, what it may do, and when it ends."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from mcpweb.catalog.manifest import Check
from mcpweb.catalog.outgoing import Outgoing
from mcpweb.catalog.refusals import Kind, UpstreamError
from mcpweb.catalog.registry import Service
from mcpweb.errors import AppError

TIMEOUT_S = 8.0

Refusal = Literal["rejected", "scope", "rate_limited", "unreachable"]

_REFUSALS: dict[Kind, tuple[Refusal, str]] = {
    "key_refused": ("rejected", "{title} does not accept this key: it is wrong, revoked or expired."),
    "scope_missing": ("scope", "{title} knows this key, but does not let it read whose it is."),
    "not_found": ("rejected", "{title} does not know this key at this address."),
    "invalid": ("rejected", "{title} does not understand this key."),
    "rate_limited": ("rate_limited", "{title} limits how often this key may be used. Try again a little later."),
    "unavailable": ("unreachable", "{title} can not be reached at the moment, so the key could not be checked."),
}


class CheckRefused(AppError):
    """The credential was not proven; `kind` tells why, `missing` names the scopes that it lacks."""

    def __init__(self, kind: Refusal, sentence: str, missing: tuple[str, ...] = ()) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Checked:
    """What the service said of a good credential. `scopes` is None where the service does not tell."""

    account: str
    scopes: tuple[str, ...] | None
    missing: tuple[str, ...]
    expires_at: datetime | None


def check(service: Service, credential: Mapping[str, str], client: Outgoing) -> Checked:
    """Try a credential at its service, for at most 8 seconds in all.

    Raises:
        CheckRefused: told apart as wrong key, missing rights, rate limit, and no sensible answer.
    """
    call = _call_for(service, credential)
    api = service.api(credential, client)
    api.deadline_s = TIMEOUT_S
    try:
        reply = api.request("GET", call.path)
        body = reply.json()
    except UpstreamError as error:
        # Without a status there was no answer that says anything of the key: cut off, endless, unreadable.
        kind, sentence = _REFUSALS[error.kind if error.status else "unavailable"]
        raise CheckRefused(kind, sentence.format(title=service.title)) from None
    scopes = _scopes(reply.headers, call.scopes_header)
    wanted = [scope for field in service.manifest.fields for scope in field.scopes]
    missing = [scope for scope in wanted if scopes is not None and not {scope.name, *scope.implied_by} & set(scopes)]
    needed = tuple(scope.name for scope in missing if not scope.optional)
    if needed:
        raise CheckRefused(
            "scope",
            f"{service.title} accepts this key, but it lacks rights that are needed: {', '.join(needed)}.",
            needed,
        )
    return Checked(
        account=_printable(str(_dig(body, call.account) or ""))[:200],
        scopes=scopes,
        missing=tuple(scope.name for scope in missing),
        expires_at=_time(reply.headers.get(call.expires_header.lower(), "")),
    )


def _call_for(service: Service, credential: Mapping[str, str]) -> Check:
    first = credential[service.manifest.fields[0].name]
    return next(call for call in service.manifest.checks if re.search(call.when, first))


def _scopes(headers: Mapping[str, str], name: str) -> tuple[str, ...] | None:
    text = headers.get(name.lower()) if name else None
    return None if text is None else tuple(word.strip() for word in text.split(",") if word.strip())


def _dig(body: Any, path: str) -> Any:
    for step in filter(None, path.split(".")):
        if isinstance(body, list) and step.isdigit():
            body = body[int(step)] if int(step) < len(body) else None
        elif isinstance(body, dict):
            body = body.get(step)
        else:
            return None
    return body


def _printable(text: str) -> str:
    """Foreign text for pages and the database, which can not hold every character."""
    return "".join(letter for letter in text if letter.isprintable())


def _time(text: str) -> datetime | None:
    """GitHub writes `2026-12-01 10:00:00 UTC` or `... +0100`; others ISO 8601."""
    if not re.match(r"2\d{3}-", text):
        return None
    try:
        at = datetime.fromisoformat(re.sub(r" (UTC|[+-]\d{4})$", lambda zone: zone[1].replace("UTC", "+0000"), text))
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
