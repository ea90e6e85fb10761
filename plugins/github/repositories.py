"""Repositories as a whole: find them, read about them, create one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from mcpweb.plugin_api import Api, UpstreamError, tool

from .arguments import Owner, Page, PerPage, Repo
from .pruning import fields, get_page, prune

_ROW = fields(
    "full_name description:300 visibility fork archived default_branch language stargazers_count open_issues_count "
    "pushed_at html_url"
)
_REPOSITORY = _ROW + fields(
    "topics license=license.spdx_id homepage parent=parent.full_name forks_count has_issues created_at permissions "
    "allow_merge_commit allow_squash_merge allow_rebase_merge delete_branch_on_merge"
)


@tool("List repositories", read_only=True)
def list_repositories(
    api: Api,
    owner: Annotated[
        str | None, "User or organization; left out: everything this connection can reach.", {"maxLength": 100}
    ] = None,
    sort: Annotated[Literal["pushed", "updated", "created", "full_name"], "Order; times newest first."] = "pushed",
    page: Page = 1,
    per_page: PerPage = 30,
) -> object:
    """List repositories. Leave out `owner` for those of this connection, private ones included; with an `owner`
    that is a user only public ones are listed. To find a repository by words, use search_repositories."""
    query = {"sort": sort, "page": page, "per_page": per_page}
    if owner is None:
        return _reachable(api, query)
    try:
        return get_page(api, "/orgs/{org}/repos", _ROW, query=query, org=owner)
    except UpstreamError as error:
        if error.kind != "not_found":
            raise
    return get_page(api, "/users/{username}/repos", _ROW, query=query, username=owner)


@tool("Get a repository", read_only=True)
def get_repository(api: Api, owner: Owner, repo: Repo) -> object:
    """Get a repository's description, default branch, visibility, counts, what this connection may do there
    (`permissions`) and which ways of merging it allows."""
    return prune(api.get("/repos/{owner}/{repo}", owner=owner, repo=repo), _REPOSITORY)


@tool("Search repositories", read_only=True)
def search_repositories(
    api: Api,
    query: Annotated[
        str,
        "Words and qualifiers, e.g. `http client language:python stars:>100` or `org:github topic:cli`.",
        {"minLength": 1, "maxLength": 256},
    ],
    sort: Annotated[Literal["stars", "forks", "updated"] | None, "Best match first if left out."] = None,
    page: Page = 1,
    per_page: PerPage = 20,
) -> object:
    """Search all of GitHub for repositories by name, description, topic, owner and counts. The first 1,000 hits
    can be paged through."""
    search = {"q": query, "sort": sort, "page": page, "per_page": per_page}
    return get_page(api, "/search/repositories", _ROW, query=search, key="items")


@tool("Create a repository")
def create_repository(
    api: Api,
    name: Annotated[str, "Name of the new repository.", {"minLength": 1, "maxLength": 100}],
    organization: Annotated[
        str | None, "Organization that shall own it; left out: this connection's user.", {"maxLength": 100}
    ] = None,
    description: Annotated[str | None, "One line.", {"maxLength": 350}] = None,
    private: Annotated[bool, "Whether only invited people see it."] = True,
    auto_init: Annotated[bool, "Begin with a README, so that the repository can be cloned and branched."] = True,
) -> object:
    """Create a repository, private unless said otherwise."""
    body: dict[str, Any] = {"name": name, "private": private, "auto_init": auto_init}
    if description is not None:
        body["description"] = description
    if organization is not None:
        return prune(api.post("/orgs/{org}/repos", json=body, org=organization), _ROW)
    return prune(api.post("/user/repos", json=body), _ROW)


def _reachable(api: Api, query: dict[str, Any]) -> object:
    try:
        return get_page(api, "/user/repos", _ROW, query=query)
    except UpstreamError as error:
        if error.kind != "scope_missing":
            raise
        refused = error
    try:  # an app's installation is no user; it has a list of its own, in no order
        pages = {name: query[name] for name in ("page", "per_page")}
        return get_page(api, "/installation/repositories", _ROW, query=pages, key="repositories")
    except UpstreamError:
        raise refused from None
