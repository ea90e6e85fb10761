"""An instance after its creation: off and on, renewed, extended, renamed, with fewer tools, deleted."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import Context
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from mcpweb import clock
from mcpweb.database import db, transaction
from mcpweb.errors import AppError, Conflict, InvalidInput, NotFound
from mcpweb.instances import lifecycle, rekeying, tokens
from mcpweb.instances.house import house
from mcpweb.instances.models import Instance, InstanceToken, Status
from mcpweb.jobs.expiry import expire_instances
from mcpweb.logs import events
from tests.conftest import user
from tests.form_client import FormClient, Page
from tests.instances.endpoint import call, works
from tests.instances.living import actions, audited, drift, end, refusal, stored
from tests.pages import plain
from tests.parallel import at_once
from tests.spec_server import TOKENS

ACTOR = "alice@example.com"
LONGEST = timedelta(days=90)


def submit(browser: FormClient, instance_id: UUID, action: str, **values: str) -> Page:
    """Send a form of the instance's page."""
    page = browser.get(f"/instances/{instance_id}")
    return browser.submit(page.form(f"/{action}"), **values)


def csrf(browser: FormClient) -> str:
    """The form token of any page."""
    return dict(browser.get("/services/github/connect").form("/connect").fields)["csrf_token"]


def listed(app, instance_id: UUID, token: str) -> set[str]:
    """The tools that the endpoint lists."""
    answer = Context().run(
        app.test_client().post,
        f"/mcp/{instance_id}",
        json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
        headers={"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"},
    )
    return {tool["name"] for tool in answer.get_json()["result"]["tools"]}


def in_days(days: float):
    return clock.utcnow() + timedelta(days=days)


# Off and on


def test_switched_off_it_refuses_and_switched_on_it_works_again(app, alice, make_instance):
    instance, token = make_instance(label="Work")
    assert works(app, instance.id, token)

    page = submit(alice, instance.id, "deactivate")
    assert "Work is switched off" in page.text
    assert "switched off" in refusal(app, instance.id, token)
    assert drift() == {}

    page = submit(alice, instance.id, "activate")
    assert "Work is switched on" in page.text
    assert works(app, instance.id, token)
    assert drift() == {}
    assert actions(instance.id) == ["instance.deactivate", "instance.activate"]
    assert {event.actor for event in audited(instance.id)} == {ACTOR}


def test_the_same_button_pressed_twice_does_not_flip_back(alice, make_instance):
    instance, _ = make_instance()
    page = alice.get(f"/instances/{instance.id}")
    off = page.form("/deactivate")

    for _ in range(2):
        assert alice.submit(off).status == 200

    assert stored(instance.id).status == Status.INACTIVE
    assert actions(instance.id) == ["instance.deactivate"]
    assert drift() == {}


def test_two_tabs_switch_off_at_once_and_it_is_done_and_audited_once(alice, make_instance):
    instance, _ = make_instance()
    tabs = [alice.twin() for _ in range(4)]
    form = alice.get(f"/instances/{instance.id}").form("/deactivate")
    for tab in tabs:
        tab.page = alice.page

    answers = at_once([lambda tab=tab: tab.submit(form) for tab in tabs])

    assert {answer.status for answer in answers} == {200}
    assert actions(instance.id) == ["instance.deactivate"]
    assert drift() == {}


@pytest.mark.parametrize("marked", [True, False], ids=["marked as expired", "the expiry job is late"])
@pytest.mark.parametrize("action", ["deactivate", "activate"])
def test_an_ended_instance_is_neither_switched_off_nor_on_and_says_why(action, marked, alice, make_instance):
    instance, _ = make_instance(label="Work")
    if action == "activate":
        lifecycle.deactivate(instance, ACTOR)
    form = alice.get(f"/instances/{instance.id}").form(f"/{action}")
    end(instance.id, marked=marked)
    before, done = stored(instance.id).status, actions(instance.id)

    page = alice.submit(form)

    assert page.status == 409
    assert "Work has ended. Renew it first." in page.text
    assert (stored(instance.id).status, actions(instance.id)) == (before, done)
    assert drift() == {}


# Its end


@pytest.mark.parametrize("was", ["active, job late", "inactive, job late", "expired"])
def test_a_renewed_instance_is_active_at_the_same_address_with_the_same_token(was, app, alice, make_instance):
    instance, token = make_instance(label="Work")
    if was.startswith("inactive"):
        lifecycle.deactivate(instance, ACTOR)
    end(instance.id, marked=was == "expired")
    assert refusal(app, instance.id, token)

    page = submit(alice, instance.id, "renew", lifetime="7")

    assert "Work is renewed until" in page.text
    assert works(app, instance.id, token)
    row = stored(instance.id)
    assert row.status == Status.ACTIVE
    assert abs(row.expires_at - in_days(7)) < timedelta(minutes=1)
    assert drift() == {}
    last = audited(instance.id)[-1]
    assert last.action == "instance.renew"
    assert last.details["before"] < last.details["after"] == row.expires_at.isoformat()


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.INACTIVE])
def test_an_instance_that_has_not_ended_is_not_renewed(status, alice, make_instance):
    instance, _ = make_instance(days=3)
    if status == Status.INACTIVE:
        lifecycle.deactivate(instance, ACTOR)
    ends, done = stored(instance.id).expires_at, actions(instance.id)

    page = alice.post(f"/instances/{instance.id}/renew", {"csrf_token": csrf(alice), "lifetime": "30"})

    assert page.status == 409
    assert "has not ended" in page.text
    row = stored(instance.id)
    assert (row.status, row.expires_at, actions(instance.id)) == (status, ends, done)


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.INACTIVE])
def test_an_extension_moves_the_end_and_nothing_else(status, app, alice, make_instance):
    instance, token = make_instance(days=3)
    if status == Status.INACTIVE:
        lifecycle.deactivate(instance, ACTOR)

    page = submit(alice, instance.id, "extend", lifetime="30")

    assert "now works until" in page.text
    row = stored(instance.id)
    assert abs(row.expires_at - in_days(30)) < timedelta(minutes=1)
    assert row.status == status
    assert works(app, instance.id, token) == (status == Status.ACTIVE)
    assert actions(instance.id)[-1] == "instance.extend"
    assert drift() == {}


def test_a_call_that_remembered_the_old_end_is_let_in_after_an_extension(app, make_instance, monkeypatch):
    instance, token = make_instance(days=1)
    assert works(app, instance.id, token)
    lifecycle.extend(instance, in_days(20), LONGEST, ACTOR)
    later = in_days(2)

    monkeypatch.setattr(clock, "utcnow", lambda: later)

    assert works(app, instance.id, token)


def test_an_extension_that_would_be_earlier_than_the_present_end_is_refused(alice, make_instance):
    instance, _ = make_instance(days=5)
    ends = stored(instance.id).expires_at

    page = submit(alice, instance.id, "extend", lifetime="1")

    assert page.status == 422
    assert "must be later" in page.text
    assert stored(instance.id).expires_at == ends


def test_of_two_extensions_at_once_the_longer_one_stays(app, make_instance):
    instance, _ = make_instance(days=2)
    id = instance.id

    def extend(days: int) -> None:
        with app.app_context():
            row = db.session.get(Instance, id)
            try:
                lifecycle.extend(row, in_days(days), LONGEST, ACTOR)
            except InvalidInput:
                return  # the longer one was quicker

    for round in range(5):
        at_once([lambda days=days: extend(days) for days in (10 + 3 * round, 12 + 3 * round)])
        assert abs(stored(id).expires_at - in_days(12 + 3 * round)) < timedelta(minutes=1)


@pytest.mark.parametrize("marked", [True, False], ids=["marked as expired", "the expiry job is late"])
def test_an_ended_instance_is_not_extended_but_must_be_renewed(marked, alice, make_instance):
    instance, _ = make_instance(days=3)
    form = alice.get(f"/instances/{instance.id}").form("/extend")
    end(instance.id, marked=marked)
    ended = stored(instance.id).expires_at

    page = alice.submit(form, lifetime="30")

    assert page.status == 409
    assert "has ended. Renew it first." in page.text
    assert stored(instance.id).expires_at == ended


@pytest.mark.parametrize("change", [lifecycle.renew, lifecycle.extend])
@pytest.mark.parametrize("days", [-1, 0, 90.1, 100_000])
def test_an_end_in_the_past_or_beyond_the_operators_maximum_is_refused(days, change, make_instance):
    instance, _ = make_instance()
    if change is lifecycle.renew:
        end(instance.id, marked=True)
    before = stored(instance.id).expires_at

    with pytest.raises(InvalidInput, match="at most 90 days ahead"):
        change(stored(instance.id), in_days(days), LONGEST, ACTOR)

    assert stored(instance.id).expires_at == before
    assert actions(instance.id) in ([], ["instance.expire"])


@pytest.mark.parametrize(
    "values",
    [
        {"lifetime": "100000"},
        {"lifetime": "custom", "custom_day": "2020-01-01"},
        {"lifetime": "custom", "custom_day": "9999-12-31"},
        {"lifetime": "custom", "custom_day": "nonsense"},
        {"lifetime": "custom"},
        {"lifetime": ""},
    ],
)
def test_a_form_with_an_impossible_end_changes_nothing_and_says_so(values, alice, make_instance):
    instance, _ = make_instance()
    end(instance.id, marked=True)

    page = submit(alice, instance.id, "renew", **values)

    assert page.status == 422
    assert "is renewed" not in page.text
    assert stored(instance.id).status == Status.EXPIRED


def test_renewing_at_the_same_moment_as_the_expiry_job_always_leaves_it_active(app, make_instance):
    instance, _ = make_instance()
    id = instance.id

    def renew() -> None:
        with app.app_context():
            lifecycle.renew(db.session.get(Instance, id), in_days(7), LONGEST, ACTOR)

    def expire() -> None:
        with app.app_context():
            expire_instances()

    for _ in range(25):
        end(id, marked=False)
        at_once([renew, expire, expire])
        assert stored(id).status == Status.ACTIVE
        assert stored(id).expires_at > in_days(6)
        assert drift() == {}
    done = actions(id)
    assert done.count("instance.renew") == 25
    assert set(done) <= {"instance.renew", "instance.expire"}


def test_two_renewals_at_once_are_one_renewal_and_one_reason(app, make_instance):
    instance, _ = make_instance()
    id = instance.id
    end(id, marked=True)

    def renew() -> str:
        with app.app_context():
            try:
                lifecycle.renew(db.session.get(Instance, id), in_days(7), LONGEST, ACTOR)
            except Conflict as refused:
                return str(refused)
        return ""

    said = sorted(at_once([renew, renew]))

    assert said[0] == "" and "has not ended" in said[1]
    assert actions(id).count("instance.renew") == 1
    assert drift() == {}


# Its name and its tools


def test_a_renamed_instance_has_its_new_name_everywhere(app, alice, make_instance):
    instance, token = make_instance(label="Work")

    page = submit(alice, instance.id, "rename", label="  Side   project ")

    assert "It is called Side project now." in page.text
    assert "Side project" in alice.get("/instances").text
    assert works(app, instance.id, token)
    assert audited(instance.id)[-1].details == {"before": "Work", "after": "Side project"}


@pytest.mark.parametrize("label", ["", "   ", "x" * 81, "a\u202eb", "a\u200bb"])
def test_a_name_that_can_not_be_shown_is_refused(label, alice, make_instance):
    instance, _ = make_instance(label="Work")

    submit(alice, instance.id, "rename", label=label)

    assert stored(instance.id).label == "Work"
    assert actions(instance.id) == []


def choose(browser: FormClient, instance_id: UUID, choice: str, picked: tuple[str, ...] = ()) -> Page:
    """Send the form that chooses tools."""
    form = browser.get(f"/instances/{instance_id}/tools").form("/tools")
    form.fields = [(name, value) for name, value in form.fields if name != "picked"]
    form.fields += [("picked", name) for name in picked]
    return browser.submit(form, choice=choice)


def test_with_reading_tools_only_the_others_are_neither_listed_nor_callable(app, alice, make_instance):
    instance, token = make_instance()
    service = house().registry.services["github"]
    reading = {name for name, tool in service.tools.items() if tool.read_only}
    assert listed(app, instance.id, token) == set(service.tools)

    page = choose(alice, instance.id, "read_only")

    assert "The choice of tools is saved." in page.text
    assert listed(app, instance.id, token) == reading
    assert works(app, instance.id, token)
    writing = next(name for name in service.tools if name not in reading)
    assert "not switched on" in str(call(app, instance.id, token, writing)[1]["error"])
    assert "switched on" not in str(call(app, instance.id, token, "get_me")[1])


def test_a_tool_that_is_not_picked_is_off_from_the_next_call_on_until_all_are_chosen_again(app, alice, make_instance):
    instance, token = make_instance()
    assert works(app, instance.id, token)

    choose(alice, instance.id, "picked", ("list_issues",))
    assert listed(app, instance.id, token) == {"list_issues"}
    assert "not switched on" in refusal(app, instance.id, token)

    choose(alice, instance.id, "all")
    assert works(app, instance.id, token)
    assert stored(instance.id).enabled_tools is None, "all means those of later versions too"
    assert [event.details["after"] for event in audited(instance.id)[1:]] == [["list_issues"], None]


@pytest.mark.parametrize("picked", [(), ("no_such_tool",)])
def test_picking_nothing_or_something_unknown_is_refused(picked, app, alice, make_instance):
    instance, token = make_instance()

    page = choose(alice, instance.id, "picked", picked)

    assert page.status == 422
    assert works(app, instance.id, token)
    assert actions(instance.id) == []


def test_a_tool_switched_off_while_a_call_waits_for_a_slot_is_not_run(app, make_instance, monkeypatch, github):
    instance, token = make_instance()
    endpoint = app.extensions["mcpweb_house"].access
    get_again = endpoint.get_again

    def switch_off_in_between(*arguments: object) -> object:
        """Just before the credential is used."""
        with app.app_context():
            lifecycle.choose_tools(db.session.get(Instance, instance.id), ["list_issues"], ACTOR)
        return get_again(*arguments)

    monkeypatch.setattr(endpoint, "get_again", switch_off_in_between)
    before = len(github.seen)

    assert "not switched on" in refusal(app, instance.id, token)
    assert len(github.seen) == before


# Its deletion


def test_deleting_wants_the_name_and_then_takes_all_but_the_logs(app, alice, make_instance):
    instance, token = make_instance(label="My work")
    id = instance.id
    assert works(app, instance.id, token)
    folder = events.files().instance_folder(instance.owner_id, id)
    assert list(folder.glob("access-*.jsonl"))

    page = alice.get(f"/instances/{id}/delete")
    assert "30 days" in page.text
    page = alice.submit(page.form("/delete"), label="my work")
    assert page.status == 422
    assert "Type: My work" in page.text
    assert works(app, instance.id, token)

    page = alice.submit(page.form("/delete"), label=" My work ")

    assert page.path == "/instances"
    assert re.search(r"My work was deleted on \d+ \w+ \d{4}, \d\d:\d\d UTC", page.text)
    assert refusal(app, id, token) == "unauthorized"
    assert alice.get(f"/instances/{id}").status == 410
    assert stored(id) is None
    assert db.session.query(InstanceToken).count() == 0
    assert drift() == {}
    last = audited(id)[-1]
    assert (last.action, last.actor, last.details["label"]) == ("instance.delete", ACTOR, "My work")
    assert list(folder.glob("access-*.jsonl")), "its logs stay for their retention"
    assert house().access.sweep() == 0, "no access is remembered, so no credential is"


@pytest.mark.parametrize("status", list(Status))
def test_an_instance_can_be_deleted_in_every_state(status, make_instance):
    instance, _ = make_instance()
    make_instance("bob@example.com")
    if status == Status.INACTIVE:
        lifecycle.deactivate(instance, ACTOR)
    if status == Status.EXPIRED:
        end(instance.id, marked=True)

    lifecycle.remove(stored(instance.id), ACTOR)

    assert stored(instance.id) is None
    assert drift() == {}


def test_a_deletion_sent_twice_deletes_once_and_then_finds_nothing(alice, make_instance):
    id = make_instance(label="Work")[0].id
    form = alice.get(f"/instances/{id}/delete").form("/delete")
    tabs = [alice.twin() for _ in range(3)]

    answers = at_once([lambda tab=tab: tab.submit(form, label="Work") for tab in tabs])

    first, *others = sorted(answer.status for answer in answers)
    assert first == 200 and set(others) <= {404, 410}
    assert actions(id) == ["instance.delete"]
    assert drift() == {}


def test_calls_that_race_a_deletion_succeed_or_are_refused_and_never_break(app, make_instance):
    instance, token = make_instance()
    id = instance.id
    answers: list[int] = []

    def go_on_calling() -> None:
        while not answers or answers[-1] == 200:
            answers.append(call(app, id, token)[0])

    def delete() -> None:
        with app.app_context():
            lifecycle.remove(db.session.get(Instance, id), ACTOR)

    at_once([go_on_calling, go_on_calling, go_on_calling, delete])

    assert set(answers) <= {200, 401}
    assert call(app, id, token)[0] == 401
    assert db.session.query(InstanceToken).count() == 0


CHANGES: dict[str, Callable[[Instance], object]] = {
    "off": lambda row: lifecycle.deactivate(row, ACTOR),
    "on": lambda row: lifecycle.activate(row, ACTOR),
    "extend": lambda row: lifecycle.extend(row, in_days(60), LONGEST, ACTOR),
    "renew": lambda row: lifecycle.renew(row, in_days(60), LONGEST, ACTOR),
    "rename": lambda row: lifecycle.rename(row, "Other", ACTOR),
    "tools": lambda row: lifecycle.choose_tools(row, ["get_me"], ACTOR),
    "add a token": lambda row: tokens.add(row, "CI", ACTOR),
    "rotate": lambda row: tokens.rotate(row, row.tokens[0].id, timedelta(hours=1), ACTOR),
    "revoke": lambda row: tokens.revoke(row, row.tokens[0].id, ACTOR),
    "check now": lambda row: rekeying.check_again(row, house().registry.services["github"], ACTOR),
    "delete": lambda row: lifecycle.remove(row, ACTOR),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_an_instance_that_was_deleted_meanwhile_finds_nothing(change, app, make_instance):
    instance, _ = make_instance()
    id = instance.id
    row = stored(id)
    assert row.tokens

    def delete() -> None:
        with app.app_context():
            lifecycle.remove(db.session.get(Instance, id), "carol@example.com")

    Context().run(delete)

    with pytest.raises(NotFound):
        CHANGES[change](row)
    db.session.rollback()
    assert actions(id) == ["instance.delete"]


def test_everybody_changing_at_once_while_it_is_deleted_ends_without_a_failure(app, make_instance):
    for _ in range(4):
        instance, _ = make_instance()
        id = instance.id

        def do(change: Callable[[Instance], object], id: UUID = id) -> None:
            with app.app_context():
                row = db.session.get(Instance, id)
                try:
                    if row and row.tokens:
                        change(row)
                except AppError:
                    db.session.rollback()

        at_once([lambda change=change: do(change) for change in CHANGES.values()])
        assert stored(id) is None
        assert actions(id)[-1] == "instance.delete"
        assert drift() == {}
    assert db.session.query(InstanceToken).count() == 0


# Whose it is


def life_routes(app) -> list[tuple[str, str]]:
    """Every address below an instance that changes it or shows how, with its method."""
    found = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("life."):
            path = rule.rule.replace("<int(max=2147483647):token_id>", "{token}").replace(
                "<uuid:instance_id>", "{instance}"
            )
            found += [(method, path) for method in rule.methods & {"GET", "POST"}]
    return found


def test_for_everybody_else_there_is_no_such_instance(app, bob, make_instance):
    instance, token = make_instance(label="Work")
    token_id, mine, absent = instance.tokens[0].id, str(instance.id), str(uuid4())
    values = {"label": "Work", "lifetime": "30", "overlap": "now", "choice": "all", "csrf_token": csrf(bob)}
    values["credential-token"] = TOKENS["github"]["good"]
    routes = life_routes(app)
    assert len(routes) >= 12

    for method, path in routes:
        foreign = bob.open(method, path.format(instance=mine, token=token_id), values)
        nothing = bob.open(method, path.format(instance=absent, token=token_id), values)
        assert (foreign.status, nothing.status) == (404, 404), path
        assert plain(foreign, mine) == plain(nothing, absent), path

    assert works(app, instance.id, token)
    assert actions(instance.id) == []


def test_without_a_form_token_nothing_changes(app, alice, make_instance):
    instance, token = make_instance(label="Work")

    for method, path in life_routes(app):
        if method == "POST":
            answer = alice.open(
                "POST", path.format(instance=instance.id, token=instance.tokens[0].id), {"label": "Work"}
            )
            assert answer.status == 400, path

    assert works(app, instance.id, token)
    assert actions(instance.id) == []


def test_ones_token_of_another_instance_is_not_found_here(alice, make_instance):
    first, second = make_instance()[0], make_instance()[0]
    other = second.tokens[0].id

    for action in ("revoke", "rotate"):
        values = {"csrf_token": csrf(alice), "overlap": "now"}
        assert alice.open("POST", f"/instances/{first.id}/tokens/{other}/{action}", values).status == 404

    assert actions(second.id) == []


def test_an_instance_of_a_disabled_owner_refuses_the_next_call(app, make_instance):
    instance, token = make_instance()
    assert works(app, instance.id, token)

    with transaction():
        user(ACTOR).is_enabled = False
    house().propagation.changed(instance.id)

    assert refusal(app, instance.id, token) == "unauthorized"


def test_a_change_whose_audit_can_not_be_written_is_not_made(app, make_instance, monkeypatch):
    instance, token = make_instance()

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(lifecycle.audit, "record", fail)
    for change in (lifecycle.deactivate, lifecycle.remove):
        with pytest.raises(OSError):
            change(stored(instance.id), ACTOR)
    monkeypatch.undo()

    assert works(app, instance.id, token)
    assert drift() == {}
