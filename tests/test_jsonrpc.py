import json

import pytest

from mcpweb import jsonrpc
from mcpweb.jsonrpc import Notification, Request, Response, RpcError


def test_a_request_a_notification_and_a_response_are_told_apart():
    request = jsonrpc.parse(b'{"jsonrpc":"2.0","id":"a","method":"m","params":{"x":1}}')
    notification = jsonrpc.parse(b'{"jsonrpc":"2.0","method":"m"}')
    response = jsonrpc.parse(b'{"jsonrpc":"2.0","id":1,"result":{}}')

    assert request == Request("a", "m", {"x": 1})
    assert notification == Notification("m", {})
    assert response == Response()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"jsonrpc":"2.0","id":NaN,"method":"m"}',
        b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}',
        b'{"jsonrpc":"2.0","id":' + b"9" * 6000 + b',"method":"m"}',
        b"[" * 20_000 + b"]" * 20_000,
    ],
)
def test_a_body_that_is_not_strictly_json_is_a_parse_error(body):
    with pytest.raises(RpcError) as caught:
        jsonrpc.parse(body)

    assert (caught.value.code, caught.value.status) == (jsonrpc.PARSE_ERROR, 400)
    assert json.loads(jsonrpc.error(caught.value))["id"] is None


@pytest.mark.parametrize(
    "message",
    [
        5,
        "text",
        None,
        {},
        {"jsonrpc": "1.0", "id": 1, "method": "m"},
        {"id": 1, "method": "m"},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "id": 1, "method": 5},
        {"jsonrpc": "2.0", "id": 1, "Method": "m"},
        {"jsonrpc": "2.0", "id": None, "method": "m"},
        {"jsonrpc": "2.0", "id": True, "method": "m"},
        {"jsonrpc": "2.0", "id": 1.5, "method": "m"},
        {"jsonrpc": "2.0", "id": [], "method": "m"},
        [],
        [{}] * 21,
    ],
)
def test_json_that_is_no_message_is_an_invalid_request(message):
    with pytest.raises(RpcError) as caught:
        jsonrpc.parse(json.dumps(message).encode())

    assert (caught.value.code, caught.value.status) == (jsonrpc.INVALID_REQUEST, 400)


def test_an_error_about_a_bad_message_repeats_its_id_where_that_can_be_read():
    with pytest.raises(RpcError) as caught:
        jsonrpc.parse(b'{"jsonrpc":"2.0","id":7,"method":[]}')

    assert json.loads(jsonrpc.error(caught.value))["id"] == 7


def test_parameters_that_are_no_object_are_refused():
    with pytest.raises(RpcError) as caught:
        jsonrpc.parse(b'{"jsonrpc":"2.0","id":7,"method":"m","params":[1]}')

    assert caught.value.code == jsonrpc.INVALID_PARAMS


def test_a_bad_message_in_a_batch_stands_as_its_error_among_the_others():
    first, second = jsonrpc.parse(b'[{"jsonrpc":"2.0","id":1,"method":"m"}, 5]')

    assert first == Request(1, "m", {})
    assert isinstance(second, RpcError)


def test_an_error_without_a_request_has_no_id():
    assert "id" not in json.loads(jsonrpc.error(RpcError(jsonrpc.UNSUPPORTED_VERSION, "no")))
