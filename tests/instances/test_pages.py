"""The list of instances and the page of one."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import uuid4

import pytest

from mcpweb import clock
from mcpweb.database import db, transaction
from mcpweb.instances.house import house
from mcpweb.instances.models import CredentialState, Instance, InstanceToken, Status
from mcpweb.logs import events
from tests.conftest import URL
from tests.instances.endpoint import call, works


def change(instance: Instance, **fields: object) -> None:
    with transaction():
        row = db.session.get(Instance, instance.id)
        for name, value in fields.items():
            setattr(row, name, value)


def test_without_an_instance_the_services_are_offered(alice):
    page = alice.get("/instances")

    assert {"/services/github/connect", "/services/figma/connect"} <= set(page.links)


def test_ones_own_instances_are_listed_and_nobody_elses(alice, bob, make_instance):
    mine, _ = make_instance(label="My repos")
    theirs, _ = make_instance("bob@example.com", label="Their repos")

    page = alice.get("/instances")

    assert f"/instances/{mine.id}" in page.links and "My repos" in page.text
    assert str(theirs.id) not in page.text and "Their repos" not in page.text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=repo", {"Repos"}),
        ("q=REPO", {"Repos"}),
        ("q=octocat", {"Repos", "100%", "Ended"}),
        ("q=%25", {"100%"}),
        ("q=_", set()),
        ("q=%5C", set()),
        ("q='; DROP TABLE instance; --", set()),
        ("q=%00repo", {"Repos"}),
        ("service=github", {"Repos", "100%", "Ended"}),
        ("service=figma", set()),
        ("service=nothing", set()),
        ("state=expired", {"Ended"}),
        ("state=active", {"Repos", "100%"}),
        ("state=inactive", set()),
        ("state=nonsense", {"Repos", "100%", "Ended"}),
        ("q=repo&state=active&service=github", {"Repos"}),
    ],
)
def test_filters_find_what_fits_and_nothing_more(query, found, alice, make_instance):
    for label in ("Repos", "100%", "Ended"):
        instance, _ = make_instance(label=label)
    change(instance, expires_at=clock.utcnow() - timedelta(seconds=1))

    page = alice.get(f"/instances?{query}")

    assert page.status == 200
    assert {label for label in ("Repos", "100%", "Ended") if f">{label}</a>" in page.text} == found
    assert bool(found) != ("No match" in page.text)


def test_the_page_shows_what_there_is_to_know(alice, make_instance):
    instance, token = make_instance(label="Work <b>")

    page = alice.get(f"/instances/{instance.id}")

    for words in (f"{URL}/mcp/{instance.id}", "Work &lt;b&gt;", "octocat", "Active", f"…{token[-4:]}", "Key works"):
        assert words in page.text, words
    assert "Waiting for the first call" in page.text
    for tool in house().registry.services["github"].tools.values():
        assert f"<code>{tool.name}</code>" in page.text


def test_the_first_call_is_shown_as_soon_as_it_has_come(alice, app, make_instance):
    instance, token = make_instance()
    assert works(app, instance.id, token)
    assert call(app, instance.id, token, tool="no_such_tool")[0] == 200

    page = alice.get(f"/instances/{instance.id}")

    assert "Last calls" in page.text and "Waiting for the first call" not in page.text
    assert "<code>get_me</code>" in page.text and "<code>no_such_tool</code>" in page.text


def test_an_instance_is_shown_as_ended_at_its_end_although_no_job_has_run(alice, make_instance):
    instance, _ = make_instance()
    change(instance, expires_at=clock.utcnow() - timedelta(milliseconds=1))

    assert "This instance has ended" in alice.get(f"/instances/{instance.id}").text
    assert "Expired" in alice.get("/instances").text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"status": Status.INACTIVE}, "switched off"),
        ({"credential_state": CredentialState.REJECTED}, "GitHub refuses the key"),
        ({"credential_state": CredentialState.UNVERIFIED, "credential_checked_at": None}, "not verified yet"),
        ({"expires_at": clock.utcnow() + timedelta(days=2)}, "in 2 days"),
        ({"account_label": "", "scopes": None}, "Unknown"),
    ],
    ids=["inactive", "rejected", "unverified", "soon", "unknown"],
)
def test_the_state_of_an_instance_is_said_in_words(fields, words, alice, make_instance):
    instance, _ = make_instance()
    change(instance, **fields)

    assert words in alice.get(f"/instances/{instance.id}").text


def test_an_ending_soon_is_marked_in_the_list(alice, make_instance):
    make_instance(days=30)
    assert "Ends soon" not in alice.get("/instances").text
    ending, _ = make_instance(days=2)
    assert "Ends soon" in alice.get("/instances").text
    assert "This instance ends soon" in alice.get(f"/instances/{ending.id}").text


def test_what_needs_its_owner_stands_above_the_list_with_the_way_out(alice, make_instance):
    _, refused, off = (make_instance(label=label)[0] for label in ("Fine", "Refused", "Off"))
    change(refused, credential_state=CredentialState.REJECTED)
    change(off, credential_state=CredentialState.REJECTED, status=Status.INACTIVE)
    ending, _ = make_instance(label="Ending", days=2)

    page = alice.get("/instances").text

    above = page.partition('<ul class="needs">')[2].partition("</ul>")[0]
    assert "2 instances need you" in page
    assert f'href="/instances/{refused.id}/credential">Replace the key<' in above
    assert f'href="/instances/{ending.id}/extend">Extend it<' in above
    assert "Fine" not in above and "Off" not in above
    change(refused, credential_state=CredentialState.OK)
    change(ending, expires_at=clock.utcnow() + timedelta(days=20))
    assert "need you" not in alice.get("/instances").text and "needs you" not in alice.get("/instances").text


def test_a_revoked_token_is_not_listed(alice, make_instance):
    instance, token = make_instance()
    with transaction():
        db.session.query(InstanceToken).update({"revoked_at": clock.utcnow()})

    page = alice.get(f"/instances/{instance.id}")

    assert token[-4:] not in page.text
    assert "No token is left" in page.text


def test_only_the_tools_that_are_switched_on_are_listed(alice, make_instance):
    instance, _ = make_instance()
    change(instance, enabled_tools=["get_me"])

    page = alice.get(f"/instances/{instance.id}")

    assert "<code>get_me</code>" in page.text and "<code>get_user</code>" not in page.text


def test_an_instance_of_a_service_that_is_gone_is_still_shown(alice, app, make_instance, monkeypatch):
    instance, token = make_instance()
    monkeypatch.delitem(house().registry.services, "github")  # type: ignore[arg-type]
    house().access.clear()

    assert alice.get("/instances").status == 200
    assert alice.get(f"/instances/{instance.id}").status == 200
    assert call(app, instance.id, token)[0] == 401


@pytest.mark.parametrize(
    "lines",
    [
        ["not json"],
        [{"time": 5, "tool": "x"}],
        [{"time": "yesterday"}],
        [{"time": "2026-11-23T12:00:00"}],
        [{"tool": "without a time"}],
        [{"time": "2026-11-23T12:00:00+00:00", "duration_ms": "long", "outcome": ["a"], "tool": {"a": 1}, "client": 7}],
        [{"time": "2026-11-23T12:00:00+00:00", "tool": "<script>alert(1)</script>", "client": "<b>"}],
    ],
    ids=range(7),
)
def test_a_damaged_log_costs_its_lines_and_not_the_page(lines, alice, make_instance):
    instance, _ = make_instance()
    folder = events.files().instance_folder(instance.owner_id, instance.id)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "access-2026-11-23.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    assert alice.get("/instances").status == 200
    page = alice.get(f"/instances/{instance.id}")
    assert page.status == 200
    assert "<script>alert" not in page.text


def test_somebody_elses_instance_looks_like_none(alice, bob, carol, make_instance):
    theirs, _ = make_instance("bob@example.com")

    answers = [alice.open("GET", f"/instances/{one}") for one in (theirs.id, uuid4())]

    assert [answer.status for answer in answers] == [404, 404]
    assert carol.open("GET", f"/instances/{theirs.id}").status == 404, "an administrator sees no connections of others"


@pytest.mark.parametrize(
    "spelling",
    [
        "{id!s:.35}",
        "{{{id}}}",
        "urn:uuid:{id}",
        "{hex}",
        "{id}0",
        " {id}",
        "{id}%00",
        "0",
        "-1",
        "../etc/passwd",
        "%F0%9F",
    ],
)
def test_odd_spellings_of_an_id_are_not_found(spelling, alice, make_instance):
    instance, _ = make_instance()
    text = spelling.format(id=str(instance.id), hex=instance.id.hex)

    assert alice.open("GET", f"/instances/{text}").status == 404


def test_the_catalogue_tells_what_a_service_can_do_and_how_often_one_has_it(alice, make_instance):
    make_instance(), make_instance()

    page = alice.get("/services")

    assert "GitHub" in page.text and "Figma" in page.text
    assert f"{len(house().registry.services['github'].tools)} tools" in page.text
    assert "2 " in page.text


def test_a_logo_is_an_image_that_may_run_nothing(browser):
    answer = browser.open("GET", "/services/github/logo.svg")

    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("image/svg+xml")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
