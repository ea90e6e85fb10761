"""The local mailbox: there on loopback without a mail server, and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask

from tests.form_client import FormClient, InProcess

LOCAL = "http://localhost:8080"


@pytest.fixture
def local(other_app: Callable[..., Flask], run_jobs, tmp_path) -> Callable[..., FormClient]:
    """A browser at an application without a mail server, in which somebody has asked for a link."""
    app = other_app(mail_server="", home=tmp_path)

    def ask(email: str = "alice@example.com", agent: str = "form client") -> FormClient:
        browser = FormClient(InProcess(app), LOCAL, agent)
        page = browser.submit(browser.get("/sign-in").form("/sign-in"), email=email)
        assert "/dev/mailbox" in page.links
        run_jobs(app)
        return browser

    return ask


def test_without_a_mail_server_one_signs_in_through_the_local_mailbox(local):
    browser = local()

    page = browser.get("/dev/mailbox")
    message = next(link for link in page.links if re.fullmatch(r"/dev/mailbox/[\w-]+", link))
    page = browser.get(message)
    link = next(link for link in page.links if "/sign-in/" in link)
    page = browser.get(link)

    assert "You are signed in" in browser.submit(page.form(page.path)).text


def test_a_mail_is_shown_without_any_rights(local):
    browser = local(agent="<script>alert(1)</script>")
    page = browser.get("/dev/mailbox")
    message = next(link for link in page.links if re.fullmatch(r"/dev/mailbox/[\w-]+", link))

    assert "<script>alert" not in browser.get(message).text
    html = browser.open("GET", f"{message}/html")

    assert "sandbox" in html.headers["Content-Security-Policy"]
    assert "script-src" not in html.headers["Content-Security-Policy"]
    assert html.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "<script>alert" not in html.text


def test_mails_are_private_files(local, tmp_path):
    local()

    assert (tmp_path / "mail").stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "mail").iterdir()] == [0o600]


@pytest.mark.parametrize(
    "name", ["..", "%2e%2e%2fkeys%2fsecret_key", "x", "20261123T060000000000-00000000", "a\0b", "x" * 5000]
)
def test_nothing_but_a_mail_is_shown(name, local):
    browser = local()

    assert browser.open("GET", f"/dev/mailbox/{name}").status == 404
    assert browser.open("GET", f"/dev/mailbox/{name}/html").status == 404


@pytest.mark.parametrize("source", ["10.0.0.9", "203.0.113.7", "::ffff:10.0.0.9"])
def test_callers_from_elsewhere_do_not_find_the_mailbox(source, local):
    browser = local()

    answer = browser.transport.raw("/dev/mailbox", environ_base={"REMOTE_ADDR": source})

    assert answer.status_code == 404


def test_with_a_mail_server_there_is_no_mailbox(browser):
    assert browser.open("GET", "/dev/mailbox").status == 404
    assert "/dev/mailbox" not in browser.get("/sign-in").links


def test_an_installation_that_others_can_reach_has_no_mailbox(other_app):
    app = other_app(bind=("0.0.0.0", 8080), public_url="https://mcpweb.example.com")

    assert not [rule for rule in app.url_map.iter_rules() if "mailbox" in rule.rule]
