"""What the security log tells an investigator about signing in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcpweb.accounts import links
from mcpweb.accounts.links import Links
from mcpweb.database import transaction
from mcpweb.web.current import settings as current_settings
from tests.conftest import user
from tests.instances.connecting import connect
from tests.spec_server import TOKENS


@pytest.fixture
def noted(app: object, settings: Any):
    """Gives the lines of the security log since the last time: (message, reason or email)."""
    folder: Path = settings.home / "logs" / "system"
    read = {path: path.stat().st_size for path in folder.glob("security-*")}

    def lines() -> list[dict[str, Any]]:
        found = []
        for path in sorted(folder.glob("security-*")):
            found += path.read_bytes()[read.get(path, 0) :].splitlines()
            read[path] = path.stat().st_size
        return [json.loads(line) for line in found]

    return lines


def test_asking_sending_and_using_are_noted_with_who_and_from_where(noted, new_browser, mailed):
    browser = new_browser("Agent of Alice/1.0")
    link = mailed(browser, "alice@example.com").link
    browser.submit(browser.get(link).form(link))
    browser.submit(browser.get("/account").form("/sign-out"))

    lines = noted()
    assert [line["message"] for line in lines] == [
        "sign-in link asked",
        "sign-in mail sent",
        "signed in",
        "sessions ended",
    ]
    assert {line.get("email") for line in lines[:3]} == {"alice@example.com"}
    for line in (lines[0], lines[2]):
        assert (line["ip"], line["agent"]) == ("127.0.0.1", "Agent of Alice/1.0")
        assert len(line["request_id"]) == 24
    assert lines[3]["user"] == user("alice@example.com").id


def test_every_refusal_is_noted_with_its_reason(noted, new_browser, mailed):
    browser = new_browser("Agent/2.0")
    old, link = mailed(browser).link, mailed(browser).link
    noted()

    browser.get(old)
    browser.get("/sign-in/nonsense")
    page = browser.get("/sign-in/sent")
    browser.submit(page.form("/sign-in/code"), code="WRNGCODE")
    browser.submit(browser.get(link).form(link))
    new_browser().get(link)
    direct = f"/sign-in/{links.direct_link('alice@example.com', 'user', Links.of(current_settings()))}"
    form = browser.get(direct).form(direct)
    with transaction():
        user("alice@example.com").is_enabled = False
    browser.submit(form)

    refused = [line for line in noted() if line["message"] == "sign-in refused"]
    assert [line["reason"] for line in refused] == ["superseded", "unknown", "wrong-code", "used", "disabled"]
    assert {line["level"] for line in refused} == {"warning"}
    assert all(line["ip"] == "127.0.0.1" and line["agent"] for line in refused)


def test_limits_forged_forms_and_foreign_sites_are_noted(noted, alice, browser):
    for _ in range(6):
        page = browser.get("/sign-in")
        browser.submit(page.form("/sign-in"), email="victim@example.com")
    form = dict(alice.get("/account").form("/sign-out").fields)
    alice.open("POST", "/sign-out", {"csrf_token": "wrong"})
    alice.open("POST", "/sign-out", form, Origin="https://evil.example")

    lines = noted()
    assert [line["reason"] for line in lines if line["message"] == "sign-in link refused"] == ["limit"]
    assert [line["path"] for line in lines if line["message"] == "form token refused"] == ["/sign-out"]
    assert [line["path"] for line in lines if line["message"] == "request from another site refused"] == ["/sign-out"]


def test_checks_of_keys_are_noted_without_the_key(noted, alice):
    connect(alice, TOKENS["github"]["revoked"])
    connect(alice, TOKENS["github"]["good"])

    lines = [line for line in noted() if line["message"] == "credential checked"]
    assert [(line["service"], line["outcome"]) for line in lines] == [("github", "rejected"), ("github", "ok")]
    assert {line["user"] for line in lines} == {user("alice@example.com").id}
