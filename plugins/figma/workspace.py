"""Around the files: the account, teams' folders, and the files in them."""

from typing import Annotated

from mcpweb.plugin_api import Api, ToolError, tool

from .listing import After, Contains, Limit, portion
from .references import number_in
from .shapes import answer, present, rows, shorten


@tool("Who am I", read_only=True)
def get_me(api: Api) -> object:
    """Tell whose Figma account this connection uses: id, handle and e-mail."""
    found = answer(api.get("/v1/me"))
    return present(id=found.get("id"), handle=found.get("handle"), email=found.get("email"))


@tool("List folders", read_only=True)
def list_folders(
    api: Api,
    team: Annotated[
        str | None, "Team id or URL: its top-level folders. Give team or folder.", {"maxLength": 1000}
    ] = None,
    folder: Annotated[str | None, "Folder id or folder URL: its subfolders.", {"maxLength": 1000}] = None,
    contains: Contains = None,
    after: After = None,
) -> object:
    """List a team's folders (Figma called them projects), or the folders in a folder.

    Figma's API can not list a person's teams: ask for the team page's URL.
    """
    if bool(team) == bool(folder):
        raise ToolError("Give either team or folder. The API can not list teams: ask the user for the team page's URL.")
    if team:
        found = answer(api.get("/v2/teams/{team_id}/folders", team_id=number_in(team, "team")))
    else:
        folder_id = number_in(folder or "", "folder", "project")
        found = answer(api.get("/v2/folders/{folder_id}/folders", folder_id=folder_id))
    folders = [present(id=row.get("id"), name=shorten(row.get("name", ""), 200)) for row in rows(found.get("folders"))]
    return present(of=shorten(found.get("name") or "", 200)) | portion(
        "folders", folders, contains=contains, after=after
    )


@tool("List a folder's files", read_only=True)
def list_folder_files(
    api: Api,
    folder: Annotated[str, "Folder (project) id or its URL.", {"maxLength": 1000}],
    branches: Annotated[bool, "Also list each file's branches, which have keys of their own."] = False,
    contains: Contains = None,
    after: After = None,
    limit: Limit = 100,
) -> object:
    """List the files in a folder (project) with their keys and last changes."""
    folder_id = number_in(folder, "folder", "project")
    query = {"branch_data": branches or None}
    found = answer(api.get("/v2/folders/{folder_id}/files", folder_id=folder_id, query=query))
    files = [
        present(
            key=row.get("key"),
            name=shorten(row.get("name", ""), 200),
            last_modified=row.get("last_modified"),
            branches=[
                present(key=branch.get("key"), name=shorten(branch.get("name", ""), 200))
                for branch in rows(row.get("branches"))[:20]
            ],
        )
        for row in rows(found.get("files"))
    ]
    return present(folder=shorten(found.get("name") or "", 200)) | portion(
        "files", files, contains=contains, after=after, limit=limit
    )
