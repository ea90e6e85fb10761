"""The tokens of an instance: several, each shown once, revoked, or replaced with an overlap."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from mcpweb import clock
from mcpweb.crypto import hash_secret
from mcpweb.database import db
from mcpweb.errors import AppError, Conflict, NotFound
from mcpweb.instances import tokens
from mcpweb.instances.models import Instance, InstanceToken
from mcpweb.logs.models import AuditEvent
from mcpweb.web.current import settings
from tests.form_client import FormClient, Page
from tests.instances.connecting import shown_token
from tests.instances.endpoint import works
from tests.instances.living import actions, audited, stored
from tests.parallel import at_once

ACTOR = "alice@example.com"


def add(browser: FormClient, instance_id: object, label: str) -> Page:
    page = browser.get(f"/instances/{instance_id}")
    return browser.submit(page.form("/tokens"), label=label)


def act(browser: FormClient, instance_id: object, token_id: int, action: str, **values: str) -> Page:
    page = browser.get(f"/instances/{instance_id}")
    return browser.submit(page.form(f"/tokens/{token_id}/{action}"), **values)


def ids(instance_id: object) -> list[int]:
    db.session.rollback()
    return [row.id for row in db.session.query(InstanceToken).filter_by(instance_id=instance_id).order_by("id")]


def test_a_further_token_works_beside_the_first_and_is_shown_once(app, alice, make_instance):
    instance, first = make_instance()

    page = add(alice, instance.id, "  CI  ")
    second = shown_token(page)

    assert second and second != first
    assert works(app, instance.id, first) and works(app, instance.id, second)
    page = alice.get(f"/instances/{instance.id}")
    assert not shown_token(page) and second not in page.text
    assert "<strong>CI</strong>" in page.text and second[-4:] in page.text


def test_neither_the_database_nor_the_audit_holds_a_token(alice, make_instance):
    instance, _ = make_instance()
    token = shown_token(add(alice, instance.id, "CI"))
    rotated = shown_token(act(alice, instance.id, ids(instance.id)[1], "rotate", overlap="1 hour"))

    db.session.rollback()
    told = str([(event.action, event.details) for event in db.session.query(AuditEvent)])
    kept = {row.token_hash for row in db.session.query(InstanceToken)}
    for secret in (token, rotated):
        assert secret not in told
        assert hash_secret(secret) in kept and secret.encode() not in kept
        assert secret[-4:] in told or secret == rotated


@pytest.mark.parametrize("label", ["", "  ", "x" * 81, "a\u202eb"])
def test_a_token_without_a_name_that_can_be_shown_is_not_made(label, alice, make_instance):
    instance, _ = make_instance()

    page = add(alice, instance.id, label)

    assert not shown_token(page)
    assert len(ids(instance.id)) == 1


def test_a_revoked_token_is_refused_from_the_next_call_on_and_the_others_work(app, alice, make_instance):
    instance, first = make_instance()
    second = shown_token(add(alice, instance.id, "CI"))
    assert works(app, instance.id, first) and works(app, instance.id, second)

    page = act(alice, instance.id, ids(instance.id)[0], "revoke")

    assert "is revoked" in page.text
    assert not works(app, instance.id, first)
    assert works(app, instance.id, second)
    assert first[-4:] not in page.text, "what has ended is not listed"
    assert actions(instance.id) == ["token.create", "token.revoke"]


def test_revoking_twice_says_that_there_is_no_such_token(alice, make_instance):
    instance, _ = make_instance()
    form = alice.get(f"/instances/{instance.id}").form("/revoke")

    assert [alice.open("POST", form.action, dict(form.fields)).status for _ in range(2)] == [303, 404]
    assert actions(instance.id) == ["token.revoke"]


def test_a_token_replaced_at_once_is_refused_and_the_new_one_works(app, alice, make_instance):
    instance, old = make_instance()
    assert works(app, instance.id, old)

    new = shown_token(act(alice, instance.id, ids(instance.id)[0], "rotate", overlap="now"))

    assert not works(app, instance.id, old)
    assert works(app, instance.id, new)
    last = audited(instance.id)[-1]
    assert (last.action, last.details["overlap_s"], last.details["name"]) == ("token.rotate", 0, "First token")


@pytest.mark.parametrize(("overlap", "seconds"), [("1 hour", 3600), ("24 hours", 86_400)])
def test_a_token_replaced_with_an_overlap_works_until_it_is_over(
    overlap, seconds, app, alice, make_instance, monkeypatch
):
    instance, old = make_instance()

    page = act(alice, instance.id, ids(instance.id)[0], "rotate", overlap=overlap)
    new = shown_token(page)
    assert works(app, instance.id, old) and works(app, instance.id, new)
    assert old[-4:] in page.text and new[-4:] in page.text, "both are listed meanwhile"

    moment = clock.utcnow()
    monkeypatch.setattr(clock, "utcnow", lambda: moment + timedelta(seconds=seconds - 10))
    assert works(app, instance.id, old)
    monkeypatch.setattr(clock, "utcnow", lambda: moment + timedelta(seconds=seconds + 1))
    assert not works(app, instance.id, old)
    assert works(app, instance.id, new)


def test_a_token_in_its_overlap_can_be_revoked_at_once(app, alice, make_instance):
    instance, old = make_instance()
    old_id = ids(instance.id)[0]
    new = shown_token(act(alice, instance.id, old_id, "rotate", overlap="24 hours"))

    act(alice, instance.id, old_id, "revoke")

    assert not works(app, instance.id, old)
    assert works(app, instance.id, new)


def test_an_overlap_is_never_made_longer_by_replacing_once_more(make_instance):
    instance, _ = make_instance()
    old_id = ids(instance.id)[0]
    tokens.rotate(instance, old_id, timedelta(hours=1), ACTOR)

    with pytest.raises(NotFound):
        tokens.rotate(stored(instance.id), old_id, timedelta(hours=24), ACTOR)


@pytest.mark.parametrize("overlap", ["", "7 days", "-1"])
def test_an_overlap_that_is_not_offered_changes_nothing(overlap, app, alice, make_instance):
    instance, token = make_instance()

    page = act(alice, instance.id, ids(instance.id)[0], "rotate", overlap=overlap)

    assert not shown_token(page)
    assert works(app, instance.id, token)
    assert actions(instance.id) == []


def test_two_who_replace_one_token_at_once_get_one_new_token(app, make_instance):
    instance, old = make_instance()
    id, old_id = instance.id, ids(instance.id)[0]

    def rotate() -> str:
        with app.app_context():
            try:
                return tokens.rotate(db.session.get(Instance, id), old_id, timedelta(0), ACTOR)
            except NotFound:
                return ""

    got = [token for token in at_once([rotate] * 4) if token]

    assert len(got) == 1
    assert works(app, id, got[0]) and not works(app, id, old)
    assert actions(id) == ["token.rotate"]


def test_an_instance_has_at_most_twenty_tokens_and_one_that_ends_makes_room(alice, make_instance):
    instance, _ = make_instance()
    for number in range(tokens.MOST - 1):
        tokens.add(stored(instance.id), f"Token {number}", ACTOR)

    page = add(alice, instance.id, "One more")
    assert page.status == 409
    assert "at most 20 tokens" in page.text

    tokens.revoke(stored(instance.id), ids(instance.id)[3], ACTOR)
    assert shown_token(add(alice, instance.id, "One more"))


def test_twenty_tokens_can_be_replaced_but_not_doubled_by_overlaps(make_instance):
    instance, _ = make_instance()
    for number in range(tokens.MOST - 1):
        tokens.add(stored(instance.id), f"Token {number}", ACTOR)
    first = ids(instance.id)[0]

    with pytest.raises(Conflict, match="at most 20"):
        tokens.rotate(stored(instance.id), first, timedelta(hours=24), ACTOR)

    assert tokens.rotate(stored(instance.id), first, timedelta(0), ACTOR)
    assert len(tokens.valid(stored(instance.id))) == tokens.MOST


def test_many_who_add_at_once_do_not_get_past_the_limit(app, make_instance):
    instance, _ = make_instance()
    id = instance.id
    for number in range(tokens.MOST - 3):
        tokens.add(stored(id), f"Token {number}", ACTOR)

    def add_one() -> int:
        with app.app_context():
            try:
                return len(tokens.add(db.session.get(Instance, id), "Race", ACTOR)) // 43
            except AppError:
                return 0

    assert sum(at_once([add_one] * 6)) == 2
    assert len(tokens.valid(stored(id))) == tokens.MOST


def test_without_any_token_the_page_says_so_and_a_new_one_can_be_made(app, alice, make_instance):
    instance, token = make_instance()

    page = act(alice, instance.id, ids(instance.id)[0], "revoke")
    assert re.search("No token is left", page.text)
    assert not works(app, instance.id, token)

    assert works(app, instance.id, shown_token(add(alice, instance.id, "New")))


def test_a_token_of_a_connection_opens_no_page(app, make_instance):
    instance, token = make_instance()
    headers = {"Authorization": f"Bearer {token}", "Cookie": f"mcpweb={token}; session={token}"}

    for path in ("/instances", f"/instances/{instance.id}", "/account"):
        answer = app.test_client().get(path, headers=headers)
        assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (303, "/sign-in")
    answer = app.test_client().post(f"/instances/{instance.id}/deactivate", headers=headers)
    assert answer.status_code in (303, 400, 401, 403)
    assert works(app, instance.id, token)


def test_a_token_in_an_address_opens_nothing_and_stands_in_no_log(app, make_instance):
    instance, token = make_instance()
    client = app.test_client()
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}

    for path in (f"/mcp/{instance.id}?token={token}", f"/mcp/{instance.id}?access_token={token}", f"/mcp/{token}"):
        assert client.post(path, json=body).status_code == 401
    assert client.get(f"/instances?token={token}", headers={"Referer": f"http://localhost/{token}"}).status_code == 303
    assert client.get(f"/{token}").status_code in (303, 404)

    lines = "".join(path.read_text() for path in (settings().home / "logs").rglob("*.jsonl"))
    assert str(instance.id) in lines
    assert token not in lines
