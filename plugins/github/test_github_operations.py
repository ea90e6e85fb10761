"""Every tool of GitHub is called once in each of its ways, against GitHub's own document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.called_plugin import CalledPlugin
from tests.spec_server import SpecServer
from tests.specs.cut import operations

REPO = {"owner": "alice", "repo": "garden"}
ISSUE = {**REPO, "issue_number": 7}
PULL = {**REPO, "pull_number": 8}
RUN = {**REPO, "run_id": 9}

CALLS: list[tuple[str, dict[str, Any], set[str]]] = [
    ("get_me", {}, {"users/get-authenticated"}),
    ("get_user", {"username": "alice"}, {"users/get-by-username"}),
    ("list_organizations", {"page": 2}, {"orgs/list-for-authenticated-user"}),
    ("list_teams", {"organization": "example"}, {"teams/list"}),
    ("list_repositories", {"sort": "updated"}, {"repos/list-for-authenticated-user"}),
    ("list_repositories", {"owner": "example"}, {"repos/list-for-org"}),
    ("get_repository", REPO, {"repos/get"}),
    ("search_repositories", {"query": "garden", "sort": "stars"}, {"search/repos"}),
    ("create_repository", {"name": "garden", "description": "Plants."}, {"repos/create-for-authenticated-user"}),
    ("create_repository", {"name": "garden", "organization": "example"}, {"repos/create-in-org"}),
    ("get_file", {**REPO, "path": "docs/plan.md", "ref": "v1"}, {"repos/get-content"}),
    ("list_directory", REPO, {"repos/get-content"}),
    ("list_directory", {**REPO, "path": "docs", "ref": "v1"}, {"repos/get-content"}),
    ("list_directory", {**REPO, "recursive": True}, {"git/get-tree"}),
    ("search_code", {"query": "addClass repo:jquery/jquery"}, {"search/code"}),
    (
        "create_or_update_file",
        {**REPO, "path": "a/b.txt", "content": "Grüße", "message": "Greet", "branch": "x/y", "sha": "95b9"},
        {"repos/create-or-update-file-contents"},
    ),
    ("list_branches", REPO, {"repos/list-branches"}),
    ("create_branch", {**REPO, "branch": "fix/typo", "from_ref": "release/1"}, {"repos/get-commit", "git/create-ref"}),
    ("list_commits", {**REPO, "ref": "x/y", "path": "a.py", "since": "2026-01-01T00:00:00Z"}, {"repos/list-commits"}),
    ("get_commit", {**REPO, "ref": "feature/a"}, {"repos/get-commit"}),
    ("compare_refs", {**REPO, "base": "main", "head": "bob:feature/a"}, {"repos/compare-commits-with-basehead"}),
    ("get_checks", {**REPO, "ref": "main"}, {"repos/get-combined-status-for-ref", "checks/list-for-ref"}),
    ("search_issues", {"query": "crash", "sort": "updated"}, {"search/issues-and-pull-requests"}),
    (
        "list_issues",
        {**REPO, "labels": ["bug", "ui"], "state": "all", "assignee": "*", "since": "2026-01-01T00:00:00Z"},
        {"issues/list-for-repo"},
    ),
    ("get_issue", ISSUE, {"issues/get"}),
    ("list_issue_comments", ISSUE, {"issues/list-comments"}),
    (
        "create_issue",
        {**REPO, "title": "Gate is stuck", "body": "It is.", "labels": ["bug"], "assignees": ["bob"], "milestone": 1},
        {"issues/create"},
    ),
    ("update_issue", {**ISSUE, "state": "closed", "state_reason": "completed", "milestone": 0}, {"issues/update"}),
    ("add_issue_comment", {**ISSUE, "body": "Oiled."}, {"issues/create-comment"}),
    ("change_issue_labels", {**ISSUE, "add": ["bug"]}, {"issues/add-labels"}),
    (
        "change_issue_labels",
        {**ISSUE, "add": ["ui"], "remove": ["bug"]},
        {"issues/list-labels-on-issue", "issues/set-labels"},
    ),
    ("list_labels", REPO, {"issues/list-labels-for-repo"}),
    ("list_pull_requests", {**REPO, "head": "bob:fix", "base": "main"}, {"pulls/list"}),
    ("get_pull_request", PULL, {"pulls/get"}),
    ("list_pull_request_files", PULL, {"pulls/list-files"}),
    ("get_pull_request_diff", PULL, {"pulls/get"}),
    ("list_pull_request_reviews", PULL, {"pulls/list-reviews"}),
    ("list_review_comments", PULL, {"pulls/list-review-comments"}),
    (
        "create_pull_request",
        {**REPO, "title": "Oil the gate", "head": "bob:fix", "base": "main", "body": "Quieter.", "draft": True},
        {"pulls/create"},
    ),
    (
        "create_review",
        {**PULL, "event": "COMMENT", "body": "Nice.", "comments": [{"path": "a.py", "line": 3, "body": "Why?"}]},
        {"pulls/create-review"},
    ),
    ("merge_pull_request", {**PULL, "merge_method": "squash", "sha": "6dcb09b5"}, {"pulls/merge"}),
    (
        "list_workflow_runs",
        {**REPO, "branch": "main", "status": "failure", "event": "push"},
        {"actions/list-workflow-runs-for-repo"},
    ),
    ("list_workflow_runs", {**REPO, "workflow": "ci.yml"}, {"actions/list-workflow-runs"}),
    ("get_workflow_run", RUN, {"actions/get-workflow-run", "actions/list-jobs-for-workflow-run"}),
    ("get_job_logs", {**REPO, "job_id": 10}, {"actions/download-job-logs-for-workflow-run"}),
    ("rerun_workflow_run", RUN, {"actions/re-run-workflow"}),
    ("rerun_workflow_run", {**RUN, "failed_only": True}, {"actions/re-run-workflow-failed-jobs"}),
    ("list_releases", REPO, {"repos/list-releases"}),
    ("get_release", REPO, {"repos/get-latest-release"}),
    ("get_release", {**REPO, "tag": "release/1.0"}, {"repos/get-release-by-tag"}),
    ("create_release", {**REPO, "tag_name": "v2", "body": "New.", "draft": True}, {"repos/create-release"}),
    ("list_notifications", {"include_read": True}, {"activity/list-notifications-for-authenticated-user"}),
    ("mark_notifications_read", {"thread_ids": ["1", "2"]}, {"activity/mark-thread-as-read"}),
    ("mark_notifications_read", {"everything": True}, {"activity/mark-notifications-as-read"}),
]
ELSEWHERE = {"apps/list-repos-accessible-to-installation", "repos/list-for-user"}
"""Operations that are asked when others refuse; test_github.py has their tests."""

EACH_CALL = pytest.mark.parametrize(
    ("name", "arguments", "expected"), CALLS, ids=[f"{i}-{row[0]}" for i, row in enumerate(CALLS)]
)


@EACH_CALL
def test_a_tool_sends_only_what_the_official_document_knows_and_answers_briefly(
    github: CalledPlugin, server: SpecServer, name: str, arguments: dict[str, Any], expected: set[str]
) -> None:
    result = github.call(name, arguments)

    asked = [seen for seen in server.seen if not seen.path.startswith("/_blob/")]
    assert {seen.operation_id for seen in asked} == expected
    assert [seen.undeclared for seen in asked if seen.undeclared] == []
    assert len(json.dumps(result)) < 5_000, "more than a model needs of the official example"
    noise = [key for key in members(result) if key.endswith("_url") and key not in ("html_url", "target_url")]
    assert noise + [key for key in members(result) if key in ("node_id", "gravatar_id", "_links", "url")] == []
    assert result, "an empty result tells a model nothing"


def test_every_tool_is_called_and_every_operation_of_the_cut_document_is_used(github: CalledPlugin) -> None:
    assert {name for name, _, _ in CALLS} == set(github.service.tools)
    asked = {operation for _, _, expected in CALLS for operation in expected}
    assert asked | ELSEWHERE == set(operations("github"))


@EACH_CALL
def test_a_tool_that_is_called_read_only_only_reads(
    github: CalledPlugin, server: SpecServer, name: str, arguments: dict[str, Any], expected: set[str]
) -> None:
    github.call(name, arguments)

    only_reads = {seen.method for seen in server.seen} == {"GET"}
    assert github.service.tools[name].read_only is only_reads


def test_the_list_of_tools_stays_small_enough_for_a_model(github: CalledPlugin) -> None:
    tools = github.service.tools.values()

    assert len(json.dumps([tool.definition() for tool in tools], separators=(",", ":"))) < 48_000
    assert all(re.fullmatch(r"[a-z][a-z_]{2,39}", tool.name) for tool in tools)


def members(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from members(entry)
