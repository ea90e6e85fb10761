"""Sign-in links: what opening, using, stealing, changing and repeating one does."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import quote

import pytest
from flask import Flask
from itsdangerous import URLSafeSerializer, URLSafeTimedSerializer

from mcpweb import clock
from mcpweb.accounts import links
from mcpweb.accounts.links import Links
from mcpweb.accounts.models import Purpose, User, UserSession, UserToken
from mcpweb.crypto import derive
from mcpweb.database import db, transaction
from mcpweb.settings import Settings
from mcpweb.web import static_files
from mcpweb.web.current import settings as current_settings
from tests.ageing import age
from tests.conftest import user
from tests.form_client import FormClient, Page
from tests.parallel import at_once


def sessions() -> int:
    return db.session.query(UserSession).count()


def use(browser: FormClient, link: str) -> Page:
    page = browser.get(link)
    return browser.submit(page.form(link))


def is_signed_in(browser: FormClient) -> bool:
    return browser.open("GET", "/account").status == 200


def test_a_mailed_link_signs_in_by_a_click_on_its_page(browser, mailed):
    mail = mailed(browser, "alice@example.com")

    page = use(browser, mail.link)

    assert "You are signed in as alice@example.com" in page.text
    assert is_signed_in(browser)
    assert mail.to == ["alice@example.com"]
    assert mail.link in mail.part("html")


def test_a_mail_scanner_that_opens_the_link_neither_uses_it_up_nor_gets_in(browser, new_browser, mailed):
    mail = mailed(browser)
    scanner = new_browser("HeadlessChrome")

    for method in ("GET", "HEAD", "GET"):
        assert scanner.open(method, mail.link).status == 200

    assert sessions() == 0
    assert not is_signed_in(scanner)
    assert "You are signed in" in use(browser, mail.link).text


def test_no_script_sends_the_form_of_a_link_and_no_other_request_carries_its_token(browser, mailed):
    mail = mailed(browser)
    page = browser.get(mail.link)
    token = mail.link.rpartition("/")[2]

    loaded = re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*>", page.text)
    assert loaded and not any(token in tag for tag in loaded)
    assert not re.search(r"<script(?![^>]*\bsrc=)", page.text)
    assert not re.search(r"\son\w+=", page.text)
    assert token not in "".join(page.links)


def test_the_page_of_a_link_is_not_stored_and_its_address_is_told_to_nobody(browser, mailed):
    page = browser.get(mailed(browser).link)

    assert page.headers["Cache-Control"] == "no-store"
    # With `no-referrer`, browsers would send `Origin: null` with the form; so only the origin is told, and to us.
    assert page.headers["Referrer-Policy"] == "strict-origin"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert not re.search(r'(?:src|href)="(?!/|#)', page.text)


def test_of_eight_who_use_one_link_at_once_exactly_one_is_signed_in(new_browser, mailed):
    browsers = [new_browser(f"browser {n}") for n in range(8)]
    link = mailed(browsers[0]).link
    forms = [(browser, browser.get(link).form(link)) for browser in browsers]

    pages = at_once([lambda pair=pair: pair[0].submit(pair[1]) for pair in forms])

    assert sorted(page.status for page in pages) == [200] + [410] * 7
    assert sessions() == 1
    assert sum(map(is_signed_in, browsers)) == 1


def test_a_used_link_says_so_and_offers_a_new_one_to_the_same_address(browser, new_browser, mailed):
    link = mailed(browser).link
    use(browser, link)
    thief = new_browser()

    page = thief.get(link)

    assert page.status == 410
    assert "used already" in page.text
    assert ("email", "alice@example.com") in page.form("/sign-in").fields
    assert not is_signed_in(thief)


def test_opening_a_used_link_while_signed_in_just_goes_on(browser, mailed):
    link = mailed(browser).link
    use(browser, link)

    page = browser.get(link)

    assert (page.status, page.path) == (200, "/instances")


def test_a_link_ends_after_ten_minutes(browser, mailed):
    link = mailed(browser).link
    page = browser.get(link)
    assert timedelta(minutes=10) >= links.LINK_LIFE
    age(UserToken, links.LINK_LIFE)

    late = browser.submit(page.form(link))

    assert late.status == 410
    assert "has expired" in late.text
    assert ("email", "alice@example.com") in late.form("/sign-in").fields
    assert sessions() == 0


def test_a_link_made_by_a_host_whose_clock_is_ahead_works_and_lives_no_longer(browser, mailed):
    link = mailed(browser).link
    age(UserToken, timedelta(minutes=-2))
    assert browser.get(link).status == 200
    age(UserToken, timedelta(minutes=12))
    assert browser.get(link).status == 410


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_clock_of_the_database_decides_when_a_link_ends(browser, mailed, monkeypatch):
    link = mailed(browser).link
    made = clock.utcnow()

    monkeypatch.setattr(clock, "utcnow", lambda: made + links.LINK_LIFE - timedelta(seconds=2))
    assert browser.get(link).status == 200
    monkeypatch.setattr(clock, "utcnow", lambda: made + links.LINK_LIFE)
    assert browser.get(link).status == 410


def test_asking_anew_ends_the_link_before(browser, mailed):
    first, second = mailed(browser).link, mailed(browser).link

    assert "There is a newer link" in browser.get(first).text
    assert "You are signed in" in use(browser, second).text


def test_using_a_link_ends_what_is_pending_for_the_address(browser, new_browser, mailed, app):
    direct = f"/sign-in/{links.direct_link('alice@example.com', 'user', Links.of(current_settings()))}"
    with transaction():  # a second open link, as two hosts could make at the same moment
        db.session.query(UserToken).update({"superseded_at": None})
    mail = mailed(browser)
    with transaction():
        db.session.query(UserToken).update({"superseded_at": None})

    use(browser, mail.link)

    assert new_browser().get(direct).status == 410


def changed(link: str) -> dict[str, str]:
    """A link's text with single faults."""
    head, _, token = link.rpartition("/")
    payload, dot, signature = token.rpartition(".")
    flipped = ("B" if payload[3] != "B" else "C").join((payload[:3], payload[4:]))
    texts = {
        "payload": flipped + dot + signature,
        "signature": payload + dot + signature[:-2] + ("AA" if signature[-2:] != "AA" else "BB"),
        "cut": token[:-10],
        "unsigned": payload,
        "doubled": token + token,
        "bytes": "%ff%fe%00",
        "right-to-left": quote("\u202e" + token),
        "long": "A" * 5000,
        "dots": "...",
    }
    return {name: f"{head}/{text}" for name, text in texts.items()}


def test_a_link_that_was_changed_on_the_way_opens_nothing(browser, new_browser, mailed):
    link = mailed(browser).link

    for name, other in changed(link).items():
        stranger = new_browser()
        page = stranger.get(other)
        assert page.status == 410, name
        assert "does not work" in page.text, name
        token = browser.get(link).form(link).fields
        assert browser.open("POST", other, dict(token)).status == 410, name
    assert sessions() == 0


@pytest.mark.parametrize("purpose", ["session", "forms", "links, but of another installation"])
def test_what_another_key_has_signed_is_no_link(browser, app, settings: Settings, purpose):
    raw = "r" * 43
    key = derive(current_settings().secret_key, purpose)
    for text in (
        URLSafeSerializer(key, salt=Purpose.SIGN_IN).dumps(raw),
        URLSafeTimedSerializer(key, salt="cookie-session").dumps({"_user_id": raw}),
    ):
        assert browser.get(f"/sign-in/{text}").status == 410


def test_a_token_signed_for_another_purpose_opens_nothing(browser, mailed):
    signer = Links.of(current_settings())
    link = mailed(browser).link
    raw = URLSafeSerializer(signer.key, salt=Purpose.SIGN_IN).loads(link.rpartition("/")[2])

    for salt in (Purpose.SET_UP, "", "itsdangerous", "change-address"):
        page = browser.get(f"/sign-in/{signer.sign(salt, raw)}")
        assert (page.status, "does not work" in page.text) == (410, True), salt


def test_another_browser_is_told_whom_the_link_signs_in_and_where_it_was_asked_for(new_browser, mailed):
    asking, other = new_browser("Asking Browser/1.0"), new_browser("Other Browser/2.0")
    link = mailed(asking).link

    here, there = asking.get(link), other.get(link)

    assert "One click and you are in" in here.text
    assert "Asked for in another browser" not in here.text
    for words in ("alice@example.com", "Asked for in another browser", "Asking Browser/1.0", "127.0.0.1"):
        assert words in there.text


def test_a_link_for_somebody_else_names_both_and_switches_only_by_a_click(alice, new_browser, mailed):
    asked_by = new_browser()
    link = mailed(asked_by, "bob@example.com").link

    page = alice.get(link)

    assert "alice@example.com" in page.text and "bob@example.com" in page.text
    assert "Another account is signed in here" in page.text
    old = alice.twin()
    assert "Signed in as <strong>alice@example.com" in alice.get("/account").text
    page = alice.get(link)
    alice.submit(page.form(link))
    assert "Signed in as <strong>bob@example.com" in alice.get("/account").text
    assert not is_signed_in(old), "the session of the account before has ended"


def test_signing_in_again_as_the_same_person_replaces_the_session(alice, mailed, new_browser):
    link = mailed(new_browser()).link
    old = alice.twin()

    page = use(alice, link)

    assert "You are signed in as alice@example.com" in page.text
    assert is_signed_in(alice)
    assert not is_signed_in(old)


def test_nothing_from_before_signing_in_lives_on(browser, mailed):
    link = mailed(browser).link
    page = browser.get(link)
    before = browser.twin()
    form_token = dict(page.form(link).fields)["csrf_token"]

    browser.submit(page.form(link))

    assert is_signed_in(browser)
    assert not is_signed_in(before), "a session id that was known before signing in does not sign in"
    answer = browser.open("POST", "/sign-out", {"csrf_token": form_token})
    assert answer.status == 400, "a form token of before does not fit any more"


def test_the_wanted_page_is_kept_through_the_whole_flow(browser, mailed):
    page = browser.get("/instances?state=active&q=a%20b")
    assert page.path == "/sign-in"
    link = mailed(browser, next_path="/instances?state=active&q=a%20b").link

    page = use(browser, link)

    assert page.url.endswith("/instances?state=active&q=a%20b")


def test_a_very_long_wanted_page_does_not_stand_in_the_way_of_signing_in(browser, mailed):
    page = browser.get("/instances?q=" + "x" * 600)
    assert page.path == "/sign-in"

    page = browser.submit(page.form("/sign-in"), email="alice@example.com")

    assert page.path == "/sign-in/sent"


ELSEWHERE = [
    "https://evil.example/",
    "http:evil.example",
    "//evil.example/instances",
    "/\\evil.example/instances",
    "\\\\evil.example",
    "///evil.example",
    "/%2f%2fevil.example",
    "/%5cevil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    " //evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "instances",
    "/instances\r\nSet-Cookie: a=b",
    "/instances\u2028",
    "/no-such-page",
    "/sign-out",
    "/sign-in",
    f"{static_files.address()}/css/base.css",
    "/services//evil.example/connect",
    "@evil.example",
    "?next=//evil.example",
    "/" + "x" * 600,
]


@pytest.mark.parametrize("target", ELSEWHERE)
def test_after_signing_in_nobody_is_led_to_another_place(target, alice: FormClient, browser, app: Flask):
    link = f"/sign-in/{links.direct_link('bob@example.com', 'user', Links.of(current_settings()))}"
    with transaction():  # as if a step before had let it through
        db.session.query(UserToken).filter_by(used_at=None).update({"next_path": target[:500]})
    page = browser.get(f"{link}?next={quote(target)}")

    entered = browser.open("POST", f"{link}?next={quote(target)}", dict(page.form(link).fields))
    already = alice.open("GET", f"/sign-in?next={quote(target)}")
    theme_form = alice.get("/account").form("/theme")
    theme = alice.open("POST", "/theme", {**dict(theme_form.fields), "theme": "dark", "next": target})

    assert [answer.headers["Location"] for answer in (entered, already)] == ["/", "/"]
    assert theme.headers["Location"] == ("/sign-in" if target == "/sign-in" else "/")


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_a_wanted_page_elsewhere_is_not_even_noted(target, browser, app):
    page = browser.get(f"/sign-in?next={quote(target)}")
    assert ("next", "/") in page.form("/sign-in").fields

    browser.submit(page.form("/sign-in"), email="alice@example.com", next=target)

    assert db.session.query(UserToken).one().next_path == "/"


def test_a_disabled_user_is_not_let_in_by_a_link_of_before(browser, mailed):
    use(browser, mailed(browser).link)
    pending = f"/sign-in/{links.direct_link('alice@example.com', 'user', Links.of(current_settings()))}"
    with transaction():
        user("alice@example.com").is_enabled = False

    page = use(browser, pending)

    assert page.status == 410
    assert not is_signed_in(browser)
    assert db.session.query(UserToken).filter_by(used_at=None, superseded_at=None).count() == 1


def test_a_link_makes_its_user_once(browser, mailed):
    use(browser, mailed(browser).link)
    age(UserToken, timedelta(days=2))
    use(browser, mailed(fresh(browser)).link)

    assert [found.email for found in db.session.query(User)] == ["alice@example.com"]


def fresh(browser: FormClient) -> FormClient:
    """The same person after signing out."""
    page = browser.get("/account")
    browser.submit(page.form("/sign-out"))
    return browser
