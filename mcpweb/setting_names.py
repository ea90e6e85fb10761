"""Names of settings that do not exist: a misspelt variable would else be ignored without a word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import fields

from mcpweb.settings import Settings

_OF_A_SERVICE = re.compile(r"MCPWEB_[A-Z0-9_]+_(BASE_URL|CLIENT_ID|CLIENT_SECRET(_FILE)?)")


def unknown(environ: Mapping[str, str]) -> list[str]:
    """A sentence for each `MCPWEB_*` variable that nothing reads, with the nearest name that is read."""
    settings = [item.metadata for item in fields(Settings) if item.metadata]
    known = {one["name"] for one in settings} | {f"{one['name']}_FILE" for one in settings if one["secret"]}
    sentences = []
    for name in sorted(environ):
        if name.startswith("MCPWEB_") and name not in known and not _OF_A_SERVICE.fullmatch(name):
            near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.7)
            sentences.append(f"{name} is not a setting{f'; the nearest is {near[0]}' if near else ''}")
    return sentences
