"""GitHub's tools, gathered from the modules beside: what is imported here is what clients see."""

from .actions import get_job_logs, get_workflow_run, list_workflow_runs, rerun_workflow_run
from .commits import compare_refs, create_branch, get_checks, get_commit, list_branches, list_commits
from .contents import create_or_update_file, get_file, list_directory, search_code
from .issues import (
    add_issue_comment,
    change_issue_labels,
    create_issue,
    get_issue,
    list_issue_comments,
    list_issues,
    list_labels,
    search_issues,
    update_issue,
)
from .notifications import list_notifications, mark_notifications_read
from .people import get_me, get_user, list_organizations, list_teams
from .pulls import (
    create_pull_request,
    get_pull_request,
    get_pull_request_diff,
    list_pull_request_files,
    list_pull_requests,
    merge_pull_request,
)
from .releases import create_release, get_release, list_releases
from .repositories import create_repository, get_repository, list_repositories, search_repositories
from .reviews import create_review, list_pull_request_reviews, list_review_comments

__all__ = [
    "add_issue_comment",
    "change_issue_labels",
    "compare_refs",
    "create_branch",
    "create_issue",
    "create_or_update_file",
    "create_pull_request",
    "create_release",
    "create_repository",
    "create_review",
    "get_checks",
    "get_commit",
    "get_file",
    "get_issue",
    "get_job_logs",
    "get_me",
    "get_pull_request",
    "get_pull_request_diff",
    "get_release",
    "get_repository",
    "get_user",
    "get_workflow_run",
    "list_branches",
    "list_commits",
    "list_directory",
    "list_issue_comments",
    "list_issues",
    "list_labels",
    "list_notifications",
    "list_organizations",
    "list_pull_request_files",
    "list_pull_request_reviews",
    "list_pull_requests",
    "list_releases",
    "list_repositories",
    "list_review_comments",
    "list_teams",
    "list_workflow_runs",
    "mark_notifications_read",
    "merge_pull_request",
    "rerun_workflow_run",
    "search_code",
    "search_issues",
    "search_repositories",
    "update_issue",
]
