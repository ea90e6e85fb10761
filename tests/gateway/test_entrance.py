import io
from uuid import uuid4

import pytest

from mcpweb.errors import Unavailable
from mcpweb.gateway.entrance import MAX_BODY_BYTES
from mcpweb.plugin_api import Api, tool
from tests.gateway.door import BOTH, Door


@tool("Ping", read_only=True)
def reach(api: Api) -> object:
    """Reach the service."""
    return api.get("/user")


@pytest.fixture
def door():
    return Door.to(reach)


@pytest.mark.parametrize(
    "origin, status",
    [
        ("https://mcpweb.example.com", 200),
        ("https://evil.example.com", 403),
        ("null", 403),
        ("http://localhost:6274", 403),
        ("https://mcpweb.example.com.evil.example.com", 403),
        ("http://[::1", 403),
    ],
)
def test_only_listed_origins_may_call_from_a_page(door, origin, status):
    assert door.ask("ping", origin=origin).status == status


@pytest.mark.parametrize(
    "origin, status",
    [
        ("http://localhost:6274", 200),
        ("http://127.0.0.1", 200),
        ("http://[::1]:80", 200),
        ("http://localhost.evil.com", 403),
    ],
)
def test_a_development_server_also_takes_origins_of_this_machine(origin, status):
    assert Door.to(reach, loopback_origins=True).ask("ping", origin=origin).status == status


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic mcpw_alice", "Bearer " + "x" * 5000]
)
def test_without_the_right_token_the_answer_is_401_and_names_the_scheme_only(door, authorization):
    answer = door.ask("ping", authorization=authorization)

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_in_the_query_does_not_count(door):
    assert door.ask("ping", authorization=None, query_string="token=mcpw_alice").status == 401


def test_a_session_cookie_does_not_count(door):
    assert door.ask("ping", authorization=None, cookie="mcpweb=session").status == 401


def test_every_unknown_address_looks_like_a_wrong_token(door):
    wrong = door.ask("ping", authorization="Bearer wrong")
    known = str(door.id)
    odd = [
        str(uuid4()),
        known.upper(),
        f"{{{known}}}",
        known.replace("-", ""),
        f"{known}/",
        f"{known}/x",
        "",
        "x",
        "../x",
        "é",
    ]

    for text in odd:
        answer = door.ask("ping", path=f"/mcp/{text}")
        assert (answer.status, answer.headers, answer.body) == (wrong.status, wrong.headers, wrong.body), text


def test_the_scheme_is_read_in_any_case(door):
    assert door.ask("ping", authorization="bearer mcpw_alice").status == 200


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "OPTIONS", "PATCH", "HEAD"])
def test_other_methods_are_refused_after_the_token(door, method):
    stranger = door.send(b"", method=method, authorization=None, mcp_protocol_version="2024-11-05")
    owner = door.send(b"", method=method)

    assert stranger.status == 401
    assert (owner.status, owner.headers["Allow"]) == (405, "POST")
    assert (owner.body == b"") == (method == "HEAD")


@pytest.mark.parametrize(
    "content_type, status",
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("APPLICATION/JSON", 200),
        ("text/plain", 415),
        ("application/jsonp", 415),
        (None, 415),
    ],
)
def test_the_body_must_be_declared_as_json(door, content_type, status):
    assert door.ask("ping", content_type=content_type).status == status


@pytest.mark.parametrize(
    "accept, status",
    [
        (BOTH, 200),
        (None, 200),
        ("*/*", 200),
        ("application/*;q=0.5", 200),
        ("text/event-stream", 406),
        ("application/json;q=0, text/event-stream", 406),
        ("text/html", 406),
    ],
)
def test_only_a_client_that_can_not_take_json_is_sent_away(door, accept, status):
    assert door.ask("ping", accept=accept).status == status


def test_a_body_over_the_limit_is_refused_by_what_it_declares(door):
    answer = door.send(b"{}", content_length=str(MAX_BODY_BYTES + 1))

    assert answer.status == 413


def test_a_chunked_body_over_the_limit_is_refused_and_not_kept_in_memory(door):
    class Long(io.BytesIO):
        largest = 0

        def read(self, size=-1):
            self.largest = max(self.largest, size if size >= 0 else 10**9)
            return super().read(size)

    long = Long(b" " * 5_000_000)
    door_app = door.app

    def chunked(environ, start_response):
        return door_app({**environ, "wsgi.input": long, "wsgi.input_terminated": True}, start_response)

    door.app = chunked

    assert door.send(b"", content_length=None).status == 413
    assert long.largest <= MAX_BODY_BYTES + 1
    assert long.tell() == 5_000_000


def test_the_body_of_a_refused_request_is_read_so_that_the_connection_stays_usable(door):
    body = io.BytesIO(b"x" * 3_000_000)
    door_app = door.app
    door.app = lambda environ, start_response: door_app({**environ, "wsgi.input": body}, start_response)

    assert door.send(b"", authorization=None, content_length="3000000").status == 401
    assert body.read() == b""


def test_a_connection_that_breaks_while_the_body_is_read_is_the_clients_fault(door):
    class Broken(io.RawIOBase):
        def read(self, size=-1):
            raise OSError("connection reset")

    door_app = door.app
    door.app = lambda environ, start_response: door_app({**environ, "wsgi.input": Broken()}, start_response)

    assert door.ask("ping").status == 400


def test_a_body_that_is_cut_off_is_not_taken_for_a_whole_one(door):
    body = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'

    assert door.send(body, content_length=str(len(body) + 1)).status == 400


def test_answers_are_json_of_known_length_that_nobody_may_keep(door):
    answer = door.ask("ping")

    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_database_that_is_down_closes_the_endpoint_for_the_time(door):
    def down():
        raise Unavailable("The database does not answer.")

    door.accesses.before_get.append(down)
    answer = door.ask("ping")

    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    assert answer.error["message"] == "The database does not answer."


def test_whatever_fails_in_the_cache_is_answered_without_detail_and_logged(door, caplog):
    def broken():
        raise ZeroDivisionError("secret detail")

    door.accesses.before_get.append(broken)
    answer = door.ask("ping")

    assert answer.status == 503
    assert b"secret" not in answer.body
    assert "endpoint failed" in caplog.text


def test_a_record_says_who_called_what_and_how_it_went(door):
    door.call("reach", user_agent="client/1")
    [record] = door.records

    assert (record.instance_id, record.user_id, record.service) == (door.id, 1, "figma")
    assert (record.method, record.tool, record.outcome, record.http_status) == ("tools/call", "reach", "ok", 200)
    assert (record.token_tail, record.ip, record.agent, record.cache) == ("lice", "192.0.2.1", "client/1", "hit")
    assert (record.protocol_version, record.upstream_requests) == ("2025-11-25", 1)
    assert record.duration_ms >= record.upstream_ms >= 0


def test_a_refused_caller_is_recorded_without_an_owner(door):
    door.ask("ping", authorization="Bearer wrong")
    [record] = door.records

    assert (record.outcome, record.http_status, record.user_id, record.token_tail) == ("refused", 401, None, "")


def test_a_log_that_can_not_be_written_does_not_fail_the_call(caplog):
    def full(record):
        raise OSError("no space left on device")

    door = Door.to(reach, record=full)

    assert door.call("reach").status == 200
    assert "call not recorded" in caplog.text
