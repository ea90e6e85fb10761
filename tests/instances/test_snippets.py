"""The steps for each client have the exact shape that the client reads, with no token in a link."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from urllib.parse import unquote

import pytest

from mcpweb.crypto import mint_token
from mcpweb.instances import snippets

URL = "https://mcpweb.example.com/mcp/01234567-89ab-cdef-0123-456789abcdef"
TOKEN = mint_token()


def steps(client: str, token: str = TOKEN, name: str = "work-repos") -> list[str]:
    """The texts to copy for a client."""
    found = next(one for one in snippets.clients(name, URL, token) if one.id == client)
    return [step.code for step in found.steps if step.code]


def as_json(client: str, number: int = -1) -> dict[str, object]:
    loaded: dict[str, object] = json.loads(steps(client)[number])
    return loaded


def test_there_are_steps_for_nine_clients():
    assert [client.id for client in snippets.clients("x", URL)] == [
        "claude-code", "claude-desktop", "cursor", "vscode", "codex", "gemini", "windsurf", "zed", "any",
    ]  # fmt: skip


def test_claude_code_gets_its_options_before_the_variadic_header():
    command = shlex.split(steps("claude-code")[0])
    assert command[:7] == ["claude", "mcp", "add", "--transport", "http", "work-repos", URL]
    assert command[7:] == ["--header", f"Authorization: Bearer {TOKEN}"]
    shared = as_json("claude-code")["mcpServers"]
    assert shared == {
        "work-repos": {
            "type": "http",
            "url": URL,
            "headers": {"Authorization": "Bearer ${MCPWEB_WORK_REPOS_TOKEN}"},
        }
    }


def test_claude_desktop_gets_a_bridge_without_a_blank_in_its_header():
    server = as_json("claude-desktop")["mcpServers"]["work-repos"]  # type: ignore[index]
    assert server["args"][-1] == "Authorization:${AUTH}"
    assert server["env"] == {"AUTH": f"Bearer {TOKEN}"}
    assert URL in server["args"]


def test_cursor_and_windsurf_read_the_token_from_the_environment():
    assert as_json("cursor") == {
        "mcpServers": {
            "work-repos": {"url": URL, "headers": {"Authorization": "Bearer ${env:MCPWEB_WORK_REPOS_TOKEN}"}}
        }
    }
    assert as_json("windsurf") == {
        "mcpServers": {
            "work-repos": {"serverUrl": URL, "headers": {"Authorization": "Bearer ${env:MCPWEB_WORK_REPOS_TOKEN}"}}
        }
    }
    for client in ("cursor", "windsurf", "codex"):
        assert steps(client)[0] == f"export MCPWEB_WORK_REPOS_TOKEN='{TOKEN}'"


def test_vs_code_asks_for_the_token_and_its_link_says_the_same():
    file = as_json("vscode", 0)
    assert file["inputs"] == [
        {"type": "promptString", "id": "work-repos-token", "description": "Token for work-repos", "password": True}
    ]
    server = {"type": "http", "url": URL, "headers": {"Authorization": "Bearer ${input:work-repos-token}"}}
    assert file["servers"] == {"work-repos": server}
    link = steps("vscode")[1]
    assert link.startswith("vscode:mcp/install?%7B")
    assert json.loads(unquote(link.partition("?")[2])) == {"name": "work-repos", "inputs": file["inputs"], **server}


def test_codex_reads_toml_and_a_variable():
    assert tomllib.loads(steps("codex")[-1]) == {
        "mcp_servers": {"work-repos": {"url": URL, "bearer_token_env_var": "MCPWEB_WORK_REPOS_TOKEN"}}
    }
    command = shlex.split(steps("codex")[1])
    assert command[:6] == ["codex", "mcp", "add", "work-repos", "--url", URL]
    assert command[6:] == ["--bearer-token-env-var", "MCPWEB_WORK_REPOS_TOKEN"]


def test_gemini_gets_name_and_url_last():
    assert shlex.split(steps("gemini")[0])[-2:] == ["work-repos", URL]
    assert as_json("gemini") == {
        "mcpServers": {"work-repos": {"httpUrl": URL, "headers": {"Authorization": f"Bearer {TOKEN}"}}}
    }


def test_zed_has_context_servers():
    assert as_json("zed") == {
        "context_servers": {"work-repos": {"url": URL, "headers": {"Authorization": f"Bearer {TOKEN}"}}}
    }


def test_any_client_can_be_tried_with_one_command():
    command = shlex.split(steps("any")[-1].replace("\\\n", " "))
    assert command[:2] == ["curl", URL]
    assert f"Authorization: Bearer {TOKEN}" in command
    assert json.loads(command[-1])["method"] == "tools/list"


def test_no_link_holds_the_token():
    for client in snippets.clients("work", URL, TOKEN):
        for step in client.steps:
            for link in re.findall(r"\b[a-z]+:(?://|mcp/)\S+", step.code):
                assert TOKEN not in link, client.id
                assert TOKEN not in unquote(link), client.id


def test_without_a_token_every_step_has_a_placeholder_in_its_place():
    text = "".join(step.code for client in snippets.clients("work", URL) for step in client.steps)

    assert "YOUR_TOKEN" in text
    assert "mcpw_" not in text


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("My repos", "my-repos"),
        ("GitHub", "github"),
        ("  --  ", "github"),
        ("日本語", "github"),
        ("'; rm -rf / #", "rm-rf"),
        ("$(reboot)`x`", "reboot-x"),
        ('"quoted" \\', "quoted"),
        ("A" * 80, "a" * 20),
        ("nineteen letters 19 x", "nineteen-letters-19"),
        ("1password", "1password"),
    ],
)
def test_a_name_is_one_that_every_client_and_shell_takes(label, name):
    found = snippets.server_name(label, "github")

    assert found == name
    for client in snippets.clients(found, URL, TOKEN):
        for step in client.steps:
            for variable in re.findall(r"^export ([^=]+)=", step.code, re.MULTILINE):
                assert re.fullmatch(r"[A-Z_][A-Z0-9_]*", variable)
                assert variable != "GITHUB_TOKEN", "that one belongs to other programs"
