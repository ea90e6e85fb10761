"""Parameters that many tools share, so that each is described in the same words."""

from typing import Annotated

_NAME = {"minLength": 1, "maxLength": 100}

Owner = Annotated[str, "User or organization that owns the repository.", _NAME]
Repo = Annotated[str, "Repository name, without the owner.", _NAME]
Ref = Annotated[str | None, "Branch, tag or commit SHA; the default branch if left out.", {"maxLength": 255}]
IssueNumber = Annotated[int, "Issue or pull request number, as in #12.", {"minimum": 1}]
PullNumber = Annotated[int, "Pull request number, as in #12.", {"minimum": 1}]
RunId = Annotated[int, "Id of the workflow run, see list_workflow_runs.", {"minimum": 1}]
Page = Annotated[int, "Page; take `next_page` of the last result.", {"minimum": 1}]
PerPage = Annotated[int, "Results per page.", {"minimum": 1, "maximum": 100}]
Since = Annotated[str | None, "Only what changed since then, ISO 8601: 2026-01-31T00:00:00Z.", {"maxLength": 40}]
