"""Comparing pages: what is left of one when everything is taken out that differs on every request."""

from __future__ import annotations

import re

from tests.form_client import Page


def plain(page: Page, *varying: str) -> str:
    """The page's text without form tokens, request ids and times, and with each `varying` text replaced alike."""
    text = re.sub(r'name="csrf_token" value="[^"]*"', "csrf", page.text)
    text = re.sub(r"\b[0-9a-f]{24}\b", "request id", text)
    text = re.sub(r"<time\b.*?</time>", "time", text)
    text = re.sub(r'name="creation_key" (?:type="hidden" )?value="[^"]*"', "creation key", text)
    for word in varying:
        text = text.replace(word, "…")
    return text
