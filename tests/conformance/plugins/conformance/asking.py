"""Tools that ask the client before they answer (MCP 2026-07-28, multi-round tool results)."""

from typing import Any

from mcpweb.plugin_api import Api, Call, InputRequired, tool


def _form(message: str, **properties: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
        "required": list(properties),
    }
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}


def _sample(text: str) -> dict[str, Any]:
    message = {"role": "user", "content": {"type": "text", "text": text}}
    return {"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": 50}}


_ROOTS: dict[str, Any] = {"method": "roots/list", "params": {}}
_NAME = _form("Who are you?", name="string")
_CONFIRM = _form("Go on?", ok="boolean")
_COLOUR = _form("Which colour?", color="string")


def _answers(call: Call, state: Any = None, **requests: dict[str, Any]) -> dict[str, Any]:
    """The client's answers to the requests, once all are there."""
    if any(key not in call.input_responses for key in requests):
        raise InputRequired(requests, state)
    return {key: call.input_responses[key] for key in requests}


@tool("Asks for a name", read_only=True, open_world=False)
def test_input_required_result_elicitation(api: Api, call: Call) -> str:
    """Greet somebody, after asking who it is."""
    answer = _answers(call, user_name=_NAME)["user_name"]
    return f"Hello, {answer.get('content', {}).get('name', 'stranger')}."


@tool("Asks the model", read_only=True, open_world=False)
def test_input_required_result_sampling(api: Api, call: Call) -> Any:
    """Have the client's model answer a question."""
    return _answers(call, capital_question=_sample("Which city is the capital of France?"))


@tool("Asks for roots", read_only=True, open_world=False)
def test_input_required_result_list_roots(api: Api, call: Call) -> Any:
    """Give back the client's roots."""
    return _answers(call, client_roots=_ROOTS)


@tool("Remembers by the client", read_only=True, open_world=False)
def test_input_required_result_request_state(api: Api, call: Call) -> str:
    """Ask, and find the own state again."""
    _answers(call, {"round": 1}, confirm=_CONFIRM)
    return "state-ok" if call.request_state == {"round": 1} else "the state is gone"


@tool("Asks three things", read_only=True, open_world=False)
def test_input_required_result_multiple_inputs(api: Api, call: Call) -> Any:
    """Ask for a name, a greeting and the roots at once."""
    return _answers(call, {"asked": 3}, user_name=_NAME, greeting=_sample("Write a greeting."), client_roots=_ROOTS)


@tool("Asks twice", read_only=True, open_world=False)
def test_input_required_result_multi_round(api: Api, call: Call) -> str:
    """Ask for a name, then for a colour."""
    state = call.request_state or {"step": 1}
    if state["step"] == 1:
        raise InputRequired({"step2": _COLOUR}, {"step": 2, "first": _answers(call, state, step1=_NAME)})
    return f"The answers are {state['first']} and {_answers(call, state, step2=_COLOUR)}."


@tool("Notices changed states", read_only=True, open_world=False)
def test_input_required_result_tampered_state(api: Api, call: Call) -> str:
    """Ask with a state that may not be changed on the way."""
    _answers(call, {"secret": "unchanged"}, confirm=_CONFIRM)
    return "The state came back unchanged."


@tool("Asks what the client can", read_only=True, open_world=False)
def test_input_required_result_capabilities(api: Api, call: Call) -> Any:
    """Ask only what the client declared that it can answer."""
    possible = {"elicitation": ("user_name", _NAME), "sampling": ("greeting", _sample("Write a greeting."))}
    return _answers(call, **dict(possible[name] for name in possible if name in call.client_capabilities))


@tool("Needs sampling", read_only=True, open_world=False)
def test_missing_capability(api: Api, call: Call) -> Any:
    """Ask for sampling whatever the client declared."""
    return _answers(call, answer=_sample("Say something."))


@tool("Asks in a stream", read_only=True, open_world=False)
def test_streaming_elicitation(api: Api, call: Call) -> Any:
    """Ask for a name where a stream would be possible."""
    return _answers(call, user_name=_NAME)
