"""What in a search is read otherwise than it may have been meant: said beside it, since nothing of it is an error."""

from __future__ import annotations

import re

from mcpweb.logs.query import COLUMNS, MAX_TERMS, Query, read

_FIELD = re.compile(r'(?:^|\s)-?([A-Za-z_]+):(?=[\w"])')
_PART = re.compile(r'"[^"]*"|\S+')


def hints(text: str) -> list[str]:
    """A sentence for each such thing."""
    found = []
    if text.count('"') % 2:
        found.append("A quotation mark has no partner, so all that follows it is taken as one phrase.")
    strange = dict.fromkeys(name for name in _FIELD.findall(text) if name not in COLUMNS)
    for name in list(strange)[:3]:
        found.append(f"“{name}” is no field, so it is looked for as a word. Fields are {', '.join(COLUMNS)}.")
    if len(_PART.findall(text)) > MAX_TERMS:
        found.append(f"Only the first {MAX_TERMS} parts of the search are looked for.")
    plan = read(Query(text))
    if text.strip() and not (plan.wanted or plan.unwanted or plan.equal or plan.unequal):
        found.append("It holds no letter and no digit, so nothing is looked for.")
    return found
