"""How each MCP client is told of an endpoint. The token stays out of links, and of shell history where it can."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

PLACEHOLDER = "YOUR_TOKEN"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: what it is, and the text to copy, for the file `path` where there is one."""

    text: str
    code: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Client:
    """The steps for one client."""

    id: str
    title: str
    steps: tuple[Step, ...]
    note: str = ""


def server_name(label: str, service: str) -> str:
    """A name that clients can build `mcp__NAME__tool` from: `[a-z0-9-]`, at most 20 characters."""
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:20].strip("-") or service


def clients(name: str, url: str, token: str = PLACEHOLDER) -> list[Client]:
    """The steps for every client that we know, for the endpoint `url` under the name `name`.

    The shapes are those of the clients' own documentation, November 2026.
    """
    variable = f"MCPWEB_{name.upper().replace('-', '_')}_TOKEN"  # GITHUB_TOKEN by itself would be what gh reads
    bearer = f"Bearer {token}"
    from_env = f"Bearer ${{env:{variable}}}"
    export = Step("Put the token into the environment, where the client is started.", f"export {variable}='{token}'")
    return [
        Client(
            "claude-code",
            "Claude Code",
            (
                Step(
                    "Run this in a terminal.",
                    f'claude mcp add --transport http {name} {url} --header "Authorization: {bearer}"',
                ),
                Step(
                    f"Or share it with a project, with the token in the variable {variable}.",
                    _json(mcpServers={name: _http(url, f"Bearer ${{{variable}}}")}),
                    ".mcp.json",
                ),
            ),
            "Add -s user to the command to have it in all your projects.",
        ),
        Client(
            "claude-desktop",
            "Claude Desktop",
            (
                Step(
                    "Add this to the configuration file (Settings → Developer → Edit Config), then restart Claude.",
                    _json(
                        mcpServers={
                            name: {
                                "command": "npx",
                                "args": ["-y", "mcp-remote", url, "--header", "Authorization:${AUTH}"],
                                "env": {"AUTH": bearer},
                            }
                        }
                    ),
                    "claude_desktop_config.json",
                ),
            ),
            "The file takes no remote servers itself, so a small bridge (mcp-remote, needs Node.js) carries the token.",
        ),
        Client(
            "cursor",
            "Cursor",
            (
                export,
                Step(
                    "Add the server.",
                    _json(mcpServers={name: {"url": url, "headers": {"Authorization": from_env}}}),
                    "~/.cursor/mcp.json",
                ),
            ),
        ),
        Client(
            "vscode",
            "VS Code",
            (
                Step(
                    "Add the server; VS Code asks for the token once and keeps it in its own secret store.",
                    _json(**_vscode(name, url)),
                    ".vscode/mcp.json",
                ),
                Step("Or open this address, which holds no token.", _vscode_link(name, url)),
            ),
            "The top key is servers, not mcpServers.",
        ),
        Client(
            "codex",
            "Codex",
            (
                export,
                Step("Add the server.", f"codex mcp add {name} --url {url} --bearer-token-env-var {variable}"),
                Step(
                    "Or write it into the configuration file.",
                    f'[mcp_servers.{name}]\nurl = "{url}"\nbearer_token_env_var = "{variable}"',
                    "~/.codex/config.toml",
                ),
            ),
        ),
        Client(
            "gemini",
            "Gemini CLI",
            (
                Step(
                    "Run this in a terminal.",
                    f'gemini mcp add -s user -t http -H "Authorization: {bearer}" {name} {url}',
                ),
                Step(
                    "Or write it into the settings.",
                    _json(mcpServers={name: {"httpUrl": url, "headers": {"Authorization": bearer}}}),
                    "~/.gemini/settings.json",
                ),
            ),
        ),
        Client(
            "windsurf",
            "Windsurf",
            (
                export,
                Step(
                    "Add the server.",
                    _json(mcpServers={name: {"serverUrl": url, "headers": {"Authorization": from_env}}}),
                    "~/.codeium/windsurf/mcp_config.json",
                ),
            ),
            "The key is serverUrl; with url it does not connect.",
        ),
        Client(
            "zed",
            "Zed",
            (
                Step(
                    "Add the server to the settings.",
                    _json(context_servers={name: {"url": url, "headers": {"Authorization": bearer}}}),
                    "settings.json",
                ),
            ),
        ),
        Client(
            "any",
            "Any client",
            (
                Step("The address; the transport is Streamable HTTP.", url),
                Step("The header that every request carries.", f"Authorization: {bearer}"),
                Step("Try it without a client.", _curl(url, bearer)),
            ),
            "Protocol revisions 2025-03-26 to 2026-07-28.",
        ),
    ]


def _json(**content: Any) -> str:
    return json.dumps(content, indent=2)


def _http(url: str, authorization: str) -> dict[str, Any]:
    return {"type": "http", "url": url, "headers": {"Authorization": authorization}}


def _vscode(name: str, url: str) -> dict[str, Any]:
    asked = {"type": "promptString", "id": f"{name}-token", "description": f"Token for {name}", "password": True}
    return {"inputs": [asked], "servers": {name: _http(url, f"Bearer ${{input:{name}-token}}")}}


def _vscode_link(name: str, url: str) -> str:
    shape = _vscode(name, url)
    return "vscode:mcp/install?" + quote(
        json.dumps({"name": name, "inputs": shape["inputs"]} | shape["servers"][name]), safe=""
    )


def _curl(url: str, authorization: str) -> str:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    return (
        f"curl {url} \\\n  -H 'Authorization: {authorization}' \\\n  -H 'Content-Type: application/json' \\\n"
        f"  -H 'Accept: application/json, text/event-stream' \\\n  -d '{body}'"
    )
