"""Users as administrators see them: found, given a role, shut out at once, let in again, invited, tidied up after."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest
from sqlalchemy import text

from mcpweb.accounts import administration
from mcpweb.accounts.models import Role, User, UserSession
from mcpweb.clock import utcnow
from mcpweb.database import db, transaction
from mcpweb.errors import Conflict
from mcpweb.instances.models import Instance
from mcpweb.logs.models import AuditEvent
from tests.conftest import user
from tests.form_client import FormClient, Page
from tests.instances import endpoint, living
from tests.parallel import at_once
from tests.spec_server import TOKENS
from tests.waiting import until

ALICE, BOB, CAROL = (f"{name}@example.com" for name in ("alice", "bob", "carol"))


def page_of(email: str) -> str:
    return f"/admin/users/{user(email).id}"


def act(person: FormClient, email: str, verb: str, button: str = "", **values: str) -> Page:
    """Open the page of a user and send one of its forms."""
    path = page_of(email)
    return person.submit(person.get(path).form(f"{path}/{verb}"), button, **values)


def press(person: FormClient, email: str, verb: str, **values: str) -> Page:
    """Send a change of a user without its button being on the page, as from a page that was left open."""
    return person.post(f"{page_of(email)}/{verb}", {"csrf_token": form_token(person), **values})


def form_token(person: FormClient) -> str:
    return dict(person.get("/help").form("/theme").fields)["csrf_token"]


def audited(action: str) -> list[tuple[str, str]]:
    """Who did this to whom, oldest first."""
    db.session.rollback()
    found = db.session.query(AuditEvent).filter_by(action=action).order_by(AuditEvent.seq)
    return [(event.actor, event.subject) for event in found]


def admins() -> list[str]:
    db.session.rollback()
    found = db.session.query(User).filter_by(role=Role.ADMIN, is_enabled=True).order_by(User.email)
    return [row.email for row in found.execution_options(populate_existing=True)]


def listed(page: Page) -> list[str]:
    return re.findall(r'class="row-link" href="/admin/users/\d+">([^<]+)<', page.text)


@contextmanager
def both_checked_before_either_goes_on(number: int) -> Iterator[None]:
    """Hold up whoever audits until all wait: for that, or for their turn. SQLite lets one in at a time anyway."""
    if db.engine.dialect.name != "postgresql":
        yield
        return
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")

    def hold(held: threading.Event) -> None:
        with engine.connect() as holder, holder.begin():
            holder.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('audit chain', 0))"))
            held.set()
            until(lambda: holder.execute(waiting).scalar_one() == number, "both wait")

    engine, held = db.engine, threading.Event()
    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold, held)
        assert held.wait(10)
        yield
        holding.result()


def test_everybody_is_listed_and_found_by_a_part_of_the_address(carol, alice, bob, make_instance):
    make_instance()

    page = carol.get("/admin/users")
    assert listed(page) == [ALICE, BOB, CAROL]
    assert "3 accounts" in page.text
    assert page.form("/admin/users", holding="q").has("state")
    assert listed(carol.get("/admin/users?q=ALI")) == [ALICE]
    assert listed(carol.get("/admin/users?state=admin")) == [CAROL]
    assert listed(carol.get("/admin/users?state=disabled")) == []
    nobody = carol.get("/admin/users?q=%25").text
    assert "No match" in nobody and "0 accounts found." in nobody
    assert "1 account found." in carol.get("/admin/users?state=admin").text
    assert carol.get("/admin/users?q=%00&state=nonsense&page=-1").status == 200


def test_a_long_list_has_pages(carol):
    with transaction():
        db.session.add_all(User(email=f"user{n:02}@example.org", created_at=utcnow()) for n in range(60))

    first = carol.get("/admin/users?q=example.org")
    second = carol.get("/admin/users?q=example.org&page=2")

    assert (len(listed(first)), len(listed(second))) == (50, 10)
    assert not set(listed(first)) & set(listed(second))
    assert any("page=2" in link and "q=example.org" in link for link in first.links)
    assert carol.get("/admin/users?page=99999999999999999999").status == 200


def test_who_becomes_an_administrator_is_one_at_the_next_request_and_who_was_one_is_not(carol, alice):
    assert alice.get("/admin").status == 404

    page = act(carol, ALICE, "role", "role")
    assert "is an administrator now" in page.text
    assert alice.get("/admin/users").status == 200

    act(carol, ALICE, "role", "role")
    assert alice.get("/admin/users").status == 404
    assert audited("user.role") == [(CAROL, f"user/{user(ALICE).id}")] * 2
    assert press(carol, ALICE, "role", role="emperor").status == 422


def test_nobody_changes_their_own_role_or_disables_themselves(carol, sign_in):
    sign_in("dora@example.com", Role.ADMIN)
    page = carol.get(page_of(CAROL))
    assert "This is you" in page.text and "/disable" not in str(page.forms)

    for verb, values in (("role", {"role": "user"}), ("disable", {})):
        page = press(carol, CAROL, verb, **values)
        assert page.status == 409
        assert "Another administrator can" in page.text
    assert CAROL in admins()


@pytest.mark.parametrize("verb", ["role", "disable"])
def test_of_two_administrators_who_remove_each_other_at_once_one_stays(verb, carol, sign_in):
    dora = sign_in("dora@example.com", Role.ADMIN)
    values = {"role": "user"} if verb == "role" else {}
    sent = [
        (carol, f"{page_of('dora@example.com')}/{verb}", {"csrf_token": form_token(carol), **values}),
        (dora, f"{page_of(CAROL)}/{verb}", {"csrf_token": form_token(dora), **values}),
    ]

    with both_checked_before_either_goes_on(len(sent)):
        pages = at_once([partial(person.open, "POST", path, data) for person, path, data in sent])

    assert len(admins()) == 1, [page.status for page in pages]


@pytest.mark.parametrize("change", ["demote", "disable"])
def test_the_last_administrator_stays_even_if_the_other_one_was_removed_a_moment_ago(change, carol, sign_in):
    sign_in("dora@example.com", Role.ADMIN)
    last, gone = user(CAROL), user("dora@example.com")
    with transaction():
        gone.is_enabled = False

    with pytest.raises(Conflict, match="last administrator"):
        if change == "demote":
            administration.set_role(last, Role.USER, gone)
        else:
            administration.disable(last, gone)
    assert admins() == [CAROL]


def test_a_disabled_user_is_out_of_pages_and_endpoints_with_the_next_request(app, carol, alice, make_instance):
    instance, token = make_instance()
    assert endpoint.works_from_memory(app, instance.id, token)
    assert alice.get("/instances").path == "/instances"

    page = act(carol, ALICE, "disable")

    assert "endpoints refuse every call" in page.text
    assert endpoint.call(app, instance.id, token)[0] == 401
    assert alice.get("/instances").path == "/sign-in"
    assert audited("user.disable") == [(CAROL, f"user/{user(ALICE).id}")]


def test_an_enabled_user_has_endpoints_again_but_none_of_the_old_sessions(app, carol, alice, make_instance):
    instance, token = make_instance()
    act(carol, ALICE, "disable")

    act(carol, ALICE, "enable")

    assert endpoint.works(app, instance.id, token)
    assert alice.get("/instances").path == "/sign-in"
    assert db.session.query(UserSession).filter_by(user_id=user(ALICE).id, revoked_at=None).count() == 0
    assert audited("user.enable") == [(CAROL, f"user/{user(ALICE).id}")]


def test_a_link_that_was_under_way_does_not_sign_a_disabled_user_in_later(carol, alice, browser, mailed):
    link = mailed(browser, ALICE).link
    act(carol, ALICE, "disable")
    act(carol, ALICE, "enable")

    assert browser.get(link).status == 410


def test_disabling_twice_is_disabling_once(carol, alice):
    act(carol, ALICE, "disable")

    assert press(carol, ALICE, "disable").status == 200
    assert len(audited("user.disable")) == 1


def test_signing_somebody_out_ends_every_session_and_leaves_the_endpoints_alone(
    app, carol, alice, sign_in, make_instance
):
    instance, token = make_instance()
    second = sign_in(ALICE)

    act(carol, ALICE, "sign-out")

    assert {person.get("/instances").path for person in (alice, second)} == {"/sign-in"}
    assert endpoint.works(app, instance.id, token)
    assert audited("user.sign-out") == [(CAROL, f"user/{user(ALICE).id}")]
    assert carol.get("/admin").status == 200


def test_a_sent_link_signs_in_once(carol, alice, browser, new_browser, run_jobs, mail_server):
    page = act(carol, ALICE, "link")
    assert "is on its way" in page.text
    run_jobs()

    link = mail_server.mails[-1].link
    page = browser.get(link)
    assert "Sent by an administrator" in page.text
    page = browser.submit(page.form(link))
    assert f"You are signed in as {ALICE}" in page.text
    assert new_browser().get(link).status == 410
    assert audited("user.send-link") == [(CAROL, f"user/{user(ALICE).id}")]


def test_no_link_is_sent_to_who_is_disabled(carol, alice, run_jobs, mail_server):
    act(carol, ALICE, "disable")

    page = press(carol, ALICE, "link")

    assert page.status == 409 and "is disabled, so no link would sign in" in page.text
    run_jobs()
    assert mail_server.mails == []


def test_who_is_invited_gets_in_where_nobody_else_may_sign_up(other_app, new_browser, carol, run_jobs, mail_server):
    app = other_app(sign_up="invite")
    page = carol.get("/admin/users")
    page = carol.submit(page.form("/admin/users/invite"), email="Eve@Example.org")
    assert page.path == page_of("eve@example.org")
    run_jobs(app)

    link = mail_server.mails[-1].link
    browser = new_browser()
    page = browser.get(link)
    page = browser.submit(page.form(link))

    assert "You are signed in as eve@example.org" in page.text
    assert not user("eve@example.org").is_admin
    assert audited("user.invite") == [(CAROL, f"user/{user('eve@example.org').id}")]


def test_who_has_an_account_is_not_invited_again(carol, alice, run_jobs, mail_server):
    page = carol.submit(carol.get("/admin/users").form("/admin/users/invite"), email=ALICE)
    assert page.status == 409 and "has an account already" in page.text

    page = carol.submit(carol.get("/admin/users").form("/admin/users/invite"), email="nonsense")
    assert page.status == 422
    run_jobs()
    assert mail_server.mails == []


def test_what_a_leaver_connected_is_deleted_when_their_address_is_typed(app, carol, alice, make_instance):
    mine = [make_instance(label=label)[0].id for label in ("Work", "Home")]
    others = make_instance(BOB)[0].id
    act(carol, ALICE, "disable")
    path = f"{page_of(ALICE)}/delete-instances"

    page = carol.submit(carol.get(path).form(path), email=BOB)
    assert page.status == 422 and living.stored(mine[0])

    page = carol.submit(page.form(path), email=ALICE)

    assert "is deleted (2)" in page.text
    assert [living.stored(instance_id) for instance_id in mine] == [None, None]
    assert living.stored(others)
    assert living.drift() == {}
    assert [living.audited(instance_id)[-1].actor for instance_id in mine] == [CAROL, CAROL]


def test_nothing_of_an_enabled_user_is_deleted(carol, alice, make_instance):
    make_instance()
    path = f"{page_of(ALICE)}/delete-instances"
    assert "Disable them first" in carol.get(path).text

    carol.post(path, {"csrf_token": form_token(carol), "email": ALICE})

    assert db.session.query(Instance).count() == 1


def test_no_page_holds_a_key_or_a_token(carol, alice, make_instance):
    instance, token = make_instance()
    key = TOKENS["github"]["good"]
    paths = ["/admin/users", page_of(ALICE), "/admin/instances", f"/admin/instances/{instance.id}", "/admin/services"]
    act(carol, ALICE, "disable")

    for path in [*paths, f"{page_of(ALICE)}/delete-instances"]:
        page = carol.get(path)
        assert page.status == 200
        assert not [secret for secret in (key, token, token[-4:], "mcpw_") if secret in page.text], path


def test_who_is_not_there_has_no_page(carol):
    assert carol.get("/admin/users/987654").status == 404
    assert carol.get("/admin/users/99999999999999").status == 404
