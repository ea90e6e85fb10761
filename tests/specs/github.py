"""GitHub beyond its OpenAPI document: refusals, headers, and answers that fit the request."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson

from tests.specs.document import Problem
from tests.specs.exchange import Answer, Seen

DOCS = "https://docs.github.com/rest"
LAST_PAGE = 3
DIFF = b"""diff --git a/README b/README
index c8b0b5e..1f2a3b4 100644
--- a/README
+++ b/README
@@ -1 +1 @@
-Hello World
+Hello, World!
"""

_IDENTITY = {"users/get-authenticated"}
_NUMBERS = {"issue_number": "number", "pull_number": "number", "run_id": "id", "job_id": "id", "thread_id": "id"}
_NAMES = {"username": "login", "tag": "tag_name", "branch": "name", "path": "path"}
_RESET_AFTER_S = 600
_SCOPES = "notifications, read:org, repo, workflow"


class GitHub:
    """See `tests.specs.providers.Provider`."""

    def token(self, headers: Mapping[str, str]) -> str | None:
        scheme, _, value = headers.get("authorization", "").partition(" ")
        return value.strip() if scheme.lower() in ("bearer", "token") and value else None

    def unauthenticated(self) -> Answer:
        return _error(401, "Requires authentication")

    def refusal(self, behaviour: str, seen: Seen) -> Answer | None:
        match behaviour:
            case "revoked" | "expired":
                return _error(401, "Bad credentials")
            case "rate_limited":
                return _error(429, "API rate limit exceeded for user ID 1.", **{"Retry-After": "37"})
            case "rate_limited_forever":
                return _error(429, "API rate limit exceeded.", **{"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"})
            case "primary_limit":
                return _error(403, "API rate limit exceeded for user ID 1.")
            case "secondary_limit":
                return _error(403, "You have exceeded a secondary rate limit. Please wait a few minutes.")
            case "error_500":
                return Answer(500, {"message": "Server Error"})
            case "saml" if seen.operation_id not in _IDENTITY:
                return _saml()
            case "no_scope" | "no_permission" if seen.operation_id not in _IDENTITY:
                return self._without_rights(behaviour, seen)
            case "installation":
                return _not_for_apps(seen)
            case _:
                return None

    def not_found(self, seen: Seen) -> Answer:
        return _error(404, "Not Found")

    def invalid(self, problems: list[Problem], seen: Seen) -> Answer:
        resource = (seen.operation_id or "").split("/")[0].rstrip("s").capitalize()
        errors = [
            {"resource": resource, "field": problem.field, "code": "missing_field" if problem.missing else "invalid"}
            for problem in problems
        ]
        answer = _error(422, "Validation Failed")
        answer.body["errors"] = errors
        return answer

    def example_name(self, seen: Seen, names: list[str]) -> str:
        def named(word: str) -> str:
            return next((name for name in names if word in name), names[0])

        if seen.operation_id == "repos/get-content":
            return named("a-file" if "." in seen.arguments["path"].rpartition("/")[2] else "directory")
        if seen.operation_id == "git/get-tree" and "recursive" in seen.query:
            return named("recursive")
        return names[0]

    def adjust(self, body: Any, seen: Seen) -> Any:
        text = orjson.dumps(body).decode()
        owner, repo = seen.arguments.get("owner"), seen.arguments.get("repo")
        if owner and repo:
            text = text.replace("octocat/Hello-World", f"{owner}/{repo}").replace("octocat/example", f"{owner}/{repo}")
        fitted = orjson.loads(text)
        if isinstance(fitted, list) and "per_page" in seen.query:
            return fitted[: int(seen.query["per_page"])]
        if isinstance(fitted, dict):
            _echo(fitted, seen)
        return fitted

    def finish(self, answer: Answer, seen: Seen, behaviour: str, base_url: str) -> Answer:
        limited = behaviour == "primary_limit"
        answer.headers |= {
            "X-GitHub-Request-Id": "0001:0002:0003:0004:0005",
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-RateLimit-Limit": "5000",
            "X-RateLimit-Remaining": "0" if limited else "4999",
            "X-RateLimit-Reset": str(int(time.time()) + _RESET_AFTER_S),
        }
        if behaviour not in ("fine_grained", "installation", "no_permission", "revoked", "expired"):
            answer.headers["X-OAuth-Scopes"] = "" if behaviour == "no_scope" else _SCOPES
            answer.headers["X-Accepted-OAuth-Scopes"] = _accepted_scopes(seen)
        if behaviour == "expiring":
            ends_at = datetime.now(UTC) + timedelta(days=10)
            answer.headers["GitHub-Authentication-Token-Expiration"] = f"{ends_at:%Y-%m-%d %H:%M:%S} UTC"
        if answer.status == 302 and seen.operation_id == "actions/download-job-logs-for-workflow-run":
            answer.headers["Location"] = f"{base_url}/_blob/logs.txt?sig=1"
        elif answer.status < 300:
            _media(answer, seen)
            _link(answer, seen, base_url)
        return answer

    def _without_rights(self, behaviour: str, seen: Seen) -> Answer:
        """A private repository is "not found" to a classic token without `repo`; the rest is a plain 403."""
        if behaviour == "no_permission":
            message = "Resource not accessible by personal access token"
            return _error(403, message, **{"X-Accepted-GitHub-Permissions": "issues=write; contents=read"})
        return self.not_found(seen) if seen.path.startswith("/repos/") else _error(403, "Missing the required scope.")


def _error(status: int, message: str, **headers: str) -> Answer:
    return Answer(status, {"message": message, "documentation_url": DOCS, "status": str(status)}, headers)


def _saml() -> Answer:
    answer = _error(
        403,
        "Resource protected by organization SAML enforcement. "
        "You must grant your OAuth token access to this organization.",
    )
    answer.headers["X-GitHub-SSO"] = "required; url=https://github.com/orgs/octo-org/sso?authorization_request=AAAA"
    return answer


def _not_for_apps(seen: Seen) -> Answer | None:
    """The document flags the operations that an app's installation may use."""
    if seen.operation is None or seen.operation.raw.get("x-github", {}).get("enabledForGitHubApps", True):
        return None
    return _error(403, "Resource not accessible by integration")


def _accepted_scopes(seen: Seen) -> str:
    if seen.path.startswith("/notifications"):
        return "notifications, repo"
    if seen.path.startswith(("/orgs/", "/user/orgs")):
        return "admin:org, read:org, repo, user, write:org"
    return "repo" if seen.path.startswith("/repos/") else ""


def _echo(body: dict[str, Any], seen: Seen) -> None:
    """Put what the request named into the answer, where the example has a member for it."""
    for name, key in _NUMBERS.items():
        if key in body and name in seen.arguments:
            body[key] = int(seen.arguments[name])
    for name, key in _NAMES.items():
        if key in body and name in seen.arguments:
            body[key] = seen.arguments[name]
    if seen.operation_id == "repos/get":
        body["name"] = seen.arguments["repo"]
        body["owner"]["login"] = seen.arguments["owner"]
    if isinstance(seen.json, dict):
        scalars = {key: value for key, value in seen.json.items() if isinstance(value, str | int)}
        body |= {key: value for key, value in scalars.items() if type(body.get(key)) is type(value)}
    if body.get("type") == "file" and "content" in body:
        _fill_file(body, seen.arguments["path"])


def _fill_file(body: dict[str, Any], path: str) -> None:
    """The documented content is no valid base64. `big.txt` is beyond the limit for content in JSON (1 MB)."""
    content = b"\x89PNG\r\n\x1a\n\x00\x01" if path.endswith(".png") else f"# {path}\nHello World\n".encode()
    body |= {"name": path.rpartition("/")[2], "size": len(content), "content": base64.encodebytes(content).decode()}
    if body["name"] == "big.txt":
        body |= {"size": 1_200_000, "encoding": "none", "content": ""}


def _media(answer: Answer, seen: Seen) -> None:
    """The media types that a tool may ask for instead of JSON (docs.github.com, Media types)."""
    accept = seen.headers.get("accept", "")
    if ".diff" in accept:
        answer.body, answer.media = DIFF, "application/vnd.github.diff; charset=utf-8"
    elif ".raw" in accept and seen.operation_id == "repos/get-content":
        answer.body, answer.media = b"line\n" * 240_000, "application/vnd.github.raw+json; charset=utf-8"


def _link(answer: Answer, seen: Seen, base_url: str) -> None:
    """RFC 8288 links as GitHub sends them: none on the only page, no `next` on the last one."""
    if seen.operation is None or "page" not in seen.operation.query_parameters:
        return
    page = int(seen.query.get("page", "1"))
    rest = {name: value for name, value in seen.query.items() if name != "page"}
    pages = {"prev": page - 1, "next": page + 1, "last": LAST_PAGE, "first": 1}
    wanted = ["prev", "first"] if page > 1 else []
    wanted += ["next", "last"] if page < LAST_PAGE else []
    url = base_url + seen.path
    links = (f'<{url}?{urlencode({**rest, "page": pages[rel]})}>; rel="{rel}"' for rel in wanted)
    answer.headers["Link"] = ", ".join(links)
