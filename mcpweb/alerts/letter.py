"""What administrators read in a mail, and what the webhook is told: the same of each alert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mcpweb.alerts.models import Alert, AlertMessage, MessageKind
from mcpweb.alerts.rules import RULES, Rule, amount
from mcpweb.settings import Settings

_LISTED = 40
"""The most alerts that a mail names of a kind; it says how many more there are."""
_HEADINGS = {
    MessageKind.OPENED: "Needs a look",
    MessageKind.REMINDER: "Still open, and nobody has acknowledged it",
    MessageKind.CLOSED: "Over",
}
_GONE = Rule("", "Alert", "{place}: {value}", "", "", "", "/admin/alerts")
"""For the alerts of a rule that this version does not have any more."""


def rule_of(alert: Alert) -> Rule:
    """The rule, with words for one that is gone."""
    return RULES.get(alert.rule, _GONE)


def compose(rows: Sequence[AlertMessage], settings: Settings) -> tuple[str, dict[str, Any]]:
    """The subject, and what the templates `mail/alerts` need. `rows` are of one receiver and not empty."""
    newest = {row.alert_id: row for row in rows}  # of what was opened and is over meanwhile, only the end is told
    told = [(row, row.alert) for row in newest.values() if row.alert is not None]
    sections = []
    for kind, heading in _HEADINGS.items():
        mine = [alert for row, alert in told if row.kind == kind]
        if mine:
            items = [_item(alert, kind, settings.url) for alert in mine[:_LISTED]]
            sections.append({"heading": heading, "items": items, "more": max(0, len(mine) - _LISTED)})
    subject = _subject(told) if told else "A test alert from mcpweb"
    return subject, {
        "title": subject,
        "sections": sections,
        "button_label": "See the alerts",
        "link": f"{settings.url}/admin/alerts",
        "product_url": settings.url,
    }


def _subject(told: Sequence[tuple[AlertMessage, Alert]]) -> str:
    if len(told) == 1:
        [(row, alert)] = told
        word = "Over" if row.kind == MessageKind.CLOSED else "Alert"
        return f"{word} at mcpweb: {_heading(alert)}"
    over = sum(row.kind == MessageKind.CLOSED for row, _ in told)
    here = len(told) - over
    words = [f"{here} need a look"] * bool(here > 1) + ["1 needs a look"] * bool(here == 1)
    words += [f"{over} {'is' if over == 1 else 'are'} over"] * bool(over)
    return f"Alerts at mcpweb: {', '.join(words)}"


def _heading(alert: Alert) -> str:
    title = rule_of(alert).title
    return f"{title}, {alert.place}" if alert.place else title


def _item(alert: Alert, kind: MessageKind, url: str) -> dict[str, Any]:
    rule = rule_of(alert)
    return {
        "heading": _heading(alert),
        "what": "" if kind == MessageKind.CLOSED else rule.sentence(alert.place, alert.value),
        "limit": limit(rule, alert.threshold),
        "opened_at": alert.opened_at,
        "closed_at": alert.closed_at if kind == MessageKind.CLOSED else None,
        "advice": "" if kind == MessageKind.CLOSED else rule.advice,
        "link": url + rule.link(alert.subject),
    }


def limit(rule: Rule, threshold: float) -> str:
    """The limit in words; empty where any at all is too much."""
    return amount(rule.unit, threshold) if rule.policy else ""


def payload(row: AlertMessage, settings: Settings) -> Mapping[str, Any]:
    """The body of the webhook's request; times are ISO 8601, the value is in `unit`."""
    head = {"id": row.id, "event": f"alert.{row.kind}", "at": row.created_at.isoformat(), "installation": settings.url}
    if row.alert is None:
        return {**head, "summary": "A test of the webhook. Nothing is wrong.", "alert": None}
    alert, rule = row.alert, rule_of(row.alert)
    told = {
        "id": alert.id,
        "rule": alert.rule,
        "title": rule.title,
        "subject": alert.subject,
        "place": alert.place,
        "value": round(alert.value, 3),
        "threshold": alert.threshold,
        "unit": rule.unit,
        "opened_at": _iso(alert.opened_at),
        "closed_at": _iso(alert.closed_at),
        "acknowledged_at": _iso(alert.acknowledged_at),
        "link": settings.url + rule.link(alert.subject),
    }
    return {**head, "summary": rule.sentence(alert.place, alert.value), "alert": told}


def _iso(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None
