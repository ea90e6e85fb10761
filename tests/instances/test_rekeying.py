"""Replacing an instance's key: nothing changes before the new one is proven, and then the next call uses it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from mcpweb.catalog.checking import Checked
from mcpweb.database import db
from mcpweb.instances import credentials, rekeying
from mcpweb.instances.house import house
from mcpweb.instances.models import CredentialState, Instance
from mcpweb.logs.models import AuditEvent
from tests.form_client import FormClient, Page
from tests.instances.endpoint import works
from tests.instances.living import actions, audited, stored
from tests.spec_server import TOKENS, Answer, SpecServer

ACTOR = "alice@example.com"
GITHUB = TOKENS["github"]


def replace(browser: FormClient, instance_id: object, token: str) -> Page:
    page = browser.get(f"/instances/{instance_id}/credential")
    return browser.submit(page.form("/credential"), credential_token=token)


def check(browser: FormClient, instance_id: object) -> Page:
    page = browser.get(f"/instances/{instance_id}")
    return browser.submit(page.form("/credential/check"))


def key_in_use(app: Flask, github: SpecServer, instance_id: object, token: str) -> str:
    """The key that a call made now shows to GitHub."""
    before = len(github.seen)
    assert works(app, instance_id, token)
    assert len(github.seen) > before
    return str(github.seen[-1].headers["authorization"]).removeprefix("Bearer ")


@pytest.fixture
def account(github: SpecServer) -> Callable[[str], None]:
    """Lets GitHub say that keys belong to this account."""

    def set_account(login: str) -> None:
        github.force["users/get-authenticated"] = Answer(
            200, {"login": login, "id": 1}, {"X-OAuth-Scopes": "repo, read:org, workflow, gist, notifications, project"}
        )

    yield set_account
    github.force.clear()


def test_a_good_key_replaces_the_old_one_for_the_next_call(app, alice, make_instance, github):
    instance, token = make_instance()
    assert key_in_use(app, github, instance.id, token) == GITHUB["good"]

    page = replace(alice, instance.id, GITHUB["fine_grained"])

    assert "The new key works and is in use." in page.text
    assert key_in_use(app, github, instance.id, token) == GITHUB["fine_grained"]
    assert actions(instance.id) == ["credential.replace"]


@pytest.mark.parametrize(
    "behaviour", ["revoked", "expired", "error_500", "reset", "html", "broken_json", "redirect", "rate_limited"]
)
def test_a_key_that_can_not_be_proven_leaves_the_old_one_working(behaviour, app, alice, make_instance, github):
    instance, token = make_instance()
    before = stored(instance.id).credential_sealed

    page = replace(alice, instance.id, GITHUB[behaviour])

    assert page.status == 422
    assert "Nothing has changed" in page.text
    assert stored(instance.id).credential_sealed == before
    assert stored(instance.id).credential_state == CredentialState.OK
    assert key_in_use(app, github, instance.id, token) == GITHUB["good"]
    assert actions(instance.id) == []


@pytest.mark.parametrize("text", ["", "nonsense", "ghp_short", "ghp_" + "ä" * 36, "x" * 5000])
def test_a_key_of_the_wrong_format_is_not_even_tried(text, alice, make_instance, github):
    instance, _ = make_instance()
    before = len(github.seen)

    page = replace(alice, instance.id, text)

    assert page.status == 422
    assert len(github.seen) == before
    assert len(text) < 6 or text not in page.text


def test_a_refused_key_is_not_shown_again(alice, make_instance):
    instance, _ = make_instance()

    page = replace(alice, instance.id, GITHUB["revoked"])

    assert GITHUB["revoked"] not in page.text
    assert GITHUB["good"] not in page.text


def test_a_key_of_another_account_is_taken_and_pointed_out(alice, make_instance, account):
    instance, _ = make_instance()
    account("hubot")

    page = replace(alice, instance.id, GITHUB["oauth"])

    assert "It belongs to another account now: hubot." in page.text
    assert stored(instance.id).account_label == "hubot"
    details = audited(instance.id)[-1].details
    assert (details["account_before"], details["account_after"]) == ("octocat", "hubot")


def test_a_key_of_the_same_account_is_not_called_another(alice, make_instance):
    instance, _ = make_instance()

    page = replace(alice, instance.id, GITHUB["oauth"])

    assert "another account" not in page.text


def test_the_audit_names_the_change_and_no_key(alice, make_instance):
    instance, _ = make_instance()
    replace(alice, instance.id, GITHUB["oauth"])
    replace(alice, instance.id, GITHUB["revoked"])
    check(alice, instance.id)

    db.session.rollback()
    told = str([(event.action, event.subject, event.details) for event in db.session.query(AuditEvent)])
    assert "credential.replace" in told and "credential.check" in told
    for key in (GITHUB["good"], GITHUB["oauth"], GITHUB["revoked"]):
        assert key not in told and key[10:30] not in told


def test_checking_again_finds_that_a_key_has_died_and_that_it_is_alive_again(alice, make_instance):
    instance, _ = make_instance(token=GITHUB["revoked"])

    page = check(alice, instance.id)
    assert page.status == 200 and "The key works" not in page.text
    assert stored(instance.id).credential_state == CredentialState.REJECTED
    assert audited(instance.id)[-1].details == {"outcome": "rejected"}

    replace(alice, instance.id, GITHUB["good"])
    page = check(alice, instance.id)
    assert "The key works. It belongs to octocat." in page.text
    assert stored(instance.id).credential_state == CredentialState.OK
    assert audited(instance.id)[-1].details == {"outcome": "ok"}


@pytest.mark.parametrize("behaviour", ["error_500", "reset", "rate_limited"])
def test_an_outage_of_the_service_says_nothing_about_the_key(behaviour, alice, make_instance):
    instance, _ = make_instance(token=GITHUB[behaviour])
    checked_at = stored(instance.id).credential_checked_at

    page = check(alice, instance.id)

    assert page.status == 200 and "The key works" not in page.text
    assert stored(instance.id).credential_state == CredentialState.OK
    assert stored(instance.id).credential_checked_at == checked_at
    assert actions(instance.id) == []


@pytest.mark.parametrize("old", ["revoked", "good"])
def test_a_check_of_the_old_key_says_nothing_about_one_that_replaced_it_meanwhile(old, app, make_instance, monkeypatch):
    instance, _ = make_instance(token=GITHUB[old])
    service = house().registry.services["github"]
    check_live = rekeying.checking.check

    def replaced_meanwhile(*arguments: object) -> object:
        with app.app_context():
            row = db.session.get(Instance, instance.id)
            rekeying.replace(row, {"token": GITHUB["oauth"]}, Checked("hubot", None, (), None), ACTOR)
        return check_live(*arguments)

    row = stored(instance.id)
    monkeypatch.setattr(rekeying.checking, "check", replaced_meanwhile)
    try:
        rekeying.check_again(row, service, ACTOR)
    except rekeying.CheckRefused:
        assert old == "revoked"

    found = stored(instance.id)
    assert (found.credential_state, found.account_label) == (CredentialState.OK, "hubot")
    assert credentials.unseal(found, house().keyring) == {"token": GITHUB["oauth"]}


def test_the_form_never_holds_the_present_key(alice, make_instance):
    instance, _ = make_instance()

    page = alice.get(f"/instances/{instance.id}/credential")

    assert GITHUB["good"] not in page.text
    assert dict(page.form("/credential").fields)["credential-token"] == ""


def test_checks_are_limited_so_that_nobody_tries_out_stolen_keys_here(alice, make_instance):
    instance, _ = make_instance()

    statuses = [check(alice, instance.id).status for _ in range(11)]

    assert statuses == [200] * 10 + [429]
