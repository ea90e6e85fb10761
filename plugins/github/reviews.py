"""Reviews of pull requests: the verdicts, and the comments on lines."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from mcpweb.plugin_api import Api, tool

from .arguments import Owner, Page, PerPage, PullNumber, Repo
from .pruning import fields, get_page, prune

_REVIEW = fields("id author=user.login state commit_id submitted_at html_url body:6000")
_COMMENT = fields(
    "id review_id=pull_request_review_id in_reply_to_id author=user.login path line start_line side created_at "
    "html_url body:6000 diff_hunk:1000"
)
_PULL_PATH = "/repos/{owner}/{repo}/pulls/{pull_number}"
_LINE_COMMENTS = {
    "maxItems": 50,
    "items": {
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "File."},
            "line": {"type": "integer", "description": "Line; of the range, the last.", "minimum": 1},
            "start_line": {"type": "integer", "description": "First line of a range.", "minimum": 1},
            "side": {"type": "string", "enum": ["LEFT", "RIGHT"], "description": "LEFT: deleted lines."},
            "body": {"type": "string", "description": "Markdown text."},
        },
        "required": ["path", "line", "body"],
        "additionalProperties": False,
    },
}


@tool("List reviews of a pull request", read_only=True)
def list_pull_request_reviews(
    api: Api, owner: Owner, repo: Repo, pull_number: PullNumber, page: Page = 1, per_page: PerPage = 30
) -> object:
    """List the reviews of a pull request: who, verdict (`state`), which commit, and the summary."""
    query = {"page": page, "per_page": per_page}
    return get_page(api, _PULL_PATH + "/reviews", _REVIEW, query=query, owner=owner, repo=repo, pull_number=pull_number)


@tool("List review comments", read_only=True)
def list_review_comments(
    api: Api, owner: Owner, repo: Repo, pull_number: PullNumber, page: Page = 1, per_page: PerPage = 30
) -> object:
    """List the comments on lines of a pull request, with file, line and the code around. The general conversation
    is in list_issue_comments."""
    query = {"page": page, "per_page": per_page}
    return get_page(
        api, _PULL_PATH + "/comments", _COMMENT, query=query, owner=owner, repo=repo, pull_number=pull_number
    )


@tool("Review a pull request")
def create_review(
    api: Api,
    owner: Owner,
    repo: Repo,
    pull_number: PullNumber,
    event: Annotated[Literal["COMMENT", "APPROVE", "REQUEST_CHANGES"], "The verdict."],
    body: Annotated[str | None, "Summary, Markdown; only APPROVE can do without.", {"maxLength": 65_536}] = None,
    comments: Annotated[list[dict[str, Any]] | None, "Comments on lines of the diff.", _LINE_COMMENTS] = None,
    commit_id: Annotated[str | None, "SHA that was reviewed; the newest if left out.", {"maxLength": 64}] = None,
) -> object:
    """Submit a review: a verdict, a summary and comments on lines, all at once. The author is notified."""
    values = {"event": event, "body": body, "comments": comments, "commit_id": commit_id}
    new = {name: value for name, value in values.items() if value is not None}
    made = api.post(_PULL_PATH + "/reviews", json=new, owner=owner, repo=repo, pull_number=pull_number)
    return prune(made, fields("id state commit_id submitted_at html_url"))
