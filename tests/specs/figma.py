"""Figma beyond its OpenAPI document: it answers 403, not 401, to a bad token, and names the scopes it wants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tests.specs.document import Problem
from tests.specs.exchange import Answer, Seen

_IDENTITY = {"getMe"}
_GRANTED = "current_user:read"
_ECHOED = ("file_key", "team_id", "project_id", "webhook_id", "comment_id")


class Figma:
    """See `tests.specs.providers.Provider`."""

    def token(self, headers: Mapping[str, str]) -> str | None:
        if token := headers.get("x-figma-token"):
            return token
        scheme, _, value = headers.get("authorization", "").partition(" ")
        return value if scheme.lower() == "bearer" and value else None

    def unauthenticated(self) -> Answer:
        return _error(401, "Unauthorized")

    def refusal(self, behaviour: str, seen: Seen) -> Answer | None:
        match behaviour:
            case "revoked":
                return _error(403, "Invalid token")
            case "expired":
                return _error(403, "Token expired")
            case "rate_limited" | "primary_limit" | "secondary_limit":
                return _limited("37")
            case "rate_limited_forever":
                return _limited("Fri, 31 Dec 9999 23:59:59 GMT")
            case "error_500":
                return _error(500, "Internal Server Error")
            case "no_scope" | "no_permission" if seen.operation_id not in _IDENTITY:
                wanted = " or ".join(_scopes(seen)) or "file_content:read"
                return _error(403, f"Invalid scope(s): {_GRANTED}. This endpoint requires the {wanted} scope")
            case _:
                return None

    def not_found(self, seen: Seen) -> Answer:
        return _error(404, "Not found")

    def invalid(self, problems: list[Problem], seen: Seen) -> Answer:
        return _error(400, "; ".join(problem.message for problem in problems))

    def example_name(self, seen: Seen, names: list[str]) -> str:
        return names[0]

    def adjust(self, body: Any, seen: Seen) -> Any:
        fitted = orjson.loads(orjson.dumps(body))
        if not isinstance(fitted, dict):
            return fitted
        fitted |= {key: seen.arguments[key] for key in _ECHOED if key in fitted and key in seen.arguments}
        if isinstance(seen.json, dict):
            same = {key: value for key, value in seen.json.items() if type(fitted.get(key)) is type(value)}
            fitted |= {key: value for key, value in same.items() if isinstance(value, str | int | bool)}
        return fitted

    def finish(self, answer: Answer, seen: Seen, behaviour: str, base_url: str) -> Answer:
        return answer


def _error(status: int, sentence: str) -> Answer:
    return Answer(status, {"status": status, "err": sentence})


def _limited(retry_after: str) -> Answer:
    answer = _error(429, "Rate limit exceeded")
    answer.headers = {
        "Retry-After": retry_after,
        "X-Figma-Plan-Tier": "pro",
        "X-Figma-Rate-Limit-Type": "high",
        "X-Figma-Upgrade-Link": "https://www.figma.com/pricing",
    }
    return answer


def _scopes(seen: Seen) -> list[str]:
    """The document names, for each operation, the scopes of which one suffices."""
    security = seen.operation.raw.get("security", []) if seen.operation else []
    return sorted({scope for row in security for scope in row.get("OAuth2", row.get("OrgOAuth2", []))})
