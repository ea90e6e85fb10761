"""The whole life of an instance, once for each database, through forms and the official MCP client."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, create_engine, text

from mcpweb import embedded_redis, queue
from mcpweb.jobs import expiry as _expiry  # noqa: F401 - lists its job
from tests.form_client import FormClient, OverHttp, Page
from tests.installed import ROOT, Installation, call, installed, new_database
from tests.spec_server import TOKENS, SpecServer
from tests.waiting import until

LABEL = "Work"
FIRST_KEY, SECOND_KEY, DEAD_KEY = (TOKENS["github"][name] for name in ("good", "fine_grained", "revoked"))


@pytest.fixture(params=["sqlite", "postgresql"])
def installation(request: pytest.FixtureRequest, tmp_path: Path, github: SpecServer) -> Iterator[Installation]:
    """`mcpweb up` in an empty home, with GitHub's double in GitHub's place."""
    # The same call, over and over, is what a client makes that waits here for the end to come.
    environ = {"MCPWEB_GITHUB_BASE_URL": github.url, "MCPWEB_IDENTICAL_CALLS": "1000"}
    if request.param == "postgresql":
        environ["MCPWEB_DATABASE_URL"] = new_database(request.getfixturevalue("postgres_url"), "life")
    with installed(tmp_path, **environ) as running:
        yield running


@dataclass
class Owner:
    """Alice, her instance, and the client that has its token."""

    browser: FormClient
    installation: Installation
    github: SpecServer
    endpoint: str = ""
    token: str = ""
    answers: list[bool] = field(default_factory=list)
    """Of each call, whether it succeeded."""

    @property
    def id(self) -> str:
        return self.endpoint.rpartition("/")[2]

    def page(self, section: str = "") -> Page:
        """The instance's page, or one of its others."""
        return self.browser.get(f"/instances/{self.id}{section}")

    def act(self, action: str, section: str = "", **values: str) -> Page:
        """Send one of the instance's forms."""
        return self.browser.submit(self.page(section).form(action), **values)

    def call(self) -> str:
        """An empty text when a call succeeds, else what the model is told."""
        try:
            _, result = asyncio.run(call(self.endpoint, self.token, "legacy"))
        except BaseException as error:  # the client's groups of errors are none of Exception's
            return _said(error)
        self.answers.append(not result.is_error)
        return result.content[0].text if result.is_error else ""

    @property
    def key_in_use(self) -> str:
        return self.github.seen[-1].headers["authorization"].removeprefix("Bearer ")


def _said(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return " ".join(_said(one) for one in error.exceptions)
    return str(error) or type(error).__name__


def signed_in(installation: Installation, github: SpecServer) -> Owner:
    """Alice, through the mailbox."""
    browser = FormClient(OverHttp(), installation.url)
    browser.submit(browser.get("/sign-in").form("/sign-in"), email="alice@example.com")
    page = browser.get(str(until(installation.mailed_link, "the mail is in the mailbox")))
    browser.submit(page.form(page.path))
    return Owner(browser, installation, github)


def connect(owner: Owner) -> None:
    """Her instance."""
    form = owner.browser.get("/services/github/connect").form("/connect")
    page = owner.browser.submit(form, credential_token=FIRST_KEY, label=LABEL)
    token = re.search(r"mcpw_[0-9A-Za-z]{38}", page.text)
    endpoint = re.search(rf"{owner.installation.url}/mcp/[0-9a-f-]{{36}}", page.text)
    assert token and endpoint, page.text
    owner.token, owner.endpoint = token[0], endpoint[0]


def rows(installation: Installation, statement: str, **values: Any) -> list[Any]:
    """What the database says."""
    engine: Engine = create_engine(installation.database_url or f"sqlite:///{installation.home}/mcpweb.sqlite3")
    with engine.begin() as connection:
        found = connection.execute(text(statement), values)
        answer = list(found) if found.returns_rows else []
    engine.dispose()
    return answer


def counters(installation: Installation) -> tuple[int, int]:
    """GitHub's instances: all, and the active ones."""
    return tuple(rows(installation, "SELECT total_instances, active_instances FROM service WHERE name = 'github'")[0])


def let_it_end(owner: Owner) -> None:
    """Its end comes in three seconds; the change beside it makes every process learn of that."""
    end = datetime.now(UTC) + timedelta(seconds=3)
    id = owner.id if owner.installation.database_url else UUID(owner.id).hex
    at = end if owner.installation.database_url else end.strftime("%Y-%m-%d %H:%M:%S.%f")
    rows(owner.installation, "UPDATE instance SET expires_at = :at WHERE id = :id", at=at, id=id)
    owner.act("/rename", label=LABEL)
    until(lambda: "ended on" in owner.call(), "the client is refused")


def mark_expired(installation: Installation) -> None:
    """What the ticker asks for every 30 seconds."""
    redis = queue.connect(embedded_redis.url(embedded_redis.socket_path(installation.home / "run")))
    queue.open_queue(redis).enqueue("expire_instances")
    until(lambda: counters(installation) == (1, 0), "the end is marked")


def test_a_life_from_connecting_to_deleting(installation: Installation, github: SpecServer) -> None:
    owner = signed_in(installation, github)
    connect(owner)
    assert counters(installation) == (1, 1)
    assert owner.call() == ""

    owner.act("/deactivate")
    assert "is switched off" in owner.call() and owner.endpoint.replace("/mcp/", "/instances/") in owner.call()
    assert counters(installation) == (1, 0)
    owner.act("/activate")
    assert owner.call() == ""

    page = owner.act("/credential", "/credential", credential_token=DEAD_KEY)
    assert page.status == 422 and "refused this key" in page.text
    assert owner.call() == "" and owner.key_in_use == FIRST_KEY, "the old key goes on working"
    owner.act("/credential", "/credential", credential_token=SECOND_KEY)
    assert owner.call() == "" and owner.key_in_use == SECOND_KEY

    let_it_end(owner)
    assert "Its owner can renew it" in owner.call() and f"/instances/{owner.id}" in owner.call()
    mark_expired(installation)
    assert "This instance has ended" in owner.page().text
    owner.act("/renew", lifetime="30")
    assert counters(installation) == (1, 1)
    assert owner.call() == ""

    see_the_calls(owner)
    page = owner.act("/delete", "/delete", label=LABEL)
    assert "was deleted on" in page.text
    assert owner.call(), "refused"
    assert owner.page().status == 410
    assert counters(installation) == (0, 0)
    find_every_step(owner)


def see_the_calls(owner: Owner) -> None:
    """Every call is in the owner's log and numbers."""
    made = [line for line in owner.installation.lines("logs/users/*/*/access-*.jsonl") if line.get("tool") == "get_me"]
    assert [line["outcome"] == "ok" for line in made] == owner.answers
    failed = [line for line in owner.installation.lines("logs/users/*/*/error-*.jsonl") if line.get("tool")]
    assert [line["outcome"] for line in failed] == ["refused"] * owner.answers.count(False)
    until(lambda: f"<dd>{len(made):,}</dd>" in owner.page("/usage?range=day").text, "all calls are counted")
    for outcome, worked in (("ok", True), ("refused", False)):
        shown = owner.page(f"/logs?tool=get_me&outcome={outcome}").text.count("<summary><code>get_me")
        assert shown == min(50, owner.answers.count(worked))
    exported = owner.browser.open("GET", f"/instances/{owner.id}/logs/export/jsonl?tool=get_me")
    assert len(exported.text.splitlines()) == len(made)
    assert "Last used" in owner.page().text


def find_every_step(owner: Owner) -> None:
    """The trail has each change once, and is whole."""
    trail = [line["message"] for line in owner.installation.lines("logs/system/audit-*.jsonl")]
    steps = ["create", "deactivate", "activate", "credential.replace", "rename", "expire", "renew", "delete"]
    wanted = [step if "." in step else f"instance.{step}" for step in steps]
    assert [message for message in trail if message in wanted] == wanted
    assert [action for (action,) in rows(owner.installation, "SELECT action FROM audit_event ORDER BY seq")] == trail
    environ = {"MCPWEB_HOME": str(owner.installation.home), "PATH": ""}
    if owner.installation.database_url:
        environ["MCPWEB_DATABASE_URL"] = owner.installation.database_url
    verdict = subprocess.run(
        [sys.executable, "-m", "mcpweb", "audit", "verify"], cwd=ROOT, env=environ, capture_output=True, text=True
    )
    assert verdict.returncode == 0, verdict.stdout
    security = [line["message"] for line in owner.installation.lines("logs/system/security-*.jsonl")]
    assert "credential checked" in security and "call refused" in security
