"""The door of every page: who is let in, and from where."""

from __future__ import annotations

import io

import pytest

from tests.form_client import FormClient, InProcess


def test_a_stranger_is_sent_to_sign_in_and_comes_back_afterwards(browser):
    answer = browser.open("GET", "/services?x=1")

    assert (answer.status, answer.headers["Location"]) == (303, "/sign-in?next=/services?x%3D1")


def test_a_stranger_who_posts_is_asked_to_sign_in_and_told_why(browser):
    token = dict(browser.get("/sign-in").form("/sign-in").fields)["csrf_token"]

    page = browser.post("/account/sessions/revoke-all", {"csrf_token": token})

    assert page.path == "/sign-in"
    assert "Your session has ended" in page.text


def test_a_look_at_the_headers_of_a_page_leaves_no_message_behind(browser):
    browser.open("HEAD", "/instances")
    browser.open("OPTIONS", "/instances")

    assert "Your session has ended" not in browser.get("/sign-in").text


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "http://localhost.evil.example:8080"},
    {"Origin": "http://localhost:9999"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://localhost:8080@evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_change_that_another_site_asks_for_is_refused_although_the_form_token_is_right(headers, alice):
    form = dict(alice.get("/account").form("/sign-out").fields)

    answer = alice.open("POST", "/sign-out", form, **headers)

    assert answer.status == 403
    assert alice.open("GET", "/account").status == 200


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "http://localhost:8080"}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}],
    ids=str,
)
def test_a_change_from_our_own_page_or_by_a_program_is_taken(headers, alice):
    form = dict(alice.get("/account").form("/sign-out").fields)

    assert alice.open("POST", "/sign-out", form, **headers).status == 303


def test_a_form_token_of_somebody_else_does_not_fit(alice: FormClient, bob: FormClient):
    theirs = dict(bob.get("/account").form("/sign-out").fields)

    assert alice.open("POST", "/sign-out", theirs).status == 400
    assert alice.open("POST", "/sign-out", {}).status == 400
    assert alice.open("POST", "/sign-out", {"csrf_token": "a.b.c"}).status == 400
    assert alice.open("GET", "/account").status == 200


def test_over_https_a_form_needs_our_own_referer(other_app):
    app = other_app(public_url="https://mcpweb.example.com")
    browser = FormClient(InProcess(app), "https://mcpweb.example.com")
    form = browser.get("/sign-in").form("/sign-in")
    values = {**dict(form.fields), "email": "alice@example.com"}

    assert browser.open("POST", "/sign-in", values).status == 400
    assert browser.open("POST", "/sign-in", values, Referer="https://evil.example/").status == 400
    # What the page of a sign-in link lets browsers tell: the origin alone.
    assert browser.open("POST", "/sign-in", values, Referer="https://mcpweb.example.com/").status == 303


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"email": "alice@example.com"}'),
        ("application/json", b'{"email": {"a": 1}}'),
        ("application/json", b"[]"),
        ("application/json", b"not json"),
        ("text/plain", b"email=alice@example.com"),
        ("application/xml", b"<email/>"),
        ("application/octet-stream", b"\x00\xff"),
    ],
)
def test_only_forms_are_taken(content_type, body, browser):
    token = dict(browser.get("/sign-in").form("/sign-in").fields)["csrf_token"]

    answer = browser.transport.raw(
        "/sign-in", method="POST", data=body, content_type=content_type, headers={"X-CSRFToken": token}
    )

    assert answer.status_code == 415


def test_a_file_in_the_place_of_a_text_is_refused(browser):
    token = dict(browser.get("/sign-in").form("/sign-in").fields)["csrf_token"]

    answer = browser.transport.raw(
        "/sign-in", method="POST", data={"csrf_token": token, "email": (io.BytesIO(b"alice@example.com"), "a.txt")}
    )

    assert answer.status_code == 415
