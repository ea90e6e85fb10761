"""Releases."""

from __future__ import annotations

from typing import Annotated

from mcpweb.plugin_api import Api, Segments, tool

from .arguments import Owner, Page, PerPage, Repo
from .pruning import fields, get_page, prune

_HEAD = "id tag_name name draft prerelease author=author.login target_commitish created_at published_at html_url"
_ROW = fields(_HEAD + " body:500")
_RELEASE = fields(_HEAD + " assets=assets.*.name body:30000")
_RELEASES = "/repos/{owner}/{repo}/releases"


@tool("List releases", read_only=True)
def list_releases(api: Api, owner: Owner, repo: Repo, page: Page = 1, per_page: PerPage = 10) -> object:
    """List a repository's releases, newest first; notes are cut at 500 characters."""
    return get_page(api, _RELEASES, _ROW, query={"page": page, "per_page": per_page}, owner=owner, repo=repo)


@tool("Get a release", read_only=True)
def get_release(
    api: Api,
    owner: Owner,
    repo: Repo,
    tag: Annotated[str | None, "Its tag, e.g. v1.0.0; the latest release if left out.", {"maxLength": 255}] = None,
) -> object:
    """Get one release with its notes and the names of its files."""
    if tag is None:
        return prune(api.get(_RELEASES + "/latest", owner=owner, repo=repo), _RELEASE)
    return prune(api.get(_RELEASES + "/tags/{tag}", owner=owner, repo=repo, tag=Segments(tag)), _RELEASE)


@tool("Create a release")
def create_release(
    api: Api,
    owner: Owner,
    repo: Repo,
    tag_name: Annotated[str, "Tag; created when it does not exist.", {"minLength": 1, "maxLength": 255}],
    target_commitish: Annotated[
        str | None, "Branch or SHA for a new tag; the default branch if left out.", {"maxLength": 255}
    ] = None,
    name: Annotated[str | None, "Title.", {"maxLength": 255}] = None,
    body: Annotated[str | None, "Notes, Markdown.", {"maxLength": 125_000}] = None,
    draft: Annotated[bool, "Keep it unpublished for now."] = False,
    prerelease: Annotated[bool, "Mark it as not ready for production."] = False,
    generate_release_notes: Annotated[bool, "Let GitHub write the notes from the merged pull requests."] = False,
) -> object:
    """Publish a release, or prepare it as a draft. Watchers are notified of a published one."""
    values = {
        "tag_name": tag_name,
        "target_commitish": target_commitish,
        "name": name,
        "body": body,
        "draft": draft,
        "prerelease": prerelease,
        "generate_release_notes": generate_release_notes,
    }
    new = {key: value for key, value in values.items() if value is not None}
    return prune(api.post(_RELEASES, json=new, owner=owner, repo=repo), _ROW)
