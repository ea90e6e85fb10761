"""A pytest plugin that lists, at the very end, what did not run and why. Where CI is true, that is a failure."""

import os
from collections import defaultdict

import pytest


def _reasons(reporter: pytest.TerminalReporter) -> dict[str, list[str]]:
    """Reason to the tests, or modules of tests, that were skipped for it."""
    reasons = defaultdict(list)
    for report in reporter.stats.get("skipped", []):
        detail = report.longrepr
        reason = detail[2] if isinstance(detail, tuple) else str(detail)
        reasons[reason.removeprefix("Skipped: ")].append(report.nodeid)
    return reasons


def _reporter(config: pytest.Config) -> pytest.TerminalReporter | None:
    # A worker process of xdist has none that counts: the tests are reported by the process that started it.
    return None if hasattr(config, "workerinput") else config.pluginmanager.getplugin("terminalreporter")


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was skipped."""
    reasons = _reasons(terminalreporter)
    if not reasons:
        return
    terminalreporter.section("not run")
    for reason, skipped in sorted(reasons.items()):
        more = f" and {len(skipped) - 1} more" if len(skipped) > 1 else ""
        terminalreporter.line(f"{reason}: {skipped[0]}{more}")
    if os.environ.get("CI") == "true":
        terminalreporter.line("Where CI is true, everything has to run: this counts as a failure.")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run when it skipped something where everything has to run."""
    reporter = _reporter(session.config)
    if reporter and os.environ.get("CI") == "true" and _reasons(reporter) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
