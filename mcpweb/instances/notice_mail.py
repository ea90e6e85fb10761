"""What a mail to an owner says: which instances, what became of them, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mcpweb.instances.house import house
from mcpweb.instances.models import Instance, Notice, NoticeKind, Stop
from mcpweb.web.filters import utc

_LISTED = 40
"""The most instances that a mail names; it says how many more there are."""


@dataclass(frozen=True, slots=True)
class _Words:
    """How a kind is told: the subject of one, the heading of several, the sentence below, the button, and its page."""

    one: str
    many: str
    sentence: str
    button: str
    page: str


_WORDS = {
    NoticeKind.ALL_STOPPED: _Words(
        "Your endpoints are stopped until {until}",
        "Your endpoints are stopped until {until}",
        "An administrator stopped them: “{reason}” They refuse every call until then, and answer again by themselves. "
        "Addresses, tokens and keys are kept.",
        "See the instance",
        "",
    ),
    NoticeKind.STOPPED: _Words(
        "An administrator switched {label} off",
        "An administrator switched these off",
        "The endpoint refuses every call. Address, tokens and key are kept. It can be switched on again only when an "
        "administrator allows it.",
        "See the instance",
        "",
    ),
    NoticeKind.ENDS_1: _Words(
        "{label} ends within a day",
        "These end within a day",
        "The endpoint then refuses every call. Extended, it goes on with the same address, tokens and key.",
        "Extend it",
        "extend",
    ),
    NoticeKind.KEY_DIED: _Words(
        "{label}: {service} refuses the key",
        "The service refuses the key",
        "It was revoked, has ended, or lost its permissions. Calls fail until there is a key that works.",
        "Replace the key",
        "credential",
    ),
    NoticeKind.EXPIRED: _Words(
        "{label} has ended",
        "These have ended",
        "The endpoint refuses every call. Renewed, it goes on with the same address, tokens and key.",
        "Renew it",
        "extend",
    ),
    NoticeKind.ENDS_7: _Words(
        "{label} ends in a week",
        "These end in a week",
        "The endpoint then refuses every call. Extended, it goes on with the same address, tokens and key.",
        "Extend it",
        "extend",
    ),
    NoticeKind.KEY_ENDS: _Words(
        "{label}: the {service} key ends soon",
        "The key ends soon",
        "Calls will fail then. Make a new key at the service and put it in the place of this one.",
        "Replace the key",
        "credential",
    ),
}
"""In the order of the mail, what can least wait first."""


def compose(
    rows: Sequence[tuple[Notice, Instance]], stop: Stop | None, url: str, moment: datetime
) -> tuple[str, dict[str, Any]]:
    """The subject, and what the templates `mail/notices` need.

    `rows` are of one owner and not empty; `stop` is what stops everything of the owner, if something does.
    """
    sections = []
    for kind, words in _WORDS.items():
        mine = [instance for notice, instance in rows if notice.kind == kind]
        if mine:
            names = _names(mine[0], stop)
            sections.append(
                {
                    "heading": (words.many if len(mine) > 1 else words.one).format(**names),
                    "sentence": words.sentence.format(**names),
                    "items": [_item(kind, words, instance, url, moment) for instance in mine[:_LISTED]],
                    "more": max(0, len(mine) - _LISTED),
                }
            )
    subject, button, link = _main(rows, stop, url)
    return subject, {"title": subject, "button_label": button, "link": link, "sections": sections, "product_url": url}


def _main(rows: Sequence[tuple[Notice, Instance]], stop: Stop | None, url: str) -> tuple[str, str, str]:
    """The subject, and the one thing to do: for a single instance its page, for several the list of them."""
    of = {instance.id: instance for _, instance in rows}
    kinds = {notice.kind for notice, _ in rows}
    words = next(words for kind, words in _WORDS.items() if kind in kinds)
    instance = rows[0][1]
    subject = words.one.format(**_names(instance, stop))
    if len(of) > 1:
        is_of_all = kinds == {NoticeKind.ALL_STOPPED}
        subject = subject if is_of_all else f"{len(of)} of your instances need a look"
        return subject, "See your instances", f"{url}/instances"
    return subject, words.button, _link(instance, words, url)


def _item(kind: NoticeKind, words: _Words, instance: Instance, url: str, moment: datetime) -> dict[str, Any]:
    is_of_key = kind == NoticeKind.KEY_ENDS
    at = instance.credential_expires_at if is_of_key else instance.expires_at
    word = "The key ends" if is_of_key else "Ended" if instance.expires_at <= moment else "Ends"
    return {
        **_names(instance),
        "reason": instance.stopped_reason if kind == NoticeKind.STOPPED else "",
        "ends": word,
        "at": at,
        "link": _link(instance, words, url),
    }


def _link(instance: Instance, words: _Words, url: str) -> str:
    return f"{url}/instances/{instance.id}/{words.page}".rstrip("/")


def _names(instance: Instance, stop: Stop | None = None) -> dict[str, str]:
    """What the words name."""
    service = house().registry.services.get(instance.service_name)
    names = {"label": instance.label, "service": service.title if service else instance.service_name}
    return names | {"until": utc(stop.ends_at), "reason": stop.reason} if stop else names
