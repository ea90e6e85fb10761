"""An administrator shuts somebody out while their client, the official Python one, calls all the time."""

from __future__ import annotations

import asyncio
import itertools
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import requests
from mcp.client import Client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.live import Connected, Live
from tests.form_client import FormClient
from tests.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

_PEOPLE = itertools.count(1)
_BETWEEN_S = 0.35
"""Between two calls, so that an instance's calls for a minute last for the test."""


def told(error: BaseException) -> list[str]:
    """What an error says, and those in it."""
    if isinstance(error, BaseExceptionGroup):
        return [text for one in error.exceptions for text in told(one)]
    return [str(error)]


@dataclass(frozen=True)
class Call:
    """One call: when it began by the wall clock, whether it succeeded, and what the client was told."""

    began: float
    ok: bool
    said: str


class Caller:
    """A client that signs on and calls, over and over; `resting` keeps it from beginning a call."""

    def __init__(self, instance: Connected) -> None:
        self.calls: list[Call] = []
        self.resting = threading.Event()
        self._instance = instance
        self._over = threading.Event()
        self._numbers = itertools.count(1)
        # Playwright's own loop occupies this thread.
        self._thread = threading.Thread(target=lambda: asyncio.run(self._go_on()), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(30)

    async def _go_on(self) -> None:
        while not self._over.wait(_BETWEEN_S):
            if not self.resting.is_set():
                began = time.time()
                ok, said = await self._call()
                self.calls.append(Call(began, ok, said))

    async def _call(self) -> tuple[bool, str]:
        arguments = {"owner": "octocat", "repo": "hello-world", "page": next(self._numbers)}
        wire = create_mcp_http_client(headers={"Authorization": f"Bearer {self._instance.token}"})
        try:
            async with wire, Client(streamable_http_client(self._instance.endpoint, http_client=wire)) as client:
                result = await client.call_tool("list_issues", arguments)
                return not result.is_error, str(result.content[0].text)
        except Exception as error:  # the client has many; what counts is what it says
            return False, "; ".join(told(error))

    def post(self) -> requests.Response:
        """A call without the client, which shows nothing of what a 401 says."""
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "get_me", "arguments": {}}}
        headers = {"Authorization": f"Bearer {self._instance.token}"}
        return requests.post(self._instance.endpoint, json=body, headers=headers, timeout=30)

    def since(self, moment: float, number: int = 2) -> list[Call]:
        """So many calls that began after the moment, once there are as many."""

        def found() -> list[Call]:
            return [call for call in list(self.calls) if call.began > moment]

        return until(lambda: calls if len(calls := found()) >= number else [], "the client has called", 30)


@pytest.fixture
def caller(live: Live, owner: FormClient) -> Iterator[Caller]:
    """The owner's client, whose calls succeed."""
    caller = Caller(live.connect(owner, "Under way"))
    assert until(lambda: caller.calls, "the client has called")[0].ok, caller.calls
    yield caller
    caller.stop()


@pytest.fixture
def email() -> str:
    """The address of somebody new."""
    return f"caller-{next(_PEOPLE)}@example.com"


@pytest.fixture
def owner(live: Live, email: str) -> FormClient:
    """Whose client it is."""
    return live.signed_in(email)


@pytest.fixture(scope="module")
def admin(live: Live) -> FormClient:
    """Who shuts them out."""
    return live.administrator("shutting-out@example.com")


def press(page: Page, button: str) -> float:
    """Press a button that changes something; returns when its answer had come."""
    with page.expect_response(lambda response: response.request.method == "POST"):
        page.get_by_role("button", name=button).click()
    answered = time.time()
    expect(page.get_by_role("status").filter(has_text=re.compile("[a-z]")).first).to_be_visible()
    return answered


def go_to_the_user(page: Page, email: str) -> None:
    page.goto("/admin/users")
    page.get_by_role("link", name=email).click()


def test_who_is_disabled_gets_no_call_through_from_the_answer_on(
    live: Live, open_page: OpenPage, admin: FormClient, owner: FormClient, email: str, caller: Caller
) -> None:
    page, theirs = open_page(admin), open_page(owner)
    go_to_the_user(page, email)

    calls = caller.since(press(page, "Disable this user"), 4)

    assert not [call for call in calls if call.ok], calls
    answer = caller.post()
    assert answer.status_code == 401 and "needs its own token" in answer.json()["error_description"]
    theirs.goto("/instances")
    expect(theirs).to_have_url(re.compile("/sign-in"))

    calls = caller.since(press(page, "Enable"))
    assert all(call.ok for call in calls), calls
    theirs.goto("/instances")
    expect(theirs).to_have_url(re.compile("/sign-in"))
    assert live.signed_in(email).get("/instances").path == "/instances"


@pytest.mark.parametrize(
    ("path", "button", "what"),
    [
        ("/admin/services/github/stop", "Stop this service", "GitHub"),
        ("/admin/stops/everything", "Stop everything", "all calls"),
    ],
)
def test_what_is_stopped_gets_no_call_through_from_the_answer_on_and_goes_on_when_it_is_lifted(
    path: str, button: str, what: str, open_page: OpenPage, admin: FormClient, caller: Caller
) -> None:
    page = open_page(admin)
    page.goto(path)
    page.get_by_label("Reason").fill("Looking into it.")

    calls = caller.since(press(page, button), 4)

    assert not [call for call in calls if call.ok], calls
    assert all(f"stopped {what}, for this reason: “Looking into it.”" in call.said for call in calls), calls
    # The scene of the other tests may hold a stop of somebody.
    calls = caller.since(press(page, f"Lift the stop of {'GitHub' if what == 'GitHub' else 'Everything'}"))
    assert all(call.ok for call in calls), calls


def test_a_stop_lifts_by_itself_at_its_second_for_a_client_that_goes_on_calling(
    live: Live, open_page: OpenPage, admin: FormClient, email: str, caller: Caller
) -> None:
    page = open_page(admin)
    caller.resting.set()
    go_to_the_user(page, email)
    page.get_by_role("link", name="Stop for a while").click()
    page.get_by_label("Reason").fill("For two seconds.")
    answered = press(page, "Stop this user")
    ends_at = datetime.now(UTC) + timedelta(seconds=2)
    live.write("UPDATE stop SET ends_at = ? WHERE reason = 'For two seconds.'", f"{ends_at:%Y-%m-%d %H:%M:%S.%f}")
    caller.resting.clear()

    until(lambda: caller.calls[-1].ok and caller.calls[-1].began > answered, "the stop has ended by itself", 30)

    calls = caller.since(answered)
    assert not calls[0].ok and "For two seconds." in calls[0].said, calls
    assert not [call for call in calls if not call.ok and call.began > ends_at.timestamp()], calls


def test_the_command_line_stops_the_next_call_while_the_client_goes_on_calling(
    live: Live, email: str, caller: Caller
) -> None:
    live.command("stop", "user", email, "--reason", "From the shell.", "--for", "15m")
    calls = caller.since(time.time(), 4)
    assert all(not call.ok and "From the shell." in call.said for call in calls), calls

    live.command("lift", "user", email)
    calls = caller.since(time.time())
    assert all(call.ok for call in calls), calls
