"""What every answer says besides its content."""

from __future__ import annotations

import re

import pytest

from mcpweb.web import static_files

SHEET = f"{static_files.address()}/css/base.css"
PATHS = ["/sign-in", "/help", "/no-such-page", "/healthz", "/services/github/logo.svg", SHEET]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_forbids_framing_sniffing_and_foreign_content(path, browser):
    headers = browser.open("GET", path).headers

    csp = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert csp["default-src"] == "'none'"
    assert csp["frame-ancestors"] == csp["base-uri"] == "'none'"
    assert csp["form-action"] == csp["script-src"] == csp["style-src"] == "'self'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Opener-Policy"] == headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers
    assert "Strict-Transport-Security" not in headers, "on plain http it would only lock people out"


@pytest.mark.parametrize("path", ["/sign-in", "/instances", "/account", "/services", "/healthz", "/no-such-page"])
def test_no_page_is_kept_by_a_cache(path, alice):
    assert alice.get(path).headers["Cache-Control"] == "no-store"


def test_files_are_kept_by_caches(browser):
    assert "no-store" not in browser.open("GET", "/services/github/logo.svg").headers["Cache-Control"]
    assert browser.open("GET", SHEET).headers["Cache-Control"] == "public, max-age=31536000, immutable"
    for path in (SHEET.replace("base", "none"), "/static/0123456789abcdef/css/base.css", "/static/css/base.css"):
        missed = browser.open("GET", path)
        assert (missed.status, missed.headers["Cache-Control"]) == (404, "no-store"), (
            "nobody keeps that it is not there"
        )


def test_the_address_of_files_changes_with_their_contents_and_their_names(tmp_path, monkeypatch):
    def address(**files: str) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for name, text in files.items():
            (folder / f"{name}.css").write_text(text)
        monkeypatch.setattr(static_files, "FOLDER", folder)
        static_files.digest.cache_clear()
        return static_files.address()

    try:
        first = address(a="red", b="")
        assert re.fullmatch("/static/[0-9a-f]{16}", first)
        assert address(a="red", b="") == first
        assert (
            len({first, address(a="blue", b=""), address(a="red", c=""), address(a="", b="red"), address(a="red")}) == 5
        )
    finally:
        static_files.digest.cache_clear()


def test_every_page_names_its_files_by_the_address_that_holds_their_hash(browser):
    named = re.findall(r'(?:href|src)="(/static/[^"]+)"', browser.get("/sign-in").text)
    assert len(named) >= 3 and all(path.startswith(f"{static_files.address()}/") for path in named)
    assert all(browser.open("GET", path).status == 200 for path in named)


def test_every_request_has_an_id_of_its_own_that_its_error_page_shows(browser):
    first, second = browser.open("GET", "/no-such-page"), browser.open("GET", "/no-such-page")

    ids = [page.headers["X-Request-Id"] for page in (first, second)]
    assert ids[0] != ids[1]
    assert all(re.fullmatch(r"[0-9a-f]{24}", one) for one in ids)
    assert ids[0] in first.text


@pytest.mark.parametrize("path", ["/sign-in", "/help"])
def test_pages_hold_no_code_and_no_style_of_their_own_and_load_nothing_from_elsewhere(path, browser):
    text = browser.get(path).text

    assert not re.search(r"<script(?![^>]*\bsrc=\"/)", text)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    assert not re.search(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="(?!/)', text)
