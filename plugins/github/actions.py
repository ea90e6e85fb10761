"""GitHub Actions: runs, their jobs, the logs, and running again."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from mcpweb.plugin_api import Api, Result, ToolError, tool

from .arguments import Owner, Page, PerPage, Repo, RunId
from .pruning import Json, fields, get_page, prune
from .text import tail, with_text

_RUN = fields(
    "id name display_title:300 event status conclusion branch=head_branch sha=head_sha run_number run_attempt "
    "actor=actor.login workflow=path created_at updated_at html_url"
)
_JOB = fields("id name status conclusion started_at completed_at steps html_url")
_STEP = fields("number name status conclusion")
_TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z ", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_MAX_LOG_BYTES = 10_000_000
_REPO = "/repos/{owner}/{repo}"
_FINE = ("success", "skipped", "neutral", None)


@tool("List workflow runs", read_only=True)
def list_workflow_runs(
    api: Api,
    owner: Owner,
    repo: Repo,
    workflow: Annotated[str | None, "Only this workflow: its file name (ci.yml) or id.", {"maxLength": 255}] = None,
    branch: Annotated[str | None, "Only on this branch.", {"maxLength": 255}] = None,
    event: Annotated[str | None, "Only started by this, e.g. push or pull_request.", {"maxLength": 50}] = None,
    status: Annotated[
        Literal["queued", "in_progress", "completed", "success", "failure", "cancelled", "timed_out"] | None,
        "Only in this state or with this outcome.",
    ] = None,
    head_sha: Annotated[str | None, "Only for this commit.", {"maxLength": 64}] = None,
    page: Page = 1,
    per_page: PerPage = 20,
) -> object:
    """List runs of GitHub Actions, newest first: workflow, branch, commit, state and outcome."""
    query = {
        "branch": branch,
        "event": event,
        "status": status,
        "head_sha": head_sha,
        "exclude_pull_requests": True,
        "page": page,
        "per_page": per_page,
    }
    where: dict[str, Any] = {"owner": owner, "repo": repo}
    if workflow is None:
        return get_page(api, _REPO + "/actions/runs", _RUN, query=query, key="workflow_runs", **where)
    path = _REPO + "/actions/workflows/{workflow_id}/runs"
    return get_page(api, path, _RUN, query=query, key="workflow_runs", workflow_id=workflow, **where)


@tool("Get a workflow run", read_only=True)
def get_workflow_run(
    api: Api, owner: Owner, repo: Repo, run_id: RunId, page: Page = 1, per_page: PerPage = 50
) -> object:
    """Get one run and the jobs of its last attempt, with the steps that are not fine. Read why a job failed with
    get_job_logs and the job's id."""
    where: dict[str, Any] = {"owner": owner, "repo": repo, "run_id": run_id}
    path = _REPO + "/actions/runs/{run_id}"
    run = prune(api.get(path, query={"exclude_pull_requests": True}, **where), _RUN)
    jobs = get_page(api, path + "/jobs", _JOB, query={"page": page, "per_page": per_page}, key="jobs", **where)
    return run | {"jobs": [_with_bad_steps(job) for job in jobs.pop("items")]} | jobs


@tool("Get the log of a job", read_only=True)
def get_job_logs(
    api: Api,
    owner: Owner,
    repo: Repo,
    job_id: Annotated[int, "Id of the job, from get_workflow_run (not the run's id).", {"minimum": 1}],
    tail_lines: Annotated[int, "How many of the last lines.", {"minimum": 1, "maximum": 5000}] = 300,
    contains: Annotated[
        str | None, "Only lines with this text, upper and lower case alike.", {"minLength": 1, "maxLength": 200}
    ] = None,
) -> Result:
    """Read the end of a job's log, where errors usually are, without timestamps and colours; at most 50,000
    characters. Finished jobs only; logs are deleted after some time (90 days, unless set otherwise)."""
    reply = api.request(
        "GET", _REPO + "/actions/jobs/{job_id}/logs", redirects=True, owner=owner, repo=repo, job_id=job_id
    )
    if location := reply.headers.get("location"):
        reply = api.download(location, max_bytes=_MAX_LOG_BYTES)
    text = _COLOUR.sub("", _TIMESTAMP.sub("", reply.body.decode("utf-8-sig", errors="replace")))
    if contains is not None:
        text = "\n".join(line for line in text.splitlines() if contains.casefold() in line.casefold())
        if not text:
            raise ToolError("No line of this log has that text.")
    shown = tail(text, tail_lines)
    return with_text({"job_id": job_id, "lines": f"{shown.first}-{shown.last} of {shown.total}"}, shown.text)


@tool("Run a workflow run again")
def rerun_workflow_run(
    api: Api,
    owner: Owner,
    repo: Repo,
    run_id: RunId,
    failed_only: Annotated[bool, "Only the jobs that failed, and those that depend on them."] = False,
) -> object:
    """Run a finished workflow run again, as a new attempt with the same id. Uses up minutes of GitHub Actions."""
    action = "/rerun-failed-jobs" if failed_only else "/rerun"
    api.post(_REPO + "/actions/runs/{run_id}" + action, owner=owner, repo=repo, run_id=run_id)
    return {"run_id": run_id, "started": "failed jobs" if failed_only else "all jobs"}


def _with_bad_steps(job: dict[str, Json]) -> dict[str, Json]:
    """The job with the steps that ended badly; most steps of most jobs are fine and say nothing."""
    steps = job.pop("steps", [])
    bad = [prune(step, _STEP) for step in steps if step.get("conclusion") not in _FINE]
    return job | ({"bad_steps": bad} if bad else {})
