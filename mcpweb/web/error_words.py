"""What people read when something is refused or fails: what it is, why as a rule, and what now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Words(NamedTuple):
    """A page's title, the usual reason, and the way on."""

    title: str
    reason: str
    what_now: str


WORDS: Mapping[int, Words] = {
    400: Words(
        "This request can not be read",
        "Something in it is missing or malformed.",
        "Go back, and try again.",
    ),
    401: Words("Sign in first", "This is only shown to people who are signed in.", "Sign in, then open it again."),
    403: Words(
        "Not allowed",
        "This request came from another site, or you may not do this.",
        "Open the page from here and try again.",
    ),
    404: Words(
        "Nothing here",
        "There is no such page, or it is not yours.",
        "Check the address, or start from your instances.",
    ),
    405: Words("Not this way", "This address does not take this kind of request.", "Start from your instances."),
    409: Words("This has changed meanwhile", "It is not in a state that allows this.", "Open the page again."),
    410: Words("Gone", "This has been deleted.", "Start from your instances."),
    413: Words("Too much at once", "What was sent is larger than this server takes.", "Send less."),
    415: Words("Not in this form", "This server does not take content of this type.", "Use the form on the page."),
    422: Words("This can not be taken as it is", "A value is missing or wrong.", "Go back and correct it."),
    429: Words("A little too fast", "This was tried very often in a short time.", "Wait a moment, then try again."),
    431: Words(
        "Too much in the headers",
        "What the browser sends with every request is larger than this server takes.",
        "Delete the cookies of this site, then try again.",
    ),
    500: Words(
        "Something broke here",
        "The fault is ours and has been noted.",
        "Try again; if it stays, quote the id below.",
    ),
    501: Words("Not known here", "This server does not know this kind of request.", "Start from your instances."),
    502: Words(
        "Back in a moment",
        "mcpweb is starting, or has just been restarted.",
        "Try again in a few seconds. If it stays, tell the operator of this server.",
    ),
    503: Words("Back in a moment", "Something that this page needs does not answer.", "Try again in a minute."),
    504: Words(
        "This takes too long",
        "No answer came in time. What you sent may have been done all the same.",
        "Look at the page before you send it again.",
    ),
}

MAINTENANCE = Words(
    "Closed for maintenance",
    "The operator of this server is working on it. Nothing of yours is lost.",
    "Try again in a few minutes.",
)


def words(status: int) -> Words:
    """Those of the status, or else of its kind."""
    return WORDS.get(status) or WORDS[400 if status < 500 else 500]
