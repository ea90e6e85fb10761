"""Keys are checked by themselves: a dead one is told of once, an outage alarms nobody."""

from __future__ import annotations

from contextvars import Context
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from mcpweb import clock
from mcpweb.catalog.checking import Checked
from mcpweb.database import db, transaction
from mcpweb.instances import credentials, lifecycle, rechecking, rekeying
from mcpweb.instances.house import house
from mcpweb.instances.models import CredentialState, Instance, Notice
from mcpweb.instances.notices import send_notices
from mcpweb.instances.rechecking import recheck_credentials
from tests.instances.living import actions, end, stored
from tests.parallel import at_once
from tests.spec_server import TOKENS, Answer

ALICE = "alice@example.com"
GITHUB = TOKENS["github"]


def due(instance_id: UUID) -> None:
    with transaction():
        row = db.session.get(Instance, instance_id)
        assert row
        row.credential_due_at = clock.utcnow() - timedelta(seconds=1)


def check(instance_id: UUID, times: int = 1) -> Instance:
    """Let it be due and be checked, so many times; the row after that."""
    for _ in range(times):
        due(instance_id)
        recheck_credentials()
    row = stored(instance_id)
    assert row
    return row


def kinds() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(Notice.kind).order_by(Notice.id)))


def hours_until_due(row: Instance) -> float:
    assert row.credential_due_at
    return (row.credential_due_at - clock.utcnow()) / timedelta(hours=1)


def use(instance_id: UUID, token: str) -> None:
    """Put another key into the row, without a check."""
    with transaction():
        row = db.session.get(Instance, instance_id)
        assert row
        credentials.seal(row, {"token": token}, house().keyring)


def test_a_new_connection_is_checked_a_day_later_and_then_daily_at_no_fixed_hour(make_instance, github):
    made = [make_instance()[0] for _ in range(12)]
    before = len(github.seen)
    recheck_credentials()
    assert len(github.seen) == before

    spread = [hours_until_due(stored(instance.id)) for instance in made]
    spread += [hours_until_due(check(instance.id)) for instance in made]

    assert all(19 < hours < 29 for hours in spread)
    assert max(spread) - min(spread) > 1
    assert len(github.seen) == before + 12


def test_a_good_key_stays_good_and_nothing_is_audited_or_told(make_instance):
    instance, _ = make_instance()
    before = stored(instance.id).credential_checked_at

    row = check(instance.id)

    assert row.credential_state == CredentialState.OK
    assert row.credential_checked_at > before
    assert (actions(instance.id), kinds()) == ([], [])


def test_a_key_is_dead_when_two_checks_in_a_row_refuse_it_and_its_owner_is_told_once(make_instance, mail_server):
    instance, _ = make_instance(label="Work", token=GITHUB["revoked"])

    row = check(instance.id)
    assert (row.credential_state, row.credential_failures) == (CredentialState.OK, 1)
    assert hours_until_due(row) == pytest.approx(1 / 6, abs=0.01)
    assert kinds() == []

    row = check(instance.id)
    assert row.credential_state == CredentialState.REJECTED
    assert actions(instance.id) == ["credential.check"]
    check(instance.id, 3)
    send_notices()

    assert kinds() == ["key_died"]
    assert [mail.subject for mail in mail_server.mails] == ["Work: GitHub refuses the key"]
    assert hours_until_due(stored(instance.id)) > 19


def test_a_key_that_works_again_is_told_of_again_when_it_dies_again(make_instance):
    instance, _ = make_instance(token=GITHUB["revoked"])
    check(instance.id, 2)
    use(instance.id, GITHUB["good"])

    row = check(instance.id)
    assert (row.credential_state, row.credential_failures) == (CredentialState.OK, 0)
    use(instance.id, GITHUB["revoked"])
    check(instance.id, 2)

    assert kinds() == ["key_died"] * 2
    assert actions(instance.id) == ["credential.check"] * 3


def test_one_refusal_between_good_checks_alarms_nobody(make_instance):
    instance, _ = make_instance()
    for token in ("revoked", "good", "revoked", "good", "revoked", "good"):
        use(instance.id, GITHUB[token])
        assert check(instance.id).credential_state == CredentialState.OK

    assert kinds() == []


@pytest.mark.parametrize("behaviour", ["error_500", "reset", "rate_limited", "html", "redirect", "broken_json"])
def test_an_outage_changes_nothing_however_long_it_lasts(behaviour, make_instance):
    instance, _ = make_instance()
    use(instance.id, GITHUB[behaviour])
    before = stored(instance.id).credential_checked_at

    row = check(instance.id, 4)

    assert (row.credential_state, row.credential_failures) == (CredentialState.OK, 0)
    assert row.credential_checked_at == before
    assert hours_until_due(row) == pytest.approx(1, abs=0.01)
    assert (kinds(), actions(instance.id)) == ([], [])


def test_an_outage_between_two_refusals_is_no_acquittal(make_instance):
    instance, _ = make_instance()
    for token in ("revoked", "error_500", "revoked"):
        use(instance.id, GITHUB[token])
        check(instance.id)

    assert kinds() == ["key_died"]


def test_who_found_out_on_the_page_is_not_mailed_too(make_instance):
    instance, _ = make_instance(token=GITHUB["revoked"])
    with pytest.raises(rekeying.CheckRefused):
        rekeying.check_again(instance, house().registry.services["github"], ALICE)

    check(instance.id, 3)

    assert kinds() == []


def test_calls_that_were_refused_are_forgotten_when_the_key_has_been_checked(make_instance):
    for token in ("good", "revoked"):
        instance, _ = make_instance(token=GITHUB[token])
        with transaction():
            db.session.get(Instance, instance.id).credential_refusals = 3
        assert check(instance.id).credential_refusals == 0


# A key that ends


@pytest.fixture
def ending(github):
    """Lets GitHub say when keys end."""

    def say(days: float) -> None:
        at = clock.utcnow() + timedelta(days=days)
        github.force["users/get-authenticated"] = Answer(
            200,
            {"login": "octocat", "id": 1},
            {
                "X-OAuth-Scopes": "repo, read:org, workflow, gist, notifications, project",
                "GitHub-Authentication-Token-Expiration": f"{at:%Y-%m-%d %H:%M:%S} UTC",
            },
        )

    yield say
    github.force.clear()


def test_a_key_that_ends_within_a_week_is_told_of_once(ending, make_instance, mail_server):
    instance, _ = make_instance(label="Work")
    ending(8)
    check(instance.id)
    assert kinds() == []

    for days in (6.5, 5.5, 4.5):
        ending(days)
        check(instance.id)
        send_notices()

    assert kinds() == ["key_ends"]
    assert [mail.subject for mail in mail_server.mails] == ["Work: the GitHub key ends soon"]


def test_the_next_key_is_told_of_by_itself(ending, make_instance):
    instance, _ = make_instance()
    ending(5)
    check(instance.id)
    rekeying.replace(stored(instance.id), {"token": GITHUB["oauth"]}, Checked("octocat", None, (), None), ALICE)
    assert kinds() == []

    check(instance.id)

    assert kinds() == ["key_ends"]


# What is not checked, or not believed


@pytest.mark.parametrize("state", ["inactive", "ended", "not due"])
def test_only_what_is_active_and_due_is_checked(state, make_instance, github):
    instance, _ = make_instance()
    due(instance.id)
    if state == "inactive":
        lifecycle.deactivate(instance, ALICE)
    elif state == "ended":
        end(instance.id, marked=False)
    else:
        with transaction():
            db.session.get(Instance, instance.id).credential_due_at = clock.utcnow() + timedelta(minutes=1)
    before = len(github.seen)

    assert recheck_credentials()["items"] == 0

    assert len(github.seen) == before


@pytest.mark.parametrize("token", ["good", "revoked"])
def test_what_was_found_of_a_key_that_has_been_replaced_meanwhile_is_dropped(token, app, make_instance, monkeypatch):
    instance, _ = make_instance(token=GITHUB[token])
    ask = rekeying.ask

    def replaced_meanwhile(*arguments: object) -> object:
        with app.app_context():
            row = db.session.get(Instance, instance.id)
            rekeying.replace(row, {"token": GITHUB["oauth"]}, Checked("hubot", None, (), None), ALICE)
        return ask(*arguments)

    monkeypatch.setattr(rekeying, "ask", replaced_meanwhile)
    row = check(instance.id)

    assert (row.credential_state, row.account_label, row.credential_failures) == (CredentialState.OK, "hubot", 0)
    assert kinds() == []


@pytest.mark.parametrize("token", ["good", "revoked"])
def test_an_instance_that_was_deleted_meanwhile_is_no_failure(token, app, make_instance, monkeypatch):
    instance, _ = make_instance(token=GITHUB[token])
    other, _ = make_instance()
    ids = (instance.id, other.id)
    ask = rekeying.ask

    def deleted_meanwhile(found: Instance, *arguments: object) -> object:
        if found.id == ids[0]:
            with app.app_context():
                lifecycle.remove(db.session.get(Instance, ids[0]), ALICE)
        return ask(found, *arguments)

    monkeypatch.setattr(rekeying, "ask", deleted_meanwhile)
    for id in ids:
        due(id)

    assert recheck_credentials()["items"] == 2


def test_a_key_that_can_not_be_decrypted_changes_nothing_and_stops_no_other(make_instance, caplog):
    broken, fine = make_instance()[0], make_instance()[0]
    with transaction():
        db.session.get(Instance, broken.id).credential_sealed = b"nonsense"
    due(broken.id)
    due(fine.id)

    assert recheck_credentials() == {"items": 2, "ok": 1, "refused": 0, "no_answer": 1}

    assert stored(broken.id).credential_state == CredentialState.OK
    assert "a credential can not be decrypted" in caplog.text


def test_no_transaction_is_open_while_the_service_is_asked(make_instance, monkeypatch):
    instance, _ = make_instance()
    seen: list[bool] = []
    check_live = rekeying.checking.check

    def watched(*arguments: object) -> object:
        seen.append(db.session().in_transaction())
        return check_live(*arguments)

    monkeypatch.setattr(rekeying.checking, "check", watched)
    check(instance.id)
    rekeying.check_again(stored(instance.id), house().registry.services["github"], ALICE)

    assert seen == [False, False]


def test_a_run_checks_a_bounded_number_for_a_bounded_time(make_instance, monkeypatch):
    for _ in range(4):
        due(make_instance()[0].id)
    monkeypatch.setattr(rechecking, "_MOST", 3)
    assert recheck_credentials()["items"] == 3

    monkeypatch.setattr(rechecking, "_BUDGET_S", -1.0)
    assert recheck_credentials()["items"] == 0


def test_workers_at_once_check_each_key_once(app, make_instance, github):
    for _ in range(8):
        due(make_instance()[0].id)
    before = len(github.seen)

    def run() -> int:
        with app.app_context():
            return recheck_credentials()["items"]

    checked = at_once([lambda: Context().run(run) for _ in range(3)])

    assert sum(checked) == 8
    assert len(github.seen) == before + 8
