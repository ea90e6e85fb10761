"""Resources and prompts under the names that the scenarios of the conformance suite ask for."""

from collections.abc import Mapping
from typing import Annotated, Any

from mcpweb.plugin_api import Api, Call, InputRequired, prompt, resource, resource_template

from .media import PNG, PNG_BYTES


@resource("test://static-text", name="Text", mime_type="text/plain")
def static_text(api: Api) -> str:
    """A text that never changes."""
    return "A text that never changes."


@resource("test://static-binary", name="Picture", mime_type="image/png")
def static_binary(api: Api) -> bytes:
    """One red pixel."""
    return PNG_BYTES


@resource("test://watched-resource", name="Watched", mime_type="text/plain")
def watched_resource(api: Api) -> str:
    """A text that somebody may wish to watch."""
    return "Nothing new."


@resource_template("test://template/{id}/data", name="Data by id", mime_type="application/json")
def template_data(api: Api, id: str) -> Any:
    """What belongs to one id."""
    return {"id": id, "templateTest": True, "data": f"Data of {id}"}


@prompt("Simple prompt")
def test_simple_prompt(api: Api) -> str:
    """A prompt without arguments."""
    return "A prompt without arguments."


def _propose(typed: str, chosen: Mapping[str, str]) -> list[str]:
    return [word for word in ("paris", "park", "party", "testing") if word.startswith(typed)]


@prompt("Prompt with arguments", complete={"arg1": _propose, "arg2": _propose})
def test_prompt_with_arguments(
    api: Api, arg1: Annotated[str, "The first argument."], arg2: Annotated[str, "The second argument."]
) -> str:
    """A prompt that repeats its arguments."""
    return f"The arguments are {arg1!r} and {arg2!r}."


@prompt("Prompt with a resource")
def test_prompt_with_embedded_resource(
    api: Api, resourceUri: Annotated[str, "URI of the resource to put in."]
) -> list[dict[str, Any]]:
    """A prompt with a resource inside."""
    embedded = {"uri": resourceUri, "mimeType": "text/plain", "text": "A resource inside a prompt."}
    return [
        {"role": "user", "content": {"type": "resource", "resource": embedded}},
        {"role": "user", "content": {"type": "text", "text": "Work on the resource above."}},
    ]


@prompt("Prompt with a picture")
def test_prompt_with_image(api: Api) -> list[dict[str, Any]]:
    """A prompt with a picture inside."""
    return [
        {"role": "user", "content": {"type": "image", "data": PNG, "mimeType": "image/png"}},
        {"role": "user", "content": {"type": "text", "text": "Say what the picture shows."}},
    ]


@prompt("Prompt that asks")
def test_input_required_result_prompt(api: Api, call: Call) -> str:
    """A prompt that asks the user for its context first."""
    if "user_context" not in call.input_responses:
        schema = {"type": "object", "properties": {"context": {"type": "string"}}, "required": ["context"]}
        question = {"message": "What is it about?", "requestedSchema": schema}
        raise InputRequired({"user_context": {"method": "elicitation/create", "params": question}})
    return f"Talk about {call.input_responses['user_context'].get('content', {}).get('context', 'anything')}."
