"""The providers' double behaves as the providers' documents say, and misbehaves as its tokens say."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.spec_server import BEHAVIOURS, TOKENS, SpecServer
from tests.specs import FOLDER, cut
from tests.specs.document import Document
from tests.specs.samples import sample
from tests.waiting import until

ISSUES = "/repos/alice/garden/issues"


@pytest.fixture(scope="module")
def github() -> Iterator[SpecServer]:
    with SpecServer("github", delay_s=0.05) as server:
        yield server


@pytest.fixture(scope="module")
def figma() -> Iterator[SpecServer]:
    with SpecServer("figma") as server:
        yield server


def ask(server: SpecServer, path: str, token: str | None = "good", method: str = "GET", **more: Any) -> Any:
    """The server's answer to a token of this behaviour; redirects are not followed."""
    headers = {"X-Figma-Token": TOKENS["figma"][token]} if token else {}
    if token and server.document.match("GET", "/user"):
        headers = {"Authorization": f"Bearer {TOKENS['github'][token]}"}
    headers |= more.pop("headers", {})
    return requests.request(method, server.url + path, headers=headers, allow_redirects=False, timeout=5, **more)


def test_an_answer_is_the_documents_example_about_what_was_asked(github: SpecServer) -> None:
    issue = ask(github, ISSUES + "/7").json()

    assert issue["number"] == 7
    assert issue["title"] == "Found a bug"
    assert issue["repository_url"] == "https://api.github.com/repos/alice/garden"


def test_what_is_created_carries_what_was_sent(github: SpecServer) -> None:
    made = ask(github, ISSUES, method="POST", json={"title": "Gate is stuck", "body": "It is."})

    assert made.status_code == 201
    assert (made.json()["title"], made.json()["body"]) == ("Gate is stuck", "It is.")


def test_the_more_specific_path_wins(github: SpecServer) -> None:
    paths = ["/releases/latest", "/releases/tags/v1/x", "/commits/main/status", "/commits/feature/a", "/contents"]

    found = [github.document.match("GET", "/repos/alice/garden" + path) for path in paths]

    assert [match and (match[0].id, list(match[1].values())[2:]) for match in found] == [
        ("repos/get-latest-release", []),
        ("repos/get-release-by-tag", ["v1/x"]),
        ("repos/get-combined-status-for-ref", ["main"]),
        ("repos/get-commit", ["feature/a"]),
        ("repos/get-content", [""]),
    ]


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "title", "missing_field"),
        ({"title": "x", "labels": "bug"}, "labels", "invalid"),
        (None, "body", "missing_field"),
    ],
)
def test_github_refuses_a_bad_body_in_its_own_words(
    github: SpecServer, body: dict[str, Any] | None, field: str, code: str
) -> None:
    refused = ask(github, ISSUES, method="POST", json=body)

    assert refused.status_code == 422
    assert refused.json()["message"] == "Validation Failed"
    assert refused.json()["errors"] == [{"resource": "Issue", "field": field, "code": code}]
    assert refused.json()["documentation_url"]


def test_a_query_of_the_wrong_type_is_refused(github: SpecServer) -> None:
    assert ask(github, ISSUES + "?per_page=many").status_code == 422
    assert ask(github, ISSUES + "?state=lost").status_code == 422
    assert ask(github, "/search/code").status_code == 422
    assert ask(github, ISSUES + "?per_page=2&labels=a,b&state=all").status_code == 200


def test_what_the_document_does_not_declare_is_noted(github: SpecServer) -> None:
    ask(github, ISSUES + "?colour=red", method="POST", json={"title": "x", "colour": "red"})

    assert github.seen[-1].undeclared == ("colour", "colour")


def test_a_list_is_paged_by_link_headers_to_the_last_page(github: SpecServer) -> None:
    links = [ask(github, f"{ISSUES}?page={page}&state=all").links for page in (1, 2, 3)]

    assert [sorted(link) for link in links] == [["last", "next"], ["first", "last", "next", "prev"], ["first", "prev"]]
    assert links[0]["next"]["url"] == f"{github.url}{ISSUES}?state=all&page=2"


def test_the_requests_are_remembered(github: SpecServer) -> None:
    ask(github, ISSUES + "?page=2", method="POST", json={"title": "x"}, headers={"X-Extra": "yes"})

    seen = github.seen[-1]
    assert (seen.method, seen.path, seen.query) == ("POST", ISSUES, {"page": "2"})
    assert (seen.operation_id, seen.json, seen.headers["x-extra"]) == ("issues/create", {"title": "x"}, "yes")
    assert seen.arguments == {"owner": "alice", "repo": "garden"}


@pytest.mark.parametrize(
    ("token", "path", "status", "says"),
    [
        (None, "/user", 401, "Requires authentication"),
        ("revoked", "/user", 401, "Bad credentials"),
        ("expired", "/user", 401, "Bad credentials"),
        ("installation", "/user", 403, "Resource not accessible by integration"),
        ("installation", "/installation/repositories", 200, "total_count"),
        ("fine_grained", "/user", 200, "octocat"),
        ("no_scope", "/user", 200, "octocat"),
        ("no_scope", ISSUES, 404, "Not Found"),
        ("no_scope", "/notifications", 403, "scope"),
        ("no_permission", ISSUES, 403, "Resource not accessible by personal access token"),
        ("saml", ISSUES, 403, "SAML enforcement"),
        ("good", "/repos/missing/garden", 404, "Not Found"),
        ("good", "/no/such/path", 404, "Not Found"),
        ("rate_limited", ISSUES, 429, "rate limit"),
        ("primary_limit", ISSUES, 403, "rate limit"),
        ("secondary_limit", ISSUES, 403, "secondary rate limit"),
        ("error_500", ISSUES, 500, "Server Error"),
        ("error_502", ISSUES, 502, "<html>"),
        ("html", ISSUES, 200, "<!doctype html>"),
    ],
)
def test_a_token_of_github_behaves_as_its_name_says(
    github: SpecServer, token: str | None, path: str, status: int, says: str
) -> None:
    answer = ask(github, path, token)

    assert (answer.status_code, says in answer.text) == (status, True), answer.text


@pytest.mark.parametrize(
    ("token", "status", "body"),
    [
        ("revoked", 403, {"status": 403, "err": "Invalid token"}),
        ("expired", 403, {"status": 403, "err": "Token expired"}),
        ("rate_limited", 429, {"status": 429, "err": "Rate limit exceeded"}),
    ],
)
def test_figma_refuses_with_403_and_words_of_its_own(
    figma: SpecServer, token: str, status: int, body: dict[str, Any]
) -> None:
    answer = ask(figma, "/v1/files/abc", token)

    assert (answer.status_code, answer.json()) == (status, body)


def test_figma_names_the_scopes_that_a_token_lacks(figma: SpecServer) -> None:
    refused = ask(figma, "/v1/files/abc", "no_scope")

    words = r"Invalid scope\(s\): current_user:read\. This endpoint requires the file_content:read .*scope"
    assert refused.status_code == 403
    assert re.fullmatch(words, refused.json()["err"])
    assert ask(figma, "/v1/me", "no_scope").status_code == 200


def test_figma_refuses_a_bad_body_with_400(figma: SpecServer) -> None:
    refused = ask(figma, "/v1/files/abc/comments", method="POST", json={})

    assert (refused.status_code, refused.json()["status"]) == (400, 400)
    assert "message" in refused.json()["err"]


def test_limits_say_when_they_end(github: SpecServer) -> None:
    assert ask(github, ISSUES, "rate_limited").headers["Retry-After"] == "37"
    assert "9999" in ask(github, ISSUES, "rate_limited_forever").headers["Retry-After"]
    primary = ask(github, ISSUES, "primary_limit").headers
    assert primary["X-RateLimit-Remaining"] == "0"
    assert 0 < int(primary["X-RateLimit-Reset"]) - time.time() < 3600


def test_headers_tell_scopes_and_the_end_of_a_token(github: SpecServer) -> None:
    assert "repo" in ask(github, "/user").headers["X-OAuth-Scopes"].split(", ")
    assert ask(github, ISSUES, "no_scope").headers["X-OAuth-Scopes"] == ""
    assert ask(github, ISSUES, "no_scope").headers["X-Accepted-OAuth-Scopes"] == "repo"
    assert "X-OAuth-Scopes" not in ask(github, "/user", "fine_grained").headers
    ends = ask(github, "/user", "expiring").headers["GitHub-Authentication-Token-Expiration"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", ends)


def test_bodies_can_be_huge_packed_broken_or_cut(github: SpecServer) -> None:
    assert len(ask(github, ISSUES, "huge").content) > 2 * 1024 * 1024
    packed = ask(github, "/user", "bomb", stream=True).raw.read(decode_content=False)
    assert len(packed) < 200_000
    assert len(gzip.decompress(packed)) > 50_000_000
    with pytest.raises(requests.JSONDecodeError):
        ask(github, ISSUES, "broken_json").json()
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        ask(github, ISSUES, "truncated")


def test_a_connection_can_be_slow_reset_or_silent(github: SpecServer) -> None:
    started = time.monotonic()
    assert ask(github, "/user", "slow").status_code == 200
    assert time.monotonic() - started >= 0.05
    with pytest.raises(requests.ConnectionError, match="reset"):
        ask(github, "/user", "reset")
    for token in ("hanging", "dripping"):
        with pytest.raises(requests.Timeout):
            requests.get(
                github.url + "/user", headers={"Authorization": f"Bearer {TOKENS['github'][token]}"}, timeout=0.02
            )


def test_a_redirect_leads_where_the_test_wants(github: SpecServer) -> None:
    with SpecServer("github", redirect_to=github.url + "/user") as diverting:
        assert ask(diverting, "/user", "redirect").headers["Location"] == github.url + "/user"


def test_an_echo_gives_the_credential_away(github: SpecServer) -> None:
    assert TOKENS["github"]["echoing"] in ask(github, "/user", "echoing").json()["login"]


def test_the_log_of_a_job_is_behind_a_link_that_wants_no_credential(github: SpecServer) -> None:
    location = ask(github, "/repos/alice/garden/actions/jobs/5/logs").headers["Location"]

    assert requests.get(location, timeout=5).text.count("\n") == 1000
    assert requests.get(location, headers={"Authorization": "Bearer x"}, timeout=5).status_code == 400


def test_a_token_can_change_its_behaviour_while_the_server_runs() -> None:
    with SpecServer("github") as server:
        assert ask(server, "/user").status_code == 200
        server.behaviours[TOKENS["github"]["good"]] = "revoked"
        assert ask(server, "/user").status_code == 401


def test_a_connection_is_kept(github: SpecServer) -> None:
    headers = {"Authorization": f"Bearer {TOKENS['github']['good']}"}
    connection = http.client.HTTPConnection(urlsplit(github.url).netloc, timeout=5)
    ports = set()
    for _ in range(3):
        connection.request("GET", "/user", headers=headers)
        ports.add(connection.sock.getsockname()[1])
        assert connection.getresponse().read()
    connection.close()

    assert len(ports) == 1


def test_stopping_ends_even_what_hangs() -> None:
    server = SpecServer("github").start()

    def wait_for_ever() -> None:
        with suppress(requests.ConnectionError):
            ask(server, "/user", "hanging")

    hanging = threading.Thread(target=wait_for_ever)
    hanging.start()
    until(lambda: bool(server.seen), "the request has arrived")

    server.stop()

    hanging.join(timeout=4)
    assert not hanging.is_alive()
    with pytest.raises(requests.ConnectionError):
        ask(server, "/user")


def test_every_behaviour_has_a_token_that_looks_real(github: SpecServer) -> None:
    assert set(TOKENS["github"]) == set(TOKENS["figma"]) == set(BEHAVIOURS)
    assert all(len(set(tokens.values())) == len(BEHAVIOURS) for tokens in TOKENS.values())
    assert re.fullmatch(r"ghp_[A-Za-z0-9]{36}", TOKENS["github"]["good"])
    assert re.fullmatch(r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}", TOKENS["github"]["fine_grained"])
    assert re.fullmatch(r"figd_[A-Za-z0-9_-]{40}", TOKENS["figma"]["good"])


def test_it_runs_as_a_program_too() -> None:
    command = [sys.executable, "-m", "tests.spec_server", "--spec", "github", "--prefix", "/api/v3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=FOLDER.parents[1]) as program:
        assert program.stdout is not None
        url = program.stdout.readline().strip()
        try:
            headers = {"Authorization": f"Bearer {TOKENS['github']['good']}"}
            assert requests.get(url + "/user", headers=headers, timeout=5).json()["login"] == "octocat"
        finally:
            program.terminate()


@pytest.mark.parametrize("provider", ["github", "figma"])
def test_a_committed_document_holds_its_operations_and_nothing_that_cutting_would_drop(provider: str) -> None:
    path = FOLDER / f"{provider}.json"

    again = cut.dump(cut.cut(cut.load(path), cut.operations(provider)))

    assert again == path.read_text(encoding="utf-8")
    assert {operation.id for operation in Document(path).operations} == set(cut.operations(provider))
    assert path.stat().st_size < 1_000_000


def test_cutting_keeps_examples_and_what_they_need_and_drops_prose(tmp_path: Path) -> None:
    thing = {
        "get": {"operationId": "get", "summary": "Prose.", "responses": {"200": {"$ref": "#/components/responses/r"}}}
    }
    schema = {"type": "object", "description": "Prose.", "properties": {"description": {"type": "string"}}}
    whole = {
        "openapi": "3.0.3",
        "info": {"title": "T", "version": "1"},
        "paths": {"/thing": thing, "/other": {"get": {"operationId": "other", "responses": {}}}},
        "components": {
            "responses": {
                "r": {
                    "description": "Kept, OpenAPI wants it.",
                    "content": {
                        "application/json": {
                            "schema": {"$ref": "#/components/schemas/s"},
                            "example": {"description": "x"},
                        }
                    },
                }
            },
            "schemas": {"s": schema, "unused": {"type": "string"}},
        },
    }
    path = tmp_path / "whole.json"
    path.write_text(json.dumps(whole))

    small = cut.cut(cut.load(path), ["get"])

    assert list(small["paths"]) == ["/thing"]
    assert list(small["components"]["schemas"]) == ["s"]
    assert small["components"]["responses"]["r"]["content"]["application/json"]["example"] == {"description": "x"}
    assert small["components"]["schemas"]["s"] == {"type": "object", "properties": {"description": {"type": "string"}}}
    assert "Prose." not in cut.dump(small)
    assert json.loads(cut.dump(small)) == small
    with pytest.raises(LookupError, match="renamed"):
        cut.cut(whole, ["get", "renamed"])


def test_a_sample_fits_its_schema_even_when_that_contains_itself() -> None:
    node = {
        "type": "object",
        "required": ["name", "children"],
        "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "node"}}},
    }

    made = sample({"$ref": "node"}, lambda schema: node if schema == {"$ref": "node"} else schema)

    depth = 0
    while made["children"]:
        made, depth = made["children"][0], depth + 1
    assert made == {"name": "string", "children": []}
    assert 1 < depth < 10
