"""Every route by everybody with every method: each route has a declared policy, and a new one without fails here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from flask import Flask
from werkzeug.routing import Rule

from mcpweb import clock
from mcpweb.accounts import links
from mcpweb.accounts.models import Role, User, UserSession
from mcpweb.database import db, transaction
from mcpweb.extensions import limiter
from mcpweb.instances import stopping
from mcpweb.instances.house import house
from mcpweb.instances.models import Instance
from mcpweb.instances.stops import Target
from mcpweb.jobs import exporting
from mcpweb.logs.export_models import LogExport
from mcpweb.logs.index import OFFSET_BITS
from mcpweb.web.current import log_index
from mcpweb.web.current import settings as current_settings
from tests.conftest import user
from tests.form_client import FormClient, Page
from tests.logs.index_lines import fill
from tests.pages import plain
from tests.spec_server import TOKENS

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SAFE = ("GET", "HEAD", "OPTIONS")
_LINE = 999
"""The log file whose only line is looked at."""


@dataclass(frozen=True)
class Policy:
    """Who may see a page. `mine`, `theirs` and `absent` fill its address, where it is about somebody's own."""

    open_to: str  # everybody, users, admins
    owned: bool = False


EVERYBODY, USERS, OWNERS = Policy("everybody"), Policy("users"), Policy("users", owned=True)
ADMINS = Policy("admins")

POLICIES = {
    "static": EVERYBODY,
    "web.home": EVERYBODY,
    "web.help_page": EVERYBODY,
    "web.theme": EVERYBODY,
    "web.choose_time_zone": USERS,
    "accounts.ask": EVERYBODY,
    "accounts.send": EVERYBODY,
    "accounts.sent": EVERYBODY,
    "accounts.code": EVERYBODY,
    "accounts.look": EVERYBODY,
    "accounts.use": EVERYBODY,
    "accounts.sign_out": USERS,
    "accounts.account": USERS,
    "accounts.revoke_session": OWNERS,
    "accounts.revoke_all_sessions": USERS,
    "instances.catalogue": USERS,
    "instances.logo": EVERYBODY,
    "instances.connect_form": USERS,
    "instances.connect": USERS,
    "instances.index": USERS,
    "instances.show": OWNERS,
    "calls.logs": OWNERS,
    "calls.export_logs": OWNERS,
    "calls.usage": OWNERS,
    "calls.arguments": OWNERS,
    "life.activate": OWNERS,
    "life.deactivate": OWNERS,
    "life.renew": OWNERS,
    "life.extend": OWNERS,
    "life.rename": OWNERS,
    "life.tools": OWNERS,
    "life.add_token": OWNERS,
    "life.revoke_token": OWNERS,
    "life.rotate_token": OWNERS,
    "life.credential": OWNERS,
    "life.check_credential": OWNERS,
    "life.delete": OWNERS,
    "admin.dashboard": ADMINS,
    "admin.hosts": ADMINS,
    "admin_logs.index": ADMINS,
    "admin_logs.lines": ADMINS,
    "admin_logs.line": ADMINS,
    "admin_log_exports.offer": ADMINS,
    "admin_log_exports.export": ADMINS,
    "admin_log_exports.prepare": ADMINS,
    "admin_log_exports.show": ADMINS,
    "admin_log_exports.file": ADMINS,
    "admin_log_exports.delete": ADMINS,
    "admin_log_searches.save": ADMINS,
    "admin_log_searches.delete": ADMINS,
    "admin_log_searches.looks": ADMINS,
    "admin_people.index": ADMINS,
    "admin_people.invite": ADMINS,
    "admin_people.show": ADMINS,
    "admin_people.role": ADMINS,
    "admin_people.disable": ADMINS,
    "admin_people.enable": ADMINS,
    "admin_people.sign_out": ADMINS,
    "admin_people.send_link": ADMINS,
    "admin_people.delete_instances": ADMINS,
    "admin_instances.index": ADMINS,
    "admin_instances.show": ADMINS,
    "admin_instances.stop": ADMINS,
    "admin_instances.lift": ADMINS,
    "admin_services.index": ADMINS,
    "admin_services.disable": ADMINS,
    "admin_services.enable": ADMINS,
    "admin_stops.index": ADMINS,
    "admin_stops.everything": ADMINS,
    "admin_stops.service": ADMINS,
    "admin_stops.user": ADMINS,
    "admin_stops.lift": ADMINS,
    "admin_maintenance.index": ADMINS,
    "admin_maintenance.logs": ADMINS,
    "admin_maintenance.keys": ADMINS,
    "admin_maintenance.backups": ADMINS,
    "admin_maintenance.show": ADMINS,
    "admin_maintenance.run": ADMINS,
    "admin_maintenance.schedule_form": ADMINS,
    "admin_maintenance.schedule": ADMINS,
    "admin_maintenance.reset": ADMINS,
    "admin_maintenance.drop_cache": ADMINS,
    "admin_policies.index": ADMINS,
    "admin_policies.form": ADMINS,
    "admin_policies.change": ADMINS,
    "admin_policies.restore": ADMINS,
    "admin_mode.show": ADMINS,
    "admin_mode.switch_on": ADMINS,
    "admin_mode.switch_off": ADMINS,
    "admin_alerts.index": ADMINS,
    "admin_alerts.acknowledge": ADMINS,
    "admin_alerts.send_test": ADMINS,
    "monitoring.alive": EVERYBODY,
    "monitoring.ready": EVERYBODY,
}


@dataclass
class World:
    """The application with Alice, who owns, Bob, who must not see, Carol, who administers, and nobody."""

    app: Flask
    people: dict[str, FormClient]
    tokens: dict[str, str]
    addresses: dict[str, dict[str, str]]
    """By whose it is (mine, theirs, absent): the values for the variable parts of addresses."""
    secrets: list[str]
    """The keys and tokens of the instances."""

    def url(self, rule: Rule, whose: str) -> str:
        values = {name: self.addresses[whose][name] for name in rule.arguments}
        return self.app.url_map.bind("localhost").build(rule.endpoint, values)


@pytest.fixture
def world(
    app: Flask,
    alice: FormClient,
    bob: FormClient,
    carol: FormClient,
    browser: FormClient,
    make_instance: Callable[..., tuple[Instance, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    """Everybody signed in, with an instance each for Alice and Bob."""
    monkeypatch.setattr(limiter, "enabled", False)
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    people = {"alice": alice, "bob": bob, "carol": carol, "nobody": browser}
    link = links.direct_link("dave@example.com", Role.USER, links.Links.of(current_settings()))
    shared = {
        "filename": "css/base.css",
        "name": "github",
        "kind": "csv",
        "token": link,
        "job": "recount",
        "section": "logs",
        "policy": "log_days",
        "alert_id": "1",
        "line_id": str(_LINE << OFFSET_BITS),
        "search_id": "987654",
    }
    fill(log_index(), 1, file_id=_LINE)
    shared["export_id"] = str(_export())
    shared["stop_id"] = _over()
    rows = {who: _session_of(f"{who}@example.com") for who in ("alice", "bob")}
    made = {who: make_instance(f"{who}@example.com") for who in ("alice", "bob")}
    instances = {who: str(instance.id) for who, (instance, _) in made.items()}
    tokens = {who: str(instance.tokens[0].id) for who, (instance, _) in made.items()}
    return World(
        app,
        people,
        {who: _form_token(person) for who, person in people.items()},
        {
            "mine": {
                **shared,
                "session_id": rows["alice"],
                "instance_id": instances["alice"],
                "token_id": tokens["alice"],
                "user_id": str(user("alice@example.com").id),
            },
            "theirs": {
                **shared,
                "session_id": rows["bob"],
                "instance_id": instances["bob"],
                "token_id": tokens["bob"],
                "user_id": str(user("bob@example.com").id),
            },
            "absent": {
                **shared,
                "session_id": "987654",
                "instance_id": str(uuid4()),
                "token_id": "987654",
                "user_id": "987654",
            },
        },
        [TOKENS["github"]["good"], *(token for _, token in made.values())],
    )


def _export() -> UUID:
    """An export that Carol had prepared, with its file."""
    moment, host = clock.utcnow(), house().propagation.host
    asked = {"text": "", "since": "", "until": "", "equal": {}, "unequal": {}}
    times = {"asked_at": moment, "seen_at": moment, "finished_at": moment}
    owner = user("carol@example.com").id
    with transaction():
        export = LogExport(user_id=owner, host=host, kind="txt", asked=asked, state="done", **times)
        db.session.add(export)
    path = exporting.folder(current_settings()) / export.file_name
    path.parent.mkdir(exist_ok=True)
    path.write_text("as if it were compressed")
    return export.id


def _over() -> str:
    """A stop that is over."""
    row = stopping.stop(Target(), "A test.", timedelta(hours=1), "carol@example.com")
    stopping.lift(row, "carol@example.com")
    return str(row.id)


def _session_of(email: str) -> str:
    row = db.session.query(UserSession).filter_by(user_id=user(email).id).first()
    assert row
    return str(row.id)


def _form_token(person: FormClient) -> str:
    return dict(person.get("/help").form("/theme").fields)["csrf_token"]


def rules(app: Flask) -> Iterator[Rule]:
    """Every route, those that end sessions last: they would sign people out before the others were tried."""
    yield from sorted(
        app.url_map.iter_rules(), key=lambda rule: ("revoke" in rule.rule or "out" in rule.rule, rule.rule)
    )


def methods(app: Flask, rule: Rule, url: str) -> set[str]:
    """What the address takes, by whichever of the routes that share it."""
    return set(app.url_map.bind("localhost").allowed_methods(url)) | {"OPTIONS"}


def counted() -> tuple[int, ...]:
    """How much there is of everything."""
    db.session.expire_all()
    ended = db.session.query(UserSession).filter(UserSession.revoked_at.isnot(None)).count()
    return (*(db.session.query(model).count() for model in (User, UserSession, Instance)), ended)


def test_every_route_has_a_declared_policy(app):
    assert {rule.endpoint for rule in app.url_map.iter_rules()} == set(POLICIES)


def test_a_policy_for_everybody_is_what_the_code_says_too(app):
    marked = {name for name, view in app.view_functions.items() if getattr(view, "is_public", False)} | {"static"}

    assert marked == {name for name, policy in POLICIES.items() if policy.open_to == "everybody"}


def test_no_answer_is_a_fault_or_lacks_its_headers_no_method_is_taken_by_mistake_and_nothing_changes(world):
    """Without the token of a form, that is; one walk, as some thousand requests take long."""
    wrong, before = [], counted()
    for rule in rules(world.app):
        for who, person in world.people.items():
            for whose in world.addresses if POLICIES[rule.endpoint].owned else ("mine",):
                url = world.url(rule, whose)
                taken = methods(world.app, rule, url)
                for method in METHODS:
                    data = None if method in taken else {"csrf_token": world.tokens[who]}
                    answer = person.open(method, url, data)
                    is_refused = method in taken or answer.status == 405
                    if answer.status >= 500 or not is_refused or not _has_headers(answer):
                        wrong.append((who, method, answer.url, answer.status))
    assert wrong == []
    assert counted() == before


def _has_headers(answer: Page) -> bool:
    headers = answer.headers
    return (
        "frame-ancestors 'none'" in headers.get("Content-Security-Policy", "")
        and headers.get("X-Content-Type-Options") == "nosniff"
        and headers.get("X-Frame-Options") == "DENY"
        and headers.get("Referrer-Policy") in ("same-origin", "strict-origin")
        and bool(headers.get("X-Request-Id"))
        and ("no-store" in headers.get("Cache-Control", "") or answer.url.endswith((".css", ".svg")))
    )


def test_a_stranger_sees_what_is_open_to_everybody_and_is_sent_to_sign_in_for_the_rest(world):
    nobody, before = world.people["nobody"], counted()
    for rule in rules(world.app):
        if POLICIES[rule.endpoint].open_to == "everybody":
            continue
        for whose in world.addresses:
            url = world.url(rule, whose)
            for method in sorted(methods(world.app, rule, url)):
                answer = nobody.open(method, url, {"csrf_token": world.tokens["nobody"]})
                location = answer.headers.get("Location", "")
                assert (answer.status, location.partition("?")[0]) == (303, "/sign-in"), (method, url, answer.status)
                assert ("next=" in location) == (method in SAFE)
    assert counted() == before


def test_what_is_somebody_elses_looks_exactly_like_what_is_not_there(world):
    before = counted()
    for rule in rules(world.app):
        if not POLICIES[rule.endpoint].owned:
            continue
        for who in ("alice", "carol"):
            person, token = world.people[who], {"csrf_token": world.tokens[who]}
            for method in sorted(methods(world.app, rule, world.url(rule, "mine")) - {"OPTIONS"}):
                theirs, absent = (person.open(method, world.url(rule, whose), token) for whose in ("theirs", "absent"))
                assert theirs.status == absent.status == 404, (who, method, theirs.url)
                assert plain(theirs, theirs.path) == plain(absent, absent.path)
                names = [[name for name, _ in page.headers if name != "Set-Cookie"] for page in (theirs, absent)]
                assert names[0] == names[1]
    assert counted() == before


def test_the_administrators_pages_are_not_there_for_anybody_else(world):
    before = counted()
    for rule in rules(world.app):
        is_theirs = POLICIES[rule.endpoint].open_to == "admins"
        assert is_theirs == rule.rule.startswith("/admin"), rule.rule
        if not is_theirs:
            continue
        url = world.url(rule, "mine")
        for who in ("alice", "bob"):
            person, token = world.people[who], {"csrf_token": world.tokens[who]}
            for method in sorted(methods(world.app, rule, url) - {"OPTIONS"}):
                there, absent = (person.open(method, path, token) for path in (url, "/admin/nothing-of-the-kind"))
                assert there.status == 404, (who, method, url)
                assert method == "POST" or plain(there, there.path) == plain(absent, absent.path)
        if "GET" in (rule.methods or ()):
            assert world.people["carol"].open("GET", url).status in (200, 303), url
    assert counted() == before


def test_no_page_of_an_administrator_holds_a_key_or_a_token(world):
    carol, seen = world.people["carol"], 0
    for rule in rules(world.app):
        if POLICIES[rule.endpoint].open_to == "admins" and "GET" in (rule.methods or ()):
            page = carol.open("GET", world.url(rule, "mine"))
            assert not [secret for secret in world.secrets if secret in page.text or secret[-12:] in page.text], (
                page.url
            )
            assert "mcpw_" not in page.text, page.url
            seen += page.status == 200
    assert seen > 15


def test_what_is_ones_own_is_there(world):
    alice = world.people["alice"]
    for rule in rules(world.app):
        if POLICIES[rule.endpoint].owned and "GET" in (rule.methods or ()):
            assert alice.open("GET", world.url(rule, "mine")).status == 200
            assert alice.open("HEAD", world.url(rule, "mine")).status == 200


def test_no_change_is_made_without_a_form_token(world):
    before = counted()
    for rule in rules(world.app):
        if "POST" not in (rule.methods or ()):
            continue
        for who, person in world.people.items():
            others = next(token for name, token in world.tokens.items() if name != who)
            for data in ({}, {"csrf_token": ""}, {"csrf_token": "x"}, {"csrf_token": others}):
                answer = person.open("POST", world.url(rule, "mine"), data)
                assert answer.status == 400, (who, answer.url, data, answer.status)
                assert "Please send the form again" in answer.text
    assert counted() == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_no_change_is_made_for_another_site(headers, world):
    before = counted()
    for rule in rules(world.app):
        if "POST" not in (rule.methods or ()):
            continue
        for who, person in world.people.items():
            answer = person.open("POST", world.url(rule, "mine"), {"csrf_token": world.tokens[who]}, **headers)
            assert answer.status == 403, (who, answer.url, answer.status)
    assert counted() == before


def test_an_administrator_has_no_more_rights_over_connections_than_anybody(world):
    for whose in ("mine", "theirs"):
        assert world.people["carol"].open("GET", f"/instances/{world.addresses[whose]['instance_id']}").status == 404
