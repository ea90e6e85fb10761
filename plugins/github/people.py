"""Users, organizations and teams."""

from __future__ import annotations

from typing import Annotated

from mcpweb.plugin_api import Api, tool

from .arguments import Page, PerPage
from .pruning import fields, get_page, prune

_USER = fields(
    "login name type company location email bio:500 blog html_url public_repos followers created_at suspended_at"
)
_ORGANIZATION = fields("login description:300")
_TEAM = fields("slug name description:300 privacy permission parent=parent.slug html_url")


@tool("Who am I", read_only=True)
def get_me(api: Api) -> object:
    """Tell whose account this connection uses. Not available to an app's installation, which is no user."""
    return prune(api.get("/user"), _USER)


@tool("Get a user", read_only=True)
def get_user(
    api: Api,
    username: Annotated[str, "Login name of the user or organization.", {"minLength": 1, "maxLength": 100}],
) -> object:
    """Get the public profile of a user or an organization."""
    return prune(api.get("/users/{username}", username=username), _USER)


@tool("List my organizations", read_only=True)
def list_organizations(api: Api, page: Page = 1, per_page: PerPage = 30) -> object:
    """List the organizations that this connection's user belongs to, as far as the token may see them."""
    return get_page(api, "/user/orgs", _ORGANIZATION, query={"page": page, "per_page": per_page})


@tool("List teams", read_only=True)
def list_teams(
    api: Api,
    organization: Annotated[str, "Login name of the organization.", {"minLength": 1, "maxLength": 100}],
    page: Page = 1,
    per_page: PerPage = 30,
) -> object:
    """List the teams of an organization that are visible to this connection."""
    return get_page(api, "/orgs/{org}/teams", _TEAM, query={"page": page, "per_page": per_page}, org=organization)
