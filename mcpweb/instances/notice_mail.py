"""What a mail to an owner says: which instances, what became of them, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mcpweb.instances.house import house
from mcpweb.instances.models import Instance, Notice, NoticeKind

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


def compose(rows: Sequence[tuple[Notice, Instance]], url: str, moment: datetime) -> tuple[str, dict[str, Any]]:
    """The subject, and what the templates `mail/notices` need. `rows` are of one owner and not empty."""
    sections = []
    for kind, words in _WORDS.items():
        mine = [instance for notice, instance in rows if notice.kind == kind]
        if mine:
            sections.append(
                {
                    "heading": words.many if len(mine) > 1 else words.one.format(**_names(mine[0])),
                    "sentence": words.sentence,
                    "items": [_item(kind, words, instance, url, moment) for instance in mine[:_LISTED]],
                    "more": max(0, len(mine) - _LISTED),
                }
            )
    subject, button, link = _main(rows, url)
    return subject, {"title": subject, "button_label": button, "link": link, "sections": sections, "product_url": url}


def _main(rows: Sequence[tuple[Notice, Instance]], url: str) -> tuple[str, str, str]:
    """The subject, and the one thing to do: for a single instance its page, for several the list of them."""
    of = {instance.id: instance for _, instance in rows}
    if len(of) > 1:
        return f"{len(of)} of your instances need a look", "See your instances", f"{url}/instances"
    [instance] = of.values()
    kinds = {notice.kind for notice, _ in rows}
    words = next(words for kind, words in _WORDS.items() if kind in kinds)
    return words.one.format(**_names(instance)), words.button, f"{url}/instances/{instance.id}/{words.page}"


def _item(kind: NoticeKind, words: _Words, instance: Instance, url: str, moment: datetime) -> dict[str, Any]:
    is_of_key = kind == NoticeKind.KEY_ENDS
    at = instance.credential_expires_at if is_of_key else instance.expires_at
    word = "The key ends" if is_of_key else "Ended" if instance.expires_at <= moment else "Ends"
    return {
        **_names(instance),
        "ends": word,
        "at": at,
        "link": f"{url}/instances/{instance.id}/{words.page}",
    }


def _names(instance: Instance) -> dict[str, str]:
    service = house().registry.services.get(instance.service_name)
    return {"label": instance.label, "service": service.title if service else instance.service_name}
