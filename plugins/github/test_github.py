"""What GitHub's tools make of good and bad answers, and how its tokens are proven."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from mcpweb.catalog import checking
from mcpweb.catalog.outgoing import Outgoing
from mcpweb.plugin_api import ToolError
from tests.called_plugin import CalledPlugin
from tests.spec_server import TOKENS, Answer, SpecServer

GITHUB = TOKENS["github"]
REPO = {"owner": "alice", "repo": "garden"}
ISSUE = {**REPO, "issue_number": 7}
PULL = {**REPO, "pull_number": 8}
BY_INSTALLATION = "apps/list-repos-accessible-to-installation"
OF_A_USER = "repos/list-for-user"
"""Operations that are asked when others refuse; they have tests of their own."""


def test_a_listing_names_the_next_page_until_the_last(github: CalledPlugin) -> None:
    pages = [github.call("list_issues", {**REPO, "page": page}).get("next_page") for page in (1, 2, 3)]

    assert pages == [2, 3, None]


def test_the_results_are_about_what_was_asked_for(github: CalledPlugin) -> None:
    assert github.call("get_issue", ISSUE)["number"] == 7
    assert github.call("get_repository", REPO)["full_name"] == "alice/garden"
    made = github.call("create_issue", {**REPO, "title": "Gate is stuck"})
    assert made["title"] == "Gate is stuck"
    assert made["labels"] == ["bug"]


def test_a_file_comes_with_its_sha_and_its_plain_text(github: CalledPlugin) -> None:
    read = github.call("get_file", {**REPO, "path": "docs/plan.md"})

    assert read["text"] == "# docs/plan.md\nHello World\n"
    assert read["path"] == "docs/plan.md"
    assert re.fullmatch("[0-9a-f]{40}", read["sha"])
    assert read["lines"] == "1-2 of 2"


def test_a_long_file_is_read_in_parts(github: CalledPlugin) -> None:
    first = github.call("get_file", {**REPO, "path": "big.txt", "max_lines": 100})
    rest = github.call("get_file", {**REPO, "path": "big.txt", "start_line": first["next_start_line"]})

    assert first["lines"] == "1-100 of 240000"
    assert rest["lines"] == "101-1100 of 240000"
    assert len(rest["text"]) < 51_000


def test_what_is_no_text_is_refused_with_a_sentence(github: CalledPlugin) -> None:
    for path, sentence in (("a/logo.png", "binary file"), ("docs", "list_directory")):
        with pytest.raises(ToolError, match=sentence):
            github.call("get_file", {**REPO, "path": path})
    with pytest.raises(ToolError, match="get_file"):
        github.call("list_directory", {**REPO, "path": "README.md"})
    with pytest.raises(ToolError, match="only 2 lines"):
        github.call("get_file", {**REPO, "path": "README.md", "start_line": 3})


def test_a_written_file_arrives_as_it_was_given(github: CalledPlugin, server: SpecServer) -> None:
    github.call("create_or_update_file", {**REPO, "path": "a.txt", "content": "Grüße\n", "message": "Greet"})

    assert server.seen[-1].json == {"message": "Greet", "content": "R3LDvMOfZQo="}


def test_a_path_can_not_leave_the_repository(github: CalledPlugin, server: SpecServer) -> None:
    for arguments in ({**REPO, "path": "../../user"}, {"owner": "..", "repo": "garden", "path": "a"}):
        assert github.refusal("get_file", arguments).kind == "invalid"

    assert not server.seen


def test_removing_a_label_with_a_slash_keeps_the_others(github: CalledPlugin, server: SpecServer) -> None:
    present = [{"name": name} for name in ("Bug", "kind/bug", "enhancement")]
    server.force["issues/list-labels-on-issue"] = Answer(200, present)

    github.call("change_issue_labels", {**ISSUE, "add": ["kind/docs"], "remove": ["bug", "KIND/bug"]})

    assert server.seen[-1].json == {"labels": ["enhancement", "kind/docs"]}


def test_the_log_of_a_job_comes_from_the_storage_host_without_the_credential(
    github: CalledPlugin, server: SpecServer
) -> None:
    log = github.call("get_job_logs", {**REPO, "job_id": 10, "tail_lines": 2})

    assert log["text"] == "log line 999\nlog line 1000"
    assert log["lines"] == "999-1000 of 1000"
    assert "authorization" in server.seen[0].headers
    assert "authorization" not in server.seen[1].headers


def test_a_log_can_be_searched(github: CalledPlugin) -> None:
    found = github.call("get_job_logs", {**REPO, "job_id": 10, "contains": "LINE 77"})

    assert found["text"].startswith("log line 77\nlog line 770\n")
    with pytest.raises(ToolError, match="No line"):
        github.call("get_job_logs", {**REPO, "job_id": 10, "contains": "segfault"})


def test_a_search_says_which_kind_it_wants_unless_the_query_does(github: CalledPlugin, server: SpecServer) -> None:
    github.call("search_issues", {"query": "crash", "kind": "pull_request"})
    github.call("search_issues", {"query": "crash is:pr"})

    assert [seen.query["q"] for seen in server.seen] == ["crash is:pull-request", "crash is:pr"]


def test_an_installation_lists_the_repositories_it_was_given(github: CalledPlugin, server: SpecServer) -> None:
    listed = github.call("list_repositories", {}, "installation")

    assert server.seen[-1].operation_id == BY_INSTALLATION
    assert listed["items"][0]["full_name"]
    assert "by integration" in str(github.refusal("get_me", {}, "installation"))


def test_the_owner_of_repositories_may_be_a_user(github: CalledPlugin, server: SpecServer) -> None:
    server.force["repos/list-for-org"] = Answer(404, {"message": "Not Found"})

    assert github.call("list_repositories", {"owner": "alice"})["items"]
    assert server.seen[-1].operation_id == OF_A_USER


def test_checks_that_a_token_may_not_see_do_not_hide_the_statuses(github: CalledPlugin, server: SpecServer) -> None:
    server.force["checks/list-for-ref"] = Answer(403, {"message": "Resource not accessible by personal access token"})

    checks = github.call("get_checks", {**REPO, "ref": "main"})

    assert checks["statuses"][0]["state"] == "success"
    assert checks["check_runs"] == "not visible to this token"


def test_tools_refuse_calls_that_would_change_nothing(github: CalledPlugin, server: SpecServer) -> None:
    for name, arguments in (
        ("update_issue", ISSUE),
        ("change_issue_labels", ISSUE),
        ("mark_notifications_read", {}),
        ("mark_notifications_read", {"thread_ids": ["1"], "everything": True}),
    ):
        with pytest.raises(ToolError):
            github.call(name, arguments)

    assert not server.seen


def test_what_github_says_about_a_refused_merge_reaches_the_model(github: CalledPlugin, server: SpecServer) -> None:
    server.force["pulls/merge"] = 405

    assert "Pull Request is not mergeable" in str(github.refusal("merge_pull_request", PULL))


@pytest.mark.parametrize(
    ("token", "kind", "says"),
    [
        ("revoked", "key_refused", "Ask the owner to replace it"),
        ("rate_limited", "rate_limited", "next request at"),
        ("rate_limited_forever", "rate_limited", "next request at"),
        ("primary_limit", "rate_limited", "next request at"),
        ("secondary_limit", "rate_limited", "limits how often"),
        ("saml", "scope_missing", "SAML enforcement"),
        ("no_permission", "scope_missing", "It needs: issues=write"),
        ("no_scope", "not_found", "the key may not see it"),
        ("huge", "invalid", "larger than"),
        ("bomb", "invalid", "larger than"),
        ("broken_json", "unavailable", ""),
        ("html", "unavailable", ""),
        ("truncated", "unavailable", ""),
        ("reset", "unavailable", ""),
        ("error_500", "unavailable", "problem of its own"),
        ("error_502", "unavailable", "problem of its own"),
        ("redirect", "unavailable", ""),
    ],
)
def test_a_provider_that_misbehaves_is_told_in_a_sentence(
    github: CalledPlugin, token: str, kind: str, says: str
) -> None:
    refusal = github.refusal("get_repository", REPO, token)

    assert (refusal.kind, says in str(refusal)) == (kind, True), str(refusal)
    assert GITHUB[token] not in str(refusal)


@pytest.mark.parametrize("token", ["hanging", "slow", "dripping"])
def test_a_provider_that_takes_too_long_is_left(github: CalledPlugin, token: str) -> None:
    assert github.refusal("get_me", {}, token, deadline_s=0.1).kind == "unavailable"


def test_a_redirect_is_not_followed(server: SpecServer, client: Outgoing) -> None:
    server.seen.clear()
    with SpecServer("github", redirect_to=server.url + "/user") as diverting:
        CalledPlugin("github", diverting.url, client).refusal("get_me", {}, "redirect")

    assert not server.seen


@pytest.mark.parametrize(
    ("token", "account", "scopes"),
    [
        ("good", "octocat", {"repo", "workflow", "read:org", "notifications"}),
        ("oauth", "octocat", {"repo", "workflow", "read:org", "notifications"}),
        ("legacy", "octocat", {"repo", "workflow", "read:org", "notifications"}),
        ("fine_grained", "octocat", None),
        ("no_permission", "octocat", None),
        ("installation", "octocat", None),
    ],
)
def test_each_kind_of_token_is_proven(github: CalledPlugin, token: str, account: str, scopes: set[str] | None) -> None:
    checked = checking.check(github.service, {"token": GITHUB[token]}, github.client)

    assert checked.account == account
    assert (None if checked.scopes is None else set(checked.scopes)) == scopes
    assert checked.missing == ()


def test_the_check_tells_when_the_token_ends(github: CalledPlugin) -> None:
    checked = checking.check(github.service, {"token": GITHUB["expiring"]}, github.client)

    assert checked.expires_at is not None
    assert timedelta(days=9) < checked.expires_at - datetime.now(UTC) < timedelta(days=11)


@pytest.mark.parametrize(
    ("token", "kind"),
    [("revoked", "rejected"), ("no_scope", "scope"), ("primary_limit", "rate_limited"), ("error_502", "unreachable")],
)
def test_the_check_tells_refusals_apart(github: CalledPlugin, token: str, kind: str) -> None:
    with pytest.raises(checking.CheckRefused) as caught:
        checking.check(github.service, {"token": GITHUB[token]}, github.client)

    assert caught.value.kind == kind


def test_the_form_accepts_every_kind_of_token_and_nothing_else(github: CalledPlugin) -> None:
    pattern = re.compile(github.service.manifest.fields[0].pattern)
    jwt = "ghs_123456_" + ".".join(["eyJhbGciOiJSUzI1NiJ9", "eyJpc3MiOiJnaXRodWIifQ" * 10, "c2ln-bmF0dXJl_" * 15])

    assert [token for token in [*GITHUB.values(), jwt] if not pattern.fullmatch(token)] == []
    for wrong in (
        "",
        "ghp_short",
        "glpat-" + "a" * 20,
        "ghp_" + "a" * 35 + "\n",
        " " + GITHUB["good"],
        "ghr_" + "a" * 76,
    ):
        assert not pattern.fullmatch(wrong)


def test_github_enterprise_is_reached_below_its_prefix(client: Outgoing) -> None:
    with SpecServer("github", prefix="/api/v3") as enterprise:
        github = CalledPlugin("github", enterprise.url, client)

        assert github.call("get_issue", ISSUE)["number"] == 7
        assert github.call("get_job_logs", {**REPO, "job_id": 10, "tail_lines": 1})["text"] == "log line 1000"
        assert enterprise.seen[0].operation_id == "issues/get"


def test_every_request_carries_the_credential_and_asks_for_the_api_version_it_was_written_for(
    github: CalledPlugin, server: SpecServer
) -> None:
    github.call("get_me", {})

    headers = server.seen[0].headers
    assert headers["authorization"] == f"Bearer {GITHUB['good']}"
    assert headers["accept"] == "application/vnd.github+json"
    assert headers["x-github-api-version"] == "2022-11-28"
    assert headers["user-agent"]
