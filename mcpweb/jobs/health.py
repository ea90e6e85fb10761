"""What jobs say of the installation's health; and the job that keeps since when each part is as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from mcpweb import clock, policies
from mcpweb.jobs import rescheduling, runs
from mcpweb.jobs.models import JobRun
from mcpweb.monitoring import check, health
from mcpweb.monitoring.check import MB, Check
from mcpweb.monitoring.host_health import Asked
from mcpweb.queue import job
from mcpweb.settings import Settings
from mcpweb.web.current import settings as current_settings
from mcpweb.web.filters import ago

_SILENCE = timedelta(minutes=5)
"""Some job runs every 30 seconds."""
_RECENT = timedelta(days=1)
_RUNS = 50
_MAIL_LOG = "/admin/logs?q=mail&category=app&level=warning&level=error&range=24h"


def checks(asked: Asked, now: datetime, title: Callable[[str], str] = str) -> list[Check]:
    """Every part, bad ones first; `title` says what a job is called."""
    last = runs.last_runs()
    mine = [_jobs(last, now, title), *_log_budgets(asked, now), _mail(asked.settings, now)]
    return check.settle([*health.checks(asked), *mine])


@job("watch_health")
def watch_health() -> dict[str, int]:
    """Every minute, so that it is known since when a part is ill also when nobody looks; may run late or twice."""
    found = checks(Asked(current_settings()), clock.utcnow())
    return {"items": len(found), **{state: sum(one.state == state for one in found) for state in ("warn", "bad")}}


def _jobs(last: Sequence[JobRun], now: datetime, title: Callable[[str], str]) -> Check:
    wrong = [run for run in last if run.state in ("failed", "lost")]
    link = "/admin/maintenance"
    if wrong:
        value = f"Failed the last time: {', '.join(title(run.job) for run in wrong)}"
        since = min(run.started_at for run in wrong)
        return Check("Jobs", "bad", value, "Read why, and run them again.", link, since)
    newest = max((run.started_at for run in last if run.trigger == "schedule"), default=None)
    if newest is None or now - newest > _SILENCE:
        value = f"The last one started {ago(newest)}" if newest else "None has run by the clock yet"
        return Check("Jobs", "warn", value, "See that `mcpweb ticker` and `mcpweb worker` run.", link, newest)
    return Check("Jobs", "good", f"All went well, the last one started {ago(newest)}{_next(now, title)}", link=link)


def _next(now: datetime, title: Callable[[str], str]) -> str:
    """`; next Expiry in 20 seconds`, or nothing when all are switched off."""
    due = [
        (moments[0], name)
        for name, row in rescheduling.rows().items()
        if row.is_enabled and (moments := rescheduling.next_runs(rescheduling.when_of(row), row.last_slot, now, 1))
    ]
    if not due:
        return ""
    at, name = min(due)
    return f"; next is {title(name)} within {max(round((at - now).total_seconds()), 1):,} seconds"


def _log_budgets(asked: Asked, now: datetime) -> list[Check]:
    """Of each host as its last maintenance found it: measuring anew would look at every file of every instance."""
    link, most = "/admin/maintenance/logs", policies.value("log_disk_mb", asked.settings)
    measured = {
        run.host: run
        for run in reversed(runs.runs_of("maintain_logs", _RUNS))
        if "used_bytes" in run.report and now - run.started_at < 2 * _RECENT
    }
    if not measured:
        return [Check("Log budget", "good", f"Not measured yet; at most {most:,} MB", link=link)]
    return [_log_budget(run, most, link) for run in measured.values()]


def _log_budget(run: JobRun, most: int, link: str) -> Check:
    share = run.report["used_bytes"] / (most * MB)
    value = f"{share:.0%} of {most:,} MB, measured {ago(run.started_at)}"
    if share < 0.9:
        return Check("Log budget", "good", value, link=link, host=run.host)
    advice = "The oldest days go first. Raise the budget to keep them."
    return Check("Log budget", "warn", value, advice, link, host=run.host)


def _mail(settings: Settings, now: datetime) -> Check:
    if not settings.mail_server:
        if settings.has_local_mailbox:
            return Check(
                "Mail", "warn", "Local mailbox: nothing leaves this machine", "Set MCPWEB_MAIL_SERVER to send."
            )
        return Check("Mail", "bad", "No server", "Set MCPWEB_MAIL_SERVER: nobody can sign in without mail.")
    server = f"{settings.mail_server}, port {settings.mail_port}"
    failed, sent = _mails(now)
    if failed is None:
        return Check("Mail", "good", f"{server}; no failure within a day")
    if sent is not None and sent > failed:
        return Check("Mail", "good", f"{server}; the last failure was {ago(failed)}", link=_MAIL_LOG)
    advice = "Read why in the log, and look at MCPWEB_MAIL_SERVER and what belongs to it."
    return Check("Mail", "bad", f"{server}: the last mail could not be sent, {ago(failed)}", advice, _MAIL_LOG, failed)


def _mails(now: datetime) -> tuple[datetime | None, datetime | None]:
    """When a mail last failed within a day, and when one was last sent."""
    failed, sent = [], []
    for run in (*runs.runs_of("sign_in_mail"), *runs.runs_of("send_notices", runs.KEPT)):
        if run.report.get("error") == "MailRefused" or run.report.get("refused"):
            failed.append(run.started_at)
        elif run.state == "done" and (run.job == "sign_in_mail" or run.items):
            sent.append(run.started_at)
    recent = [at for at in failed if now - at < _RECENT]
    return max(recent, default=None), max(sent, default=None)
