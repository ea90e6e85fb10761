"""Branches, commits, what is between two of them, and whether the checks passed."""

from __future__ import annotations

from typing import Annotated, Any

from mcpweb.plugin_api import Api, Segments, UpstreamError, tool

from .arguments import Owner, Page, PerPage, Ref, Repo, Since
from .pruning import Fields, Json, fields, get_page, next_page, prune, prune_each

_BRANCH = fields("name sha=commit.sha protected")
_NEW_BRANCH = fields("ref sha=object.sha")
_ROW = fields(
    "sha message=commit.message:500 author=commit.author.name login=author.login date=commit.author.date html_url"
)
_COMMIT = fields(
    "sha message=commit.message:10000 author=commit.author.name login=author.login date=commit.author.date "
    "parents=parents.*.sha additions=stats.additions deletions=stats.deletions verified=commit.verification.verified "
    "html_url"
)
_COMPARISON = fields("status ahead_by behind_by total_commits merge_base=merge_base_commit.sha html_url")
_CHANGED = fields("filename previous_filename status additions deletions patch:4000")
_CHECK_RUN = fields("name status conclusion summary=output.title:300 app=app.slug html_url completed_at")
_STATUS = fields("context state description:300 target_url updated_at")
_MAX_PATCHES = 40_000
"""Characters of all patches of one result together."""

_Revision = Annotated[str, "Branch, tag or commit SHA.", {"minLength": 1, "maxLength": 255}]


@tool("List branches", read_only=True)
def list_branches(api: Api, owner: Owner, repo: Repo, page: Page = 1, per_page: PerPage = 30) -> object:
    """List a repository's branches with the SHA of their last commit."""
    query = {"page": page, "per_page": per_page}
    return get_page(api, "/repos/{owner}/{repo}/branches", _BRANCH, query=query, owner=owner, repo=repo)


@tool("Create a branch")
def create_branch(
    api: Api,
    owner: Owner,
    repo: Repo,
    branch: Annotated[str, "Name of the new branch.", {"minLength": 1, "maxLength": 255}],
    from_ref: Ref = None,
) -> object:
    """Create a branch at the commit that `from_ref` points to."""
    sha = api.request(
        "GET",
        "/repos/{owner}/{repo}/commits/{ref}",
        accept="application/vnd.github.sha",
        owner=owner,
        repo=repo,
        ref=Segments(from_ref or "HEAD"),
    ).text.strip()
    new = {"ref": f"refs/heads/{branch}", "sha": sha}
    return prune(api.post("/repos/{owner}/{repo}/git/refs", json=new, owner=owner, repo=repo), _NEW_BRANCH)


@tool("List commits", read_only=True)
def list_commits(
    api: Api,
    owner: Owner,
    repo: Repo,
    ref: Ref = None,
    path: Annotated[str | None, "Only commits that touch this file or directory.", {"maxLength": 1000}] = None,
    author: Annotated[str | None, "GitHub login or e-mail address.", {"maxLength": 200}] = None,
    since: Since = None,
    until: Annotated[str | None, "Only commits before then, ISO 8601.", {"maxLength": 40}] = None,
    page: Page = 1,
    per_page: PerPage = 20,
) -> object:
    """List commits, newest first, with SHA, message, author and date."""
    query: dict[str, Any] = {"sha": ref, "path": path, "author": author, "since": since, "until": until}
    query |= {"page": page, "per_page": per_page}
    return get_page(api, "/repos/{owner}/{repo}/commits", _ROW, query=query, owner=owner, repo=repo)


@tool("Get a commit", read_only=True)
def get_commit(api: Api, owner: Owner, repo: Repo, ref: _Revision, page: Page = 1, per_page: PerPage = 30) -> object:
    """Get a commit: message, author, size, and the changed files with their patches. A patch is cut at 4,000
    characters, all together at 40,000; `page` goes through the files."""
    reply = api.request(
        "GET",
        "/repos/{owner}/{repo}/commits/{ref}",
        query={"page": page, "per_page": per_page},
        owner=owner,
        repo=repo,
        ref=Segments(ref),
    )
    found = reply.json()
    return prune(found, _COMMIT) | {"files": changed_files(found.get("files"))} | next_page(reply)


@tool("Compare two refs", read_only=True)
def compare_refs(
    api: Api,
    owner: Owner,
    repo: Repo,
    base: Annotated[str, "Branch, tag or SHA to compare from.", {"minLength": 1, "maxLength": 255}],
    head: Annotated[str, "As base, to compare to; `user:branch` in a fork.", {"minLength": 1, "maxLength": 255}],
    page: Page = 1,
    per_page: PerPage = 30,
) -> object:
    """Show what `head` has that `base` has not: commits, oldest first, and on the first page the changed files
    (at most 300) with patches, cut as in get_commit."""
    reply = api.request(
        "GET",
        "/repos/{owner}/{repo}/compare/{basehead}",
        query={"page": page, "per_page": per_page},
        owner=owner,
        repo=repo,
        basehead=Segments(f"{base}...{head}"),
    )
    found = reply.json()
    lists = {"commits": prune_each(found.get("commits"), _ROW), "files": changed_files(found.get("files"))}
    return prune(found, _COMPARISON) | lists | next_page(reply)


@tool("Get checks of a commit", read_only=True)
def get_checks(api: Api, owner: Owner, repo: Repo, ref: _Revision, page: Page = 1, per_page: PerPage = 30) -> object:
    """Tell whether a commit is green: its check runs (GitHub Actions and other apps) and its commit statuses.
    For a pull request use its `head_sha`."""
    where: dict[str, Any] = {"owner": owner, "repo": repo, "ref": Segments(ref)}
    query = {"page": page, "per_page": per_page}
    combined = api.get("/repos/{owner}/{repo}/commits/{ref}/status", query=query, **where)
    result: dict[str, Any] = {"statuses": prune_each(combined.get("statuses"), _STATUS)}
    if result["statuses"]:  # without any, GitHub calls the state "pending", though nothing is
        result["status_state"] = combined.get("state")
    try:
        runs = get_page(
            api, "/repos/{owner}/{repo}/commits/{ref}/check-runs", _CHECK_RUN, query=query, key="check_runs", **where
        )
    except UpstreamError as error:
        if error.kind != "scope_missing":
            raise
        # Fine-grained tokens can not be given this right for private repositories; the statuses are still good.
        return result | {"check_runs": "not visible to this token"}
    return result | {"check_runs": runs.pop("items")} | runs


def changed_files(files: Json, wanted: Fields = _CHANGED) -> list[dict[str, Any]]:
    """The changed files of a commit, comparison or pull request, with patches as far as they fit."""
    left = _MAX_PATCHES
    rows = prune_each(files or [], wanted)
    for row in rows:
        patch = row.get("patch", "")
        if len(patch) > left:
            row["patch"] = "[left out: the patches before it fill this result]"
            left = 0
        else:
            left -= len(patch)
    return rows
