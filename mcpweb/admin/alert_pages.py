"""What the page of alerts shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from mcpweb.alerts import desk, evaluation, letter, messages, webhook
from mcpweb.alerts.models import Alert, AlertMessage, AlertWatch
from mcpweb.alerts.rules import RULES, Rule, amount
from mcpweb.settings import Settings

_LATE = timedelta(minutes=5)
_MARGIN = timedelta(minutes=10)
_KINDS = {"opened": "Alert", "reminder": "Reminder", "closed": "Over", "test": "Test"}


def alerts(settings: Settings, now: datetime, before: int | None) -> dict[str, Any]:
    """Everything on the page; `before` is the alert from which on older ones are listed."""
    past = desk.past_alerts(before)
    looked_at = evaluation.looked_at()
    return {
        "open": [_alert(one) for one in desk.open_alerts()],
        "past": [_alert(one) for one in past[: desk.PAGE]],
        "older": past[desk.PAGE - 1].id if len(past) > desk.PAGE else None,
        "is_first": before is None,
        "rules": _rules(settings),
        "looked_at": looked_at,
        "is_late": looked_at is None or now - looked_at > _LATE,
        "messages": [_message(one) for one in desk.newest_messages()],
        "receivers": messages.receivers(),
        "webhook": webhook.host(settings),
    }


def number(text: str) -> int | None:
    """The number of an alert that an address names; None for anything else."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


def _alert(alert: Alert) -> dict[str, Any]:
    rule = letter.rule_of(alert)
    return {
        "row": alert,
        "title": rule.title,
        "what": rule.sentence(alert.place, alert.value),
        "limit": letter.limit(rule, alert.threshold),
        "advice": rule.advice,
        "link": rule.link(alert.subject),
        "lasted": amount("s", (alert.closed_at - alert.opened_at).total_seconds()) if alert.closed_at else "",
    }


def _rules(settings: Settings) -> list[dict[str, Any]]:
    seen: dict[str, list[AlertWatch]] = {}
    for watch in desk.watches():
        seen.setdefault(watch.rule, []).append(watch)
    return [_rule(rule, seen.get(rule.name, []), settings) for rule in RULES.values()]


def _rule(rule: Rule, watches: Sequence[AlertWatch], settings: Settings) -> dict[str, Any]:
    """A rule with the worst value of all that it is about."""
    worst = watches[0] if watches else None
    threshold = rule.threshold(settings)
    return {
        "title": rule.title,
        "looks_at": rule.looks_at,
        "limit": amount(rule.unit, threshold) if rule.policy else "Any",
        "is_off": threshold == 0,
        "over_below": amount(rule.unit, threshold * rule.clear) if rule.policy else "",
        "state": _state(watches, threshold),
        "value": _value(rule, worst),
        "place": worst.place if worst and worst.value else "",
    }


def _state(watches: Sequence[AlertWatch], threshold: float) -> str:
    if threshold == 0:
        return "off"
    if not watches:
        return "nothing"
    if any(watch.failed_at for watch in watches):
        return "failed"
    return "broken" if any(watch.broken for watch in watches) else "good"


def _value(rule: Rule, worst: AlertWatch | None) -> str:
    if worst is None:
        return ""
    if worst.note:
        return worst.note
    return amount(rule.unit, worst.value) if rule.policy else ("Yes" if worst.value else "None")


def _message(message: AlertMessage) -> dict[str, Any]:
    is_given_up = message.sent_at is None and message.tries >= len(messages.WAITS)
    state = "sent" if message.sent_at else "given-up" if is_given_up else "failed" if message.problem else "waiting"
    return {
        "row": message,
        "kind": _KINDS.get(message.kind, message.kind),
        "title": letter.rule_of(message.alert).title if message.alert else "",
        "state": state,
    }
