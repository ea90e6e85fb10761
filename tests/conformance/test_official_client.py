"""The official Python client against the whole program, in every way that it can speak."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import mcp_types as types
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from mcpweb.gateway.revisions import MODERN
from mcpweb.jsonrpc import LIMITED

MODES = ["legacy", "auto", MODERN]

pytestmark = pytest.mark.xdist_group("conformance")


async def _elicit(context: Any, params: Any) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={"name": "Alice", "ok": True, "color": "blue"})


async def _sample(context: Any, params: Any) -> types.CreateMessageResult:
    text = types.TextContent(type="text", text="Paris")
    return types.CreateMessageResult(role="assistant", content=text, model="none")


async def _roots(context: Any) -> types.ListRootsResult:
    return types.ListRootsResult(roots=[types.Root(uri="file:///work", name="work")])


def talk(url: str, mode: Any, conversation: Callable[[Client], Awaitable[Any]], **callbacks: Any) -> Any:
    async def run() -> Any:
        async with Client(streamable_http_client(url), mode=mode, **callbacks) as client:
            return await conversation(client)

    return asyncio.run(run())


@pytest.mark.parametrize("mode", MODES)
def test_the_client_lists_and_calls(url: str, mode: str) -> None:
    async def conversation(client: Client) -> Any:
        listed = await client.list_tools()
        return (
            [tool.name for tool in listed.tools],
            await client.call_tool("test_simple_text", {}),
            await client.call_tool("test_multiple_content_types", {}),
            await client.call_tool("test_error_handling", {}),
            await client.call_tool("json_schema_2020_12_tool", {"name": "x"}),
        )

    names, text, mixed, failed, wrong = talk(url, mode, conversation)

    assert names[0] == "test_simple_text" and len(names) > 20
    assert text.content[0].text == "One plain text." and not text.is_error
    assert [block.type for block in mixed.content] == ["text", "image", "resource"]
    assert failed.is_error and wrong.is_error


@pytest.mark.parametrize("mode", MODES)
def test_the_client_reads_resources_prompts_and_proposals(url: str, mode: str) -> None:
    async def conversation(client: Client) -> Any:
        return (
            await client.list_resources(),
            await client.list_resource_templates(),
            await client.read_resource("test://template/5/data"),
            await client.list_prompts(),
            await client.get_prompt("test_prompt_with_arguments", {"arg1": "a", "arg2": "b"}),
            await client.complete(
                types.PromptReference(type="ref/prompt", name="test_prompt_with_arguments"),
                {"name": "arg1", "value": "par"},
            ),
        )

    resources, templates, content, prompts, prompt, proposals = talk(url, mode, conversation)

    assert len(resources.resources) == 3 and len(templates.resource_templates) == 1
    assert '"id":"5"' in content.contents[0].text
    assert len(prompts.prompts) == 5
    assert "'a' and 'b'" in prompt.messages[0].content.text
    assert proposals.completion.values == ["paris", "park", "party"]


@pytest.mark.parametrize("mode", MODES)
def test_the_client_hears_progress(url: str, mode: str) -> None:
    heard: list[float] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        heard.append(done)

    async def conversation(client: Client) -> Any:
        return await client.call_tool("test_tool_with_progress", {}, progress_callback=progress)

    assert talk(url, mode, conversation).content[0].text == "Progress was reported."
    assert heard == [0, 50, 100]


def test_the_client_answers_the_questions_of_a_tool(url: str) -> None:
    async def conversation(client: Client) -> Any:
        return [
            await client.call_tool(f"test_input_required_result_{name}", {})
            for name in ("elicitation", "sampling", "list_roots", "request_state", "multiple_inputs", "multi_round")
        ]

    results = talk(
        url,
        MODERN,
        conversation,
        elicitation_callback=_elicit,
        sampling_callback=_sample,
        list_roots_callback=_roots,
    )

    assert [result.is_error for result in results] == [False] * 6
    assert results[0].content[0].text == "Hello, Alice."
    assert results[3].content[0].text == "state-ok"


def test_the_client_repeats_an_argument_in_a_header(url: str) -> None:
    async def conversation(client: Client) -> Any:
        await client.list_tools()
        return await client.call_tool("test_x_mcp_header", {"region": "Zürich"})

    assert talk(url, MODERN, conversation).content[0].text == "The region is Zürich."


def test_the_client_shows_which_limit_was_reached_and_when_it_ends(url_of_five_calls: str) -> None:
    async def conversation(client: Client) -> Any:
        same = [await client.call_tool("test_simple_text", {}) for _ in range(3)]  # a minute may end in between
        with pytest.raises(MCPError) as caught:
            for number in range(5):
                await client.call_tool("json_schema_2020_12_tool", {"name": str(number)})
        return same[-1].content[0].text, caught.value, await client.list_tools()

    advice, error, listed = talk(url_of_five_calls, "legacy", conversation)

    assert "of test_simple_text in a row with the same arguments within a minute" in advice
    assert error.code == LIMITED
    assert "may make 5 calls a day" in str(error) and "from 00:00:00 UTC" in str(error)
    assert listed.tools
