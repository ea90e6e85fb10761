"""How an administrator likes the lines of the log to look: a choice of each kind, kept in a cookie."""

from __future__ import annotations

from collections.abc import Mapping

CHOICES: Mapping[str, Mapping[str, str]] = {
    "times": {"utc": "UTC", "local": "Your time"},
    "rows": {"two": "Two lines", "compact": "Compact", "whole": "Whole text"},
}
"""The first of each kind is the usual one. Only a browser knows the time of its user, so without a script it is UTC."""

Looks = Mapping[str, str]


def read(cookie: str) -> Looks:
    """The choices that a cookie holds: `local.compact`; whatever makes no sense is the usual choice."""
    given = cookie.split(".")
    return {
        kind: next((one for one in given if one in choices), next(iter(choices))) for kind, choices in CHOICES.items()
    }


def changed(looks: Looks, given: Mapping[str, str]) -> str:
    """The cookie with what was chosen just now."""
    chosen = {kind: given[kind] if given.get(kind) in CHOICES[kind] else looks[kind] for kind in CHOICES}
    return ".".join(chosen.values())
