"""Connecting a service through its form."""

from __future__ import annotations

import re

from tests.form_client import FormClient, Page
from tests.spec_server import TOKENS

GOOD = TOKENS["github"]["good"]


def connect(browser: FormClient, token: str = GOOD, *, service: str = "github", **values: str) -> Page:
    """Fill in the form of a service and send it."""
    page = browser.get(f"/services/{service}/connect")
    return browser.submit(page.form(f"/{service}/connect"), credential_token=token, **values)


def shown_token(page: Page) -> str:
    """The token that a page shows, or an empty text."""
    found = re.search(r'<code id="token">(mcpw_\w+)</code>', page.text)
    return found[1] if found else ""
