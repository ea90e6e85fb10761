"""Pull requests: list, read, see what they change, open and merge them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from mcpweb.plugin_api import Api, Result, tool

from .arguments import Owner, Page, PerPage, PullNumber, Repo
from .commits import changed_files
from .pruning import fields, get_page, next_page, prune
from .text import MAX_BYTES, window, with_text

_ROW = fields(
    "number title state draft author=user.login head=head.label base=base.ref labels=labels.*.name "
    "requested_reviewers=requested_reviewers.*.login created_at updated_at merged_at html_url body:300"
)
_PULL = tuple(field for field in _ROW if field.name != "body") + fields(
    "merged mergeable mergeable_state merged_by=merged_by.login head_sha=head.sha head_repo=head.repo.full_name "
    "base_sha=base.sha assignees=assignees.*.login milestone=milestone.title requested_teams=requested_teams.*.slug "
    "commits additions deletions changed_files comments review_comments closed_at body:30000"
)
_REPO = "/repos/{owner}/{repo}"
_PULL_PATH = "/repos/{owner}/{repo}/pulls/{pull_number}"


@tool("List pull requests", read_only=True)
def list_pull_requests(
    api: Api,
    owner: Owner,
    repo: Repo,
    state: Annotated[Literal["open", "closed", "all"], "Which ones; merged ones are closed."] = "open",
    head: Annotated[str | None, "Only from this branch, as `user:branch`.", {"maxLength": 400}] = None,
    base: Annotated[str | None, "Only into this branch.", {"maxLength": 255}] = None,
    sort: Annotated[Literal["created", "updated", "popularity", "long-running"], "Order."] = "created",
    direction: Annotated[Literal["asc", "desc"], "Lowest or highest first."] = "desc",
    page: Page = 1,
    per_page: PerPage = 20,
) -> object:
    """List a repository's pull requests; bodies are cut at 300 characters. By author or words: search_issues with
    kind `pull_request`."""
    query = {
        "state": state,
        "head": head,
        "base": base,
        "sort": sort,
        "direction": direction,
        "page": page,
        "per_page": per_page,
    }
    return get_page(api, _REPO + "/pulls", _ROW, query=query, owner=owner, repo=repo)


@tool("Get a pull request", read_only=True)
def get_pull_request(api: Api, owner: Owner, repo: Repo, pull_number: PullNumber) -> object:
    """Get one pull request: text, branches, size, and whether it can be merged (`mergeable` is absent while GitHub
    works it out: ask again). What it changes: list_pull_request_files; whether it is green: get_checks."""
    return prune(api.get(_PULL_PATH, owner=owner, repo=repo, pull_number=pull_number), _PULL)


@tool("List files of a pull request", read_only=True)
def list_pull_request_files(
    api: Api, owner: Owner, repo: Repo, pull_number: PullNumber, page: Page = 1, per_page: PerPage = 30
) -> object:
    """List the files that a pull request changes, with counts and patches. A patch is cut at 4,000 characters, all
    together at 40,000. For everything in one text use get_pull_request_diff."""
    reply = api.request(
        "GET",
        _PULL_PATH + "/files",
        query={"page": page, "per_page": per_page},
        owner=owner,
        repo=repo,
        pull_number=pull_number,
    )
    return {"files": changed_files(reply.json())} | next_page(reply)


@tool("Get the diff of a pull request", read_only=True)
def get_pull_request_diff(
    api: Api,
    owner: Owner,
    repo: Repo,
    pull_number: PullNumber,
    start_line: Annotated[int, "First line of the diff to return.", {"minimum": 1}] = 1,
    max_lines: Annotated[int, "Most lines to return.", {"minimum": 1, "maximum": 5000}] = 1000,
) -> Result:
    """Get a pull request's changes as one unified diff, at most 50,000 characters at once; go on at
    `next_start_line`. GitHub refuses diffs of more than 20,000 lines: then use list_pull_request_files."""
    diff = api.request(
        "GET",
        _PULL_PATH,
        accept="application/vnd.github.diff",
        max_bytes=MAX_BYTES,
        owner=owner,
        repo=repo,
        pull_number=pull_number,
    )
    shown = window(diff.body.decode(errors="replace"), start_line, max_lines)
    return with_text({"pull_number": pull_number} | shown.note(), shown.text)


@tool("Create a pull request")
def create_pull_request(
    api: Api,
    owner: Owner,
    repo: Repo,
    title: Annotated[str, "Title.", {"minLength": 1, "maxLength": 256}],
    head: Annotated[str, "Branch with the changes; `user:branch` in a fork.", {"minLength": 1, "maxLength": 400}],
    base: Annotated[str, "Branch to merge into.", {"minLength": 1, "maxLength": 255}],
    body: Annotated[str | None, "Markdown text.", {"maxLength": 65_536}] = None,
    draft: Annotated[bool, "Open it as a draft."] = False,
) -> object:
    """Open a pull request from a branch that is already at GitHub."""
    new: dict[str, Any] = {"title": title, "head": head, "base": base, "draft": draft}
    if body is not None:
        new["body"] = body
    made = api.post(_REPO + "/pulls", json=new, owner=owner, repo=repo)
    return prune(made, fields("number title state draft head=head.label base=base.ref html_url"))


@tool("Merge a pull request", destructive=True)
def merge_pull_request(
    api: Api,
    owner: Owner,
    repo: Repo,
    pull_number: PullNumber,
    merge_method: Annotated[Literal["merge", "squash", "rebase"], "How; the repository must allow it."] = "merge",
    commit_title: Annotated[str | None, "Title of the merge commit.", {"maxLength": 256}] = None,
    commit_message: Annotated[str | None, "Rest of its message.", {"maxLength": 65_536}] = None,
    sha: Annotated[
        str | None, "The `head_sha` that was reviewed: GitHub refuses when the branch moved on.", {"maxLength": 64}
    ] = None,
) -> object:
    """Merge a pull request. It can not be undone; look at get_pull_request and get_checks first, and pass `sha`."""
    values = {"merge_method": merge_method, "commit_title": commit_title, "commit_message": commit_message, "sha": sha}
    body = {name: value for name, value in values.items() if value is not None}
    merged = api.put(_PULL_PATH + "/merge", json=body, owner=owner, repo=repo, pull_number=pull_number)
    return prune(merged, fields("merged sha message"))
