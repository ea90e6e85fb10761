"""Files and folders of a repository: read, list, search, write."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

from mcpweb.plugin_api import Api, Result, Segments, ToolError, tool

from .arguments import Owner, Page, PerPage, Ref, Repo
from .pruning import fields, get_page, prune, prune_each
from .text import MAX_BYTES, window, with_text

_ENTRY = fields("type name size sha")
_FILE = fields("path size sha html_url")
_WRITTEN = fields("path=content.path sha=content.sha html_url=content.html_url commit=commit.sha")
_HIT = fields("repository=repository.full_name path html_url fragments=text_matches.*.fragment")
_MAX_PATHS = 1_000
_MAX_TREE_BYTES = 8_000_000
"""GitHub ends a recursive tree at 7 MB (docs.github.com, Get a tree)."""

_Path = Annotated[str, "Path inside the repository, e.g. src/main.py.", {"minLength": 1, "maxLength": 1000}]


@tool("Read a file", read_only=True)
def get_file(
    api: Api,
    owner: Owner,
    repo: Repo,
    path: _Path,
    ref: Ref = None,
    start_line: Annotated[int, "First line to return.", {"minimum": 1}] = 1,
    max_lines: Annotated[int, "Most lines to return.", {"minimum": 1, "maximum": 5000}] = 1000,
) -> Result:
    """Read a text file: first its path, blob `sha` (needed to update it) and which lines follow, then the lines.
    At most 50,000 characters at once; go on at `next_start_line`. Binary files and files over 5 MB are refused."""
    template = "/repos/{owner}/{repo}/contents/{path}"
    where: dict[str, Any] = {"owner": owner, "repo": repo, "path": Segments(path)}
    found = api.get(template, query={"ref": ref}, **where)
    _expect_file(found, path)
    if found.get("encoding") == "none":  # between 1 and 100 MB the content comes only as such
        raw = api.request(
            "GET", template, query={"ref": ref}, accept="application/vnd.github.raw+json", max_bytes=MAX_BYTES, **where
        ).body
    else:
        raw = _decoded(found.get("content"))
    shown = window(_text(raw, path), start_line, max_lines)
    return with_text(prune(found, _FILE) | shown.note(), shown.text)


@tool("List a directory", read_only=True)
def list_directory(
    api: Api,
    owner: Owner,
    repo: Repo,
    path: Annotated[str, "Directory inside the repository; empty is the root.", {"maxLength": 1000}] = "",
    ref: Ref = None,
    recursive: Annotated[bool, "Everything below it, as one list of paths."] = False,
) -> object:
    """List the files and folders in a directory: type, name, size in bytes and sha of each, at most 1,000. With
    `recursive`, all paths below it instead (folders end in /), at most 1,000; narrow `path` when it is cut."""
    path = path.strip("/")
    if recursive:
        return _tree(api, owner, repo, path, ref)
    where: dict[str, Any] = {"owner": owner, "repo": repo}
    if path:
        found = api.get("/repos/{owner}/{repo}/contents/{path}", query={"ref": ref}, path=Segments(path), **where)
    else:
        # "If you omit the path parameter, you will receive the contents of the repository's root directory."
        found = api.get("/repos/{owner}/{repo}/contents", query={"ref": ref}, **where)
    if isinstance(found, dict):
        raise ToolError(f"{path} is no directory but a {found.get('type')}. Use get_file to read a file.")
    return {"path": path, "entries": prune_each(found, _ENTRY)}


@tool("Search code", read_only=True)
def search_code(
    api: Api,
    query: Annotated[
        str,
        "Words and qualifiers, e.g. `addClass repo:jquery/jquery language:js`; also path:, filename:, org:, user:.",
        {"minLength": 1, "maxLength": 256},
    ],
    page: Page = 1,
    per_page: PerPage = 20,
) -> object:
    """Search the contents of files on default branches (files under 384 KB): path, repository and the matching
    fragments. Needs at least one word besides qualifiers; GitHub allows about 10 such searches a minute."""
    return get_page(
        api,
        "/search/code",
        _HIT,
        query={"q": query, "page": page, "per_page": per_page},
        key="items",
        accept="application/vnd.github.text-match+json",
    )


@tool("Create or update a file", destructive=True)
def create_or_update_file(
    api: Api,
    owner: Owner,
    repo: Repo,
    path: _Path,
    content: Annotated[str, "The whole new text of the file.", {"maxLength": 1_000_000}],
    message: Annotated[str, "Commit message.", {"minLength": 1, "maxLength": 10_000}],
    branch: Annotated[str | None, "Branch to commit to; the default branch if left out.", {"maxLength": 255}] = None,
    sha: Annotated[
        str | None,
        "To replace a file: its current blob `sha`, from get_file. Left out: the file must be new.",
        {"maxLength": 64},
    ] = None,
) -> object:
    """Commit one file with the given text, new or instead of the old text. Read the file first and pass its `sha`;
    GitHub refuses when the file has changed since."""
    body = {"message": message, "content": base64.b64encode(content.encode()).decode(), "branch": branch, "sha": sha}
    written = api.put(
        "/repos/{owner}/{repo}/contents/{path}",
        json={key: value for key, value in body.items() if value is not None},
        owner=owner,
        repo=repo,
        path=Segments(path),
    )
    return prune(written, _WRITTEN)


def _tree(api: Api, owner: str, repo: str, path: str, ref: str | None) -> object:
    found = api.request(
        "GET",
        "/repos/{owner}/{repo}/git/trees/{tree_sha}",
        query={"recursive": 1},
        max_bytes=_MAX_TREE_BYTES,
        owner=owner,
        repo=repo,
        tree_sha=Segments(ref or "HEAD"),
    ).json()
    below = f"{path}/" if path else ""
    entries = [entry for entry in found.get("tree", ()) if entry["path"].startswith(below)]
    paths = [entry["path"] + ("/" if entry["type"] == "tree" else "") for entry in entries]
    cut = len(paths) > _MAX_PATHS or bool(found.get("truncated"))
    return {"path": path, "count": len(paths), "cut": cut, "paths": paths[:_MAX_PATHS]}


def _expect_file(found: object, path: str) -> None:
    if isinstance(found, list):
        raise ToolError(f"{path} is a directory. Use list_directory.")
    kind = found.get("type") if isinstance(found, dict) else None
    if kind != "file":
        raise ToolError(f"{path} is no file with a text of its own but a {kind}.")


def _decoded(content: object) -> bytes:
    try:
        return base64.b64decode(content if isinstance(content, str) else "")
    except binascii.Error:
        raise ToolError("GitHub sent the file in an encoding that is not understood.") from None


def _text(raw: bytes, path: str) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ToolError(f"{path} is a binary file of {len(raw)} bytes; only text can be read.")
    return text
