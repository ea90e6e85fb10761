"""Connecting a service: one instance, one token, shown once, and nothing half-written."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import uuid4

import pytest

from mcpweb import clock
from mcpweb.crypto import hash_secret, is_token
from mcpweb.database import db, transaction
from mcpweb.errors import Unavailable
from mcpweb.instances import creation
from mcpweb.instances.creation import Wish
from mcpweb.instances.house import house
from mcpweb.instances.models import CredentialState, Instance, InstanceToken, ServiceRow, Status
from mcpweb.logs.models import AuditEvent
from mcpweb.web.current import settings as current_settings
from tests.ageing import age
from tests.conftest import URL, user
from tests.form_client import FormClient, filled
from tests.instances.connecting import GOOD, connect, shown_token
from tests.instances.endpoint import works
from tests.parallel import at_once
from tests.spec_server import TOKENS


def counts() -> dict[str, int]:
    """What there is of an instance."""
    created = db.session.query(AuditEvent).filter_by(action="instance.create").count()
    service = db.session.get(ServiceRow, "github", populate_existing=True)
    assert service is not None
    return {
        "instances": db.session.query(Instance).count(),
        "tokens": db.session.query(InstanceToken).count(),
        "audit": created,
        "total": service.total_instances,
        "active": service.active_instances,
    }


NOTHING = {"instances": 0, "tokens": 0, "audit": 0, "total": 0, "active": 0}
ONE = dict.fromkeys(NOTHING, 1)


def test_a_good_key_makes_an_instance_whose_endpoint_answers_to_the_token_shown(alice, app):
    page = connect(alice, label="  My   repos ")

    token = shown_token(page)
    instance = db.session.query(Instance).one()
    assert page.path == f"/instances/{instance.id}"
    assert is_token(token)
    assert "My repos is connected" in page.text
    assert f"{URL}/mcp/{instance.id}" in page.text
    assert works(app, instance.id, token)
    assert counts() == ONE


def test_what_is_stored_says_whose_key_it_is_what_it_may_and_until_when(alice):
    page = connect(alice, TOKENS["github"]["expiring"], lifetime="7")

    instance = db.session.query(Instance).one()
    assert instance.account_label == "octocat"
    assert set(instance.scopes or ()) == {"notifications", "read:org", "repo", "workflow"}
    assert instance.credential_state == CredentialState.OK
    assert instance.credential_expires_at is not None
    assert timedelta(days=9) < instance.credential_expires_at - clock.utcnow() < timedelta(days=10)
    assert timedelta(days=6, hours=23) < instance.expires_at - clock.utcnow() < timedelta(days=7)
    for words in ("octocat", "read:org", "The key works"):
        assert words in page.text


def test_the_creation_is_in_the_audit_trail_with_who_and_from_where(alice):
    connect(alice, label="Work")

    event = db.session.query(AuditEvent).filter_by(action="instance.create").one()
    instance = db.session.query(Instance).one()
    assert (event.actor, event.ip, event.subject) == ("alice@example.com", "127.0.0.1", f"instance/{instance.id}")
    assert event.details["label"] == "Work"
    assert event.details["account"] == "octocat"


def test_a_form_sent_eight_times_at_once_makes_one_instance_and_the_last_token_works(alice, app):
    form = alice.get("/services/github/connect").form("/connect")
    twins = [alice.twin() for _ in range(8)]

    pages = at_once([lambda twin=twin: twin.submit(form, credential_token=GOOD) for twin in twins])

    assert {(page.status, page.path) for page in pages} == {(200, f"/instances/{db.session.query(Instance).one().id}")}
    assert counts() == ONE
    tokens = {shown_token(page) for page in pages}
    assert len(tokens) == 8
    assert sum(works(app, db.session.query(Instance.id).scalar(), token) for token in tokens) == 1


def test_a_form_sent_again_shows_the_same_instance_with_a_token_that_works(alice, app):
    form = alice.get("/services/github/connect").form("/connect")
    first = alice.submit(form, credential_token=GOOD)

    again = alice.submit(form, credential_token=GOOD)

    assert again.path == first.path
    assert counts() == ONE
    assert works(app, again.path.rpartition("/")[2], shown_token(again))


def test_a_form_sent_at_once_by_somebody_with_room_for_one_more_makes_it_and_complains_about_nothing(other_app, alice):
    app = other_app(instances_per_user=1)
    browser = FormClient(alice.transport.twin(), URL)
    browser.transport.client.application = app
    form = browser.get("/services/github/connect").form("/connect")
    twins = [browser.twin() for _ in range(6)]

    pages = at_once([lambda twin=twin: twin.submit(form, credential_token=GOOD) for twin in twins])

    assert {page.status for page in pages} == {200}
    assert counts() == ONE


def test_a_form_that_comes_back_much_later_leaves_the_token_in_use_alone(alice, app):
    form = alice.get("/services/github/connect").form("/connect")
    page = alice.submit(form, credential_token=GOOD)
    token = shown_token(page)
    age(Instance, timedelta(hours=1))

    again = alice.submit(form, credential_token=GOOD)

    assert again.status == 409
    assert works(app, page.path.rpartition("/")[2], token)
    assert counts() == ONE


def test_a_form_that_comes_back_after_a_second_token_was_made_leaves_both_alone(alice, app):
    form = alice.get("/services/github/connect").form("/connect")
    page = alice.submit(form, credential_token=GOOD)
    first, id = shown_token(page), page.path.rpartition("/")[2]
    second = shown_token(alice.submit(page.form("/tokens"), label="Laptop"))

    again = alice.submit(form, credential_token=GOOD)

    assert again.status == 409
    assert works(app, id, first) and works(app, id, second)


def test_one_form_in_two_peoples_hands_makes_an_instance_for_each(alice, bob):
    key = str(uuid4())

    connect(alice, creation_key=key)
    connect(bob, creation_key=key)

    assert {instance.owner_id for instance in db.session.query(Instance)} == {
        user("alice@example.com").id,
        user("bob@example.com").id,
    }


def test_the_token_is_shown_once_and_nothing_but_its_hash_is_kept(alice):
    page = connect(alice)
    token = shown_token(page)
    assert token in page.text

    again = alice.get(page.url)

    assert again.status == 200
    assert token not in again.text
    assert shown_token(again) == ""
    assert f"…{token[-4:]}" in again.text
    row = db.session.query(InstanceToken).one()
    assert row.token_hash == hash_secret(token)
    assert token not in str(vars(row))


def test_a_look_at_the_headers_of_the_new_page_does_not_use_up_the_token(alice):
    form = alice.get("/services/github/connect").form("/connect")
    answer = alice.open("POST", "/services/github/connect", dict(filled(form, credential_token=GOOD)))
    where = answer.headers["Location"]

    assert alice.open("HEAD", where).status == 200

    assert is_token(shown_token(alice.get(where)))


def test_another_instances_page_neither_shows_nor_uses_up_the_token(alice, make_instance):
    other, _ = make_instance()
    form = alice.get("/services/github/connect").form("/connect")
    answer = alice.open("POST", "/services/github/connect", dict(filled(form, credential_token=GOOD)))

    assert shown_token(alice.get(f"/instances/{other.id}")) == ""

    assert is_token(shown_token(alice.get(answer.headers["Location"])))


def test_the_page_with_the_token_is_kept_by_no_cache(alice):
    assert connect(alice).headers["Cache-Control"] == "no-store"


def test_the_log_folder_of_an_instance_and_its_files_are_private(alice):
    connect(alice)

    folder = current_settings().home / "logs"
    instance = db.session.query(Instance).one()
    mine = folder / "users" / f"user_{instance.owner_id}" / f"mcp_{instance.id}"
    folders = [mine, mine.parent, mine.parent.parent, folder, folder / "system"]
    assert {path.name: path.stat().st_mode & 0o777 for path in folders} == dict.fromkeys(
        (path.name for path in folders), 0o700
    )
    assert [path.name.split("-")[0] for path in mine.iterdir()] == ["app"]
    files = [*mine.iterdir(), *(folder / "system").iterdir()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


@pytest.mark.parametrize("days", [1, 7, 30, 90])
def test_an_end_is_chosen_from_presets(days, alice):
    connect(alice, lifetime=str(days))

    left = db.session.query(Instance).one().expires_at - clock.utcnow()
    assert timedelta(days=days, minutes=-1) < left <= timedelta(days=days)


@pytest.mark.parametrize("ahead", [0, 1, 200, 364])
def test_a_custom_day_counts_to_its_end(ahead, alice):
    day = (clock.utcnow() + timedelta(days=ahead)).date()

    connect(alice, lifetime="custom", custom_day=day.isoformat())

    assert db.session.query(Instance).one().expires_at == datetime.combine(day, time(23, 59, 59), UTC)


def test_the_last_allowed_day_does_not_reach_beyond_the_maximum(alice):
    last = clock.utcnow() + timedelta(days=365)

    connect(alice, lifetime="custom", custom_day=last.date().isoformat())

    assert db.session.query(Instance).one().expires_at <= clock.utcnow() + timedelta(days=365)


@pytest.mark.parametrize("text", ["-1", "+366", "", "2026-13-01", "2026-02-30", "tomorrow", "9999-12-31", "0000-00-00"])
def test_a_day_out_of_bounds_or_no_day_is_refused(text, alice):
    if text[:1] in ("-", "+"):
        text = (clock.utcnow() + timedelta(days=int(text))).date().isoformat()

    page = connect(alice, lifetime="custom", custom_day=text)

    assert page.status == 422
    assert counts() == NOTHING


@pytest.mark.parametrize("lifetime", ["", "2", "91", "0", "-1", "30.0", "1e1", "custom ", "forever"])
def test_a_life_time_that_is_not_offered_is_refused(lifetime, alice):
    assert connect(alice, lifetime=lifetime).status == 422
    assert counts() == NOTHING


def test_the_operators_maximum_takes_away_longer_presets(other_app, alice):
    alice.transport.client.application = other_app(instance_days_max=10)

    page = alice.get("/services/github/connect")

    assert 'value="7"' in page.text and 'value="30"' not in page.text
    assert connect(alice, lifetime="30").status == 422
    late = (clock.utcnow() + timedelta(days=12)).date().isoformat()
    assert connect(alice, lifetime="custom", custom_day=late).status == 422
    assert connect(alice, lifetime="7").path.startswith("/instances/")


def test_more_instances_than_allowed_are_refused_and_nothing_of_it_is_kept(other_app, alice, make_instance):
    alice.transport.client.application = other_app(instances_per_user=2)
    make_instance(), make_instance()
    before = counts()

    page = connect(alice)

    assert page.status == 409
    assert "2 instances" in page.text
    assert counts() == before


def test_the_maximum_holds_when_different_forms_are_sent_at_once(other_app, alice):
    alice.transport.client.application = other_app(instances_per_user=3)
    twins = [alice.twin() for _ in range(8)]
    services = ["github", "figma"] * 4
    tokens = [TOKENS[service]["good"] for service in services]
    forms = [
        twin.get(f"/services/{service}/connect").form("/connect") for twin, service in zip(twins, services, strict=True)
    ]

    pages = at_once(
        [
            lambda twin=twin, form=form, token=token: twin.submit(form, credential_token=token)
            for twin, form, token in zip(twins, forms, tokens, strict=True)
        ]
    )

    assert sorted(page.status for page in pages) == [200] * 3 + [409] * 5
    assert db.session.query(Instance).count() == 3


def disable(name: str) -> None:
    with transaction():
        db.session.query(ServiceRow).filter_by(name=name).update({"is_enabled": False})


def test_a_service_that_is_switched_off_can_not_be_connected(alice):
    form = alice.get("/services/github/connect").form("/connect")
    disable("github")

    assert alice.get("/services/github/connect").status == 404
    assert alice.open("POST", "/services/github/connect", dict(filled(form, credential_token=GOOD))).status == 404
    assert counts() == NOTHING
    assert "/services/github/connect" not in alice.get("/services").links
    assert "/services/figma/connect" in alice.get("/services").links


def test_a_service_switched_off_while_its_key_is_checked_is_not_connected(alice):
    disable("github")
    wish = Wish("Work", {"token": GOOD}, clock.utcnow() + timedelta(days=1), uuid4())
    service = house().registry.services["github"]

    with pytest.raises(Unavailable, match="GitHub can not be connected"):
        creation.create(user("alice@example.com"), service, wish, None, house().keyring, 100)

    assert counts() == NOTHING


@pytest.mark.parametrize("name", ["nothing", "GITHUB", "github%00", "%2e%2e", "github%2fconnect", "a" * 3000])
def test_an_unknown_service_is_not_found(name, alice):
    for path in (f"/services/{name}/connect", f"/services/{name}/logo.svg"):
        assert alice.open("GET", path).status == 404


def test_a_key_in_the_wrong_format_never_leaves_the_house(alice, github):
    for wrong in ("", "x", "ghp_short", "ghp_" + "0" * 36 + "\u202e", "Bearer " + GOOD, GOOD + " " + GOOD, "g" * 5000):
        before = len(github.seen)
        page = connect(alice, wrong)
        assert page.status == 422, wrong
        assert len(github.seen) == before
        assert len(wrong) < 5 or wrong not in page.text, "a key is not shown again, a wrong one neither"
    assert counts() == NOTHING


def test_blanks_around_a_pasted_key_do_not_matter(alice):
    assert connect(alice, f"\t {GOOD} \r\n").path.startswith("/instances/")


def test_what_was_filled_in_stays_but_for_the_key(alice):
    page = connect(alice, "ghp_short", label="Mine", lifetime="90")

    form = page.form("/connect")
    assert {("label", "Mine"), ("lifetime", "90"), ("credential-token", "")} <= set(form.fields)
    assert page.form("/connect").has("creation_key")


def test_a_disabled_owner_or_an_ended_instance_is_not_served(alice, app):
    page = connect(alice)
    instance, token = page.path.rpartition("/")[2], shown_token(page)
    assert works(app, instance, token)

    with transaction():
        db.session.query(Instance).update({"expires_at": clock.utcnow() - timedelta(seconds=1)})
    house().access.clear()
    assert not works(app, instance, token)
    with transaction():
        db.session.query(Instance).update({"expires_at": clock.utcnow() + timedelta(days=1)})
        user("alice@example.com").is_enabled = False
    house().access.clear()
    assert not works(app, instance, token)


def test_nothing_in_the_form_makes_an_instance_somebody_elses(alice, bob: Any):
    theirs = user("bob@example.com")

    connect(
        alice, owner_id=str(theirs.id), owner=str(theirs.id), user_id=str(theirs.id), status=Status.INACTIVE, id="1"
    )

    instance = db.session.query(Instance).one()
    assert (instance.owner_id, instance.status) == (user("alice@example.com").id, Status.ACTIVE)


def test_a_user_who_checks_key_after_key_is_told_to_wait_and_others_are_not(alice, bob, github):
    statuses = [connect(alice, TOKENS["github"]["revoked"]).status for _ in range(11)]

    assert statuses == [422] * 10 + [429]
    assert connect(bob, GOOD).status == 200
