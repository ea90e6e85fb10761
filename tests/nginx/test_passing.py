"""What nginx does with the two sides: seen with web processes that only write down what reaches them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
import requests

from tests.nginx.front import Front, front, public_settings
from tests.nginx.recorder import Recorder
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("service ports")


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[Recorder]]:
    """Two web processes."""
    with Recorder() as one, Recorder() as other:
        yield [one, other]


@pytest.fixture(scope="module")
def between(hosts: list[Recorder]) -> Iterator[Front]:
    """nginx in front of them, with less patience than usual."""
    options = [word for host in hosts for word in ("--web", host.address)]
    with front(public_settings(), *options, "--connections", "3", proxy_read_timeout="1s") as nginx:
        yield nginx


@pytest.fixture(autouse=True)
def _afresh(hosts: list[Recorder]) -> None:
    _forget(hosts)


def _forget(hosts: list[Recorder]) -> None:
    for host in hosts:
        host.requests.clear()
        host.go_on.clear()


def _send(between: Front, method: str, path: str, **more: object) -> requests.Response:
    return requests.request(method, between.url + path, verify=str(between.authority), timeout=20, **more)  # type: ignore[arg-type]


def _reached(hosts: list[Recorder]) -> list[bytes]:
    return [request for host in hosts for request in host.requests]


def test_what_a_dying_process_may_have_done_is_not_done_again(between: Front, hosts: list[Recorder]) -> None:
    for path in ("/mcp/x/close", "/instances/x/close"):
        answer = _send(between, "POST", path, data="{}")
        assert answer.status_code == 502
        assert len(_reached(hosts)) == 1, "a POST is sent once, whatever becomes of it"
        _forget(hosts)

    assert _send(between, "GET", "/close").status_code == 502
    assert len(_reached(hosts)) == 2, "to ask once more does no harm"


def test_what_nobody_took_goes_to_the_next_host(hosts: list[Recorder]) -> None:
    with Recorder() as gone:
        pass
    with front(public_settings(), "--web", gone.address, "--web", hosts[0].address) as between:
        for _ in range(4):
            assert _send(between, "POST", "/mcp/x", data="{}").status_code == 200
    assert len(hosts[0].requests) == 4


def test_an_endpoint_stays_on_its_host_and_moves_only_when_that_is_gone(hosts: list[Recorder]) -> None:
    endpoints = [str(UUID(int=number)) for number in range(1, 14)]
    with Recorder() as third:
        all_three = [*hosts, third]
        options = [word for host in all_three for word in ("--web", host.address)]
        with front(public_settings(), *options, "--keep-endpoints") as between:

            def reached(path: str, method: str = "POST") -> Recorder:
                _forget(all_three)
                _send(between, method, path, data="{}" if method == "POST" else None)
                assert len(_reached(all_three)) == 1, "once, whatever becomes of it"
                return next(host for host in all_three if host.requests)

            homes = {one: reached(f"/mcp/{one}") for one in endpoints}
            assert [reached(f"/mcp/{one}") for one in endpoints] == list(homes.values()), "and there each time"
            assert {id(host) for host in homes.values()} == {id(host) for host in all_three}, "dealt out to all"
            assert len({id(reached("/instances", "GET")) for _ in range(3)}) == 3, "pages take turns"
            assert reached(f"/mcp/{endpoints[0]}/close") is homes[endpoints[0]]
            third.__exit__()
            moved = {one: reached(f"/mcp/{one}") for one in endpoints}

    assert third not in moved.values()
    assert all(moved[one] is home for one, home in homes.items() if home is not third), "the others' stay"


def test_without_a_web_process_pages_and_programs_read_what_is_the_matter(between: Front) -> None:
    secret = "a-sign-in-links-secret"
    for method, path, status, words in (
        ("GET", "/close", 502, "Back in a moment"),
        ("POST", f"/sign-in/{secret}/close", 502, "Back in a moment"),
        ("POST", f"/sign-in/{secret}/wait", 504, "This takes too long"),
    ):
        answer = _send(between, method, path)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (status, "no-store")
        assert f"<h1>{words}</h1>" in answer.text and answer.headers["Content-Type"] == "text/html"
        assert answer.headers.get("Retry-After") == ("5" if status == 502 else None)
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    for path, status in (("/mcp/x/close", 502), ("/mcp/x/wait", 504)):
        answer = _send(between, "POST", path)
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/json")
        assert json.loads(answer.text)["error"]["code"] == -32603
    answer = _send(between, "POST", "/instances/503")
    assert (answer.status_code, answer.text) == (503, "ours\n"), "what the application says is passed on"

    log = between.log()
    assert "/mcp/x/close" in log and "/sign-in/- " in log
    assert secret not in log, "also where errors are logged"


def test_the_other_side_hears_who_calls_from_nginx_alone(between: Front, hosts: list[Recorder]) -> None:
    claims = {
        "Host": f"127.0.0.2:{between.port}",
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Ssl": "off",
        "X-Forwarded-Protocol": "none",
        "Forwarded": "for=203.0.113.7",
        "X_Forwarded_For": "203.0.113.8",
        "Mcp_Method": "tools/call",
        "Mcp-Method": "tools/list",
        "Connection": "close",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in claims.items())
    assert between.raw(f"GET /x?q=1 HTTP/1.1\r\n{head}\r\n".encode()).startswith(b"HTTP/1.1 200")

    lines = set(_reached(hosts)[0].decode().lower().splitlines())
    assert {f"host: 127.0.0.2:{between.port}", "x-forwarded-for: 127.0.0.9", "x-forwarded-proto: https"} <= lines
    assert {"mcp-method: tools/list", "get /x?q=1 http/1.1"} <= lines
    assert not [line for line in lines if "203.0.113" in line or "ssl" in line or "protocol:" in line or "_" in line]


def test_an_event_arrives_before_the_next_one_is_made(between: Front, hosts: list[Recorder]) -> None:
    with _send(between, "POST", "/mcp/x/stream", data="{}", stream=True) as answer:
        lines = answer.iter_lines(chunk_size=1)
        assert next(lines) == b"data: first"
        for host in hosts:
            host.go_on.set()
        assert [line for line in lines if line] == [b"data: second"]
        assert "X-Accel-Buffering" not in answer.headers


def test_one_address_can_not_take_all_connections(between: Front, hosts: list[Recorder]) -> None:
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(_send, between, "POST", "/mcp/x/stream") for _ in range(3)]
        until(lambda: len(_reached(hosts)) == 3, "three wait")
        page, program = _send(between, "GET", "/x"), _send(between, "POST", "/mcp/x")
        for host in hosts:
            host.go_on.set()
        assert [one.result().status_code for one in waiting] == [200, 200, 200]

    assert page.status_code == program.status_code == 429
    assert "<h1>A little too fast</h1>" in page.text and program.json()["error"]["code"] == 1001
    assert _send(between, "GET", "/x").status_code == 200
