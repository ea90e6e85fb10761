"""The pages that nginx shows when it answers by itself."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from mcpweb.web.error_words import MAINTENANCE, WORDS, Words

_PACKAGE = Path(__file__).resolve().parents[1]
_SHEETS = ("tokens", "base", "fault")
_PAGES: Mapping[str, tuple[int, Words]] = {
    **{str(status): (status, WORDS[status]) for status in (400, 413, 429, 431, 502, 503, 504)},
    "maintenance": (503, MAINTENANCE),
}


def pages() -> dict[str, str]:
    """Each file's name and text; a page asks for no other file."""
    templates = Environment(loader=FileSystemLoader(_PACKAGE / "templates"), autoescape=True, trim_blocks=True)
    template = templates.get_template("errors/static.html")
    style = "".join((_PACKAGE / "static" / "css" / f"{name}.css").read_text(encoding="utf-8") for name in _SHEETS)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    told = {
        "style": Markup(style),  # noqa: S704 - our own style sheets
        "policy": f"default-src 'none'; style-src 'sha256-{digest}'",
    }
    found = {}
    for name, (status, (title, reason, what_now)) in _PAGES.items():
        number = status if name.isdigit() else ""
        text = template.render(
            status=status, number=number, title=title, sentence=reason, what_now=what_now, **told
        ).strip()
        found[f"{name}.html"] = text + "\n"
    return found
