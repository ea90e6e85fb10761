"""Issues: find, read, write, comment, label. To GitHub a pull request is an issue too."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from mcpweb.plugin_api import Api, ToolError, tool

from .arguments import IssueNumber, Owner, Page, PerPage, Repo, Since
from .pruning import fields, get_page, prune

_ROW = fields(
    "number title state state_reason type=type.name author=user.login labels=labels.*.name assignees=assignees.*.login "
    "milestone=milestone.title comments created_at updated_at closed_at html_url pull_request=pull_request.html_url "
    "body:300"
)
_ISSUE = tuple(field for field in _ROW if field.name != "body") + fields(
    "locked closed_by=closed_by.login reactions=reactions.total_count body:30000"
)
_WRITTEN = fields(
    "number title state labels=labels.*.name assignees=assignees.*.login milestone=milestone.title html_url"
)
_COMMENT = fields("id author=user.login author_association created_at updated_at html_url body:6000")
_LABEL = fields("name description:300")
_KIND = re.compile(r"\b(is|type):(issue|pr|pull-request)\b", re.IGNORECASE)

_REPO = "/repos/{owner}/{repo}"
_ISSUE_PATH = "/repos/{owner}/{repo}/issues/{issue_number}"
_Labels = Annotated[list[str] | None, "Label names.", {"maxItems": 100}]
_Assignees = Annotated[list[str] | None, "Logins, at most 10.", {"maxItems": 10}]
_Body = Annotated[str | None, "Markdown text.", {"maxLength": 65_536}]


@tool("Search issues and pull requests", read_only=True)
def search_issues(
    api: Api,
    query: Annotated[
        str,
        "Words and qualifiers, e.g. `crash repo:octocat/hello-world state:open label:bug author:octocat`.",
        {"minLength": 1, "maxLength": 256},
    ],
    kind: Annotated[Literal["issue", "pull_request"], "What to search for."] = "issue",
    sort: Annotated[
        Literal["created", "updated", "comments", "reactions"] | None, "Highest first; best match if left out."
    ] = None,
    page: Page = 1,
    per_page: PerPage = 20,
) -> object:
    """Search issues or pull requests across repositories; for one repository's newest ones list_issues is simpler.
    Bodies are cut at 300 characters; the first 1,000 hits can be paged through."""
    if not _KIND.search(query):
        query += " is:issue" if kind == "issue" else " is:pull-request"
    search = {"q": query, "sort": sort, "page": page, "per_page": per_page}
    return get_page(api, "/search/issues", _ROW, query=search, key="items")


@tool("List issues", read_only=True)
def list_issues(
    api: Api,
    owner: Owner,
    repo: Repo,
    state: Annotated[Literal["open", "closed", "all"], "Which ones."] = "open",
    labels: Annotated[list[str] | None, "Only with all of these labels.", {"maxItems": 20}] = None,
    assignee: Annotated[str | None, "Login, `none` or `*` for any.", {"maxLength": 100}] = None,
    creator: Annotated[str | None, "Login.", {"maxLength": 100}] = None,
    sort: Annotated[Literal["created", "updated", "comments"], "Highest first."] = "created",
    since: Since = None,
    page: Page = 1,
    per_page: PerPage = 20,
) -> object:
    """List a repository's issues. GitHub lists its pull requests among them: those have `pull_request`. Bodies
    are cut at 300 characters."""
    query = {
        "state": state,
        "labels": labels,
        "assignee": assignee,
        "creator": creator,
        "sort": sort,
        "since": since,
        "page": page,
        "per_page": per_page,
    }
    return get_page(api, _REPO + "/issues", _ROW, query=query, owner=owner, repo=repo)


@tool("Get an issue", read_only=True)
def get_issue(api: Api, owner: Owner, repo: Repo, issue_number: IssueNumber) -> object:
    """Get one issue with its text (cut at 30,000 characters); for what was said below it, list_issue_comments."""
    return prune(api.get(_ISSUE_PATH, owner=owner, repo=repo, issue_number=issue_number), _ISSUE)


@tool("List comments of an issue", read_only=True)
def list_issue_comments(
    api: Api,
    owner: Owner,
    repo: Repo,
    issue_number: IssueNumber,
    since: Since = None,
    page: Page = 1,
    per_page: PerPage = 20,
) -> object:
    """List the comments below an issue or pull request, oldest first, each cut at 6,000 characters. Comments on
    lines of a pull request are in list_review_comments."""
    query = {"since": since, "page": page, "per_page": per_page}
    return get_page(
        api, _ISSUE_PATH + "/comments", _COMMENT, query=query, owner=owner, repo=repo, issue_number=issue_number
    )


@tool("Create an issue")
def create_issue(
    api: Api,
    owner: Owner,
    repo: Repo,
    title: Annotated[str, "Title.", {"minLength": 1, "maxLength": 256}],
    body: _Body = None,
    labels: _Labels = None,
    assignees: _Assignees = None,
    milestone: Annotated[int | None, "Number of the milestone.", {"minimum": 1}] = None,
) -> object:
    """Open a new issue. Search first, so that it is not the second one about the same thing. Labels, assignees and
    milestone are dropped silently when this connection may not push."""
    values = {"title": title, "body": body, "labels": labels, "assignees": assignees, "milestone": milestone}
    new = {name: value for name, value in values.items() if value is not None}
    return prune(api.post(_REPO + "/issues", json=new, owner=owner, repo=repo), _WRITTEN)


@tool("Update an issue or pull request", destructive=True, idempotent=True)
def update_issue(
    api: Api,
    owner: Owner,
    repo: Repo,
    issue_number: IssueNumber,
    title: Annotated[str | None, "New title.", {"minLength": 1, "maxLength": 256}] = None,
    body: Annotated[str | None, "New Markdown text, instead of the old.", {"maxLength": 65_536}] = None,
    state: Annotated[Literal["open", "closed"] | None, "Close or reopen."] = None,
    state_reason: Annotated[
        Literal["completed", "not_planned", "reopened"] | None, "Why; only together with `state`."
    ] = None,
    assignees: Annotated[list[str] | None, "Logins, instead of the present ones.", {"maxItems": 10}] = None,
    milestone: Annotated[int | None, "Number of the milestone; 0 takes it away.", {"minimum": 0}] = None,
) -> object:
    """Change an issue or a pull request: what is left out stays. Also closes and reopens both. For labels use
    change_issue_labels."""
    values = {"title": title, "body": body, "state": state, "state_reason": state_reason, "assignees": assignees}
    change: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
    if milestone is not None:
        change["milestone"] = milestone or None
    if not change:
        raise ToolError("Nothing to change: give at least one of title, body, state, assignees, milestone.")
    return prune(api.patch(_ISSUE_PATH, json=change, owner=owner, repo=repo, issue_number=issue_number), _WRITTEN)


@tool("Comment on an issue or pull request")
def add_issue_comment(
    api: Api,
    owner: Owner,
    repo: Repo,
    issue_number: IssueNumber,
    body: Annotated[str, "Markdown text.", {"minLength": 1, "maxLength": 65_536}],
) -> object:
    """Write a comment below an issue or pull request. Everybody who follows it is notified."""
    new = api.post(_ISSUE_PATH + "/comments", json={"body": body}, owner=owner, repo=repo, issue_number=issue_number)
    return prune(new, fields("id created_at html_url"))


@tool("Change labels", destructive=True, idempotent=True)
def change_issue_labels(
    api: Api,
    owner: Owner,
    repo: Repo,
    issue_number: IssueNumber,
    add: Annotated[list[str] | None, "Names of labels to add; unknown ones are created.", {"maxItems": 100}] = None,
    remove: Annotated[list[str] | None, "Names of labels to take away.", {"maxItems": 100}] = None,
) -> object:
    """Add labels to an issue or pull request and take others away. Answers with the labels it has then."""
    if not add and not remove:
        raise ToolError("Nothing to change: name labels in `add` or `remove`.")
    path = _ISSUE_PATH + "/labels"
    where: dict[str, Any] = {"owner": owner, "repo": repo, "issue_number": issue_number}
    if not remove:
        labels = api.post(path, json={"labels": add}, **where)
    else:
        # The whole set at once: a label's name may hold a slash, which can not stand in a path.
        gone = {name.casefold() for name in remove}
        present = [label["name"] for label in api.get(path, query={"per_page": 100}, **where)]
        kept = [name for name in present if name.casefold() not in gone]
        labels = api.put(path, json={"labels": kept + (add or [])}, **where)
    return {"labels": [label["name"] for label in labels]}


@tool("List labels", read_only=True)
def list_labels(api: Api, owner: Owner, repo: Repo, page: Page = 1, per_page: PerPage = 100) -> object:
    """List the labels that a repository knows, to label issues with."""
    query = {"page": page, "per_page": per_page}
    return get_page(api, _REPO + "/labels", _LABEL, query=query, owner=owner, repo=repo)
