"""Looks at every rule, opens what is beyond its limit for good, and closes what is well below it again."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update

from mcpweb.alerts import messages
from mcpweb.alerts.models import Alert, AlertWatch, MessageKind
from mcpweb.alerts.questions import Question, Reading
from mcpweb.alerts.rules import RULES, Rule
from mcpweb.database import after_commit, db, take_turns, transaction
from mcpweb.logs import events
from mcpweb.logs.index_none import NotIndexed
from mcpweb.web.current import settings

log = logging.getLogger(__name__)

RAISE_AFTER = 2
CLEAR_AFTER = 3
"""So many looks in a row, a minute apart."""
REMIND_AFTER = timedelta(days=1)
_APART = timedelta(seconds=40)
"""Two looks within this span would count one moment twice."""
_TURN = "all"
"""The name of the row that says when somebody looked at last."""


def look(questions: Mapping[str, Question], moment: datetime) -> dict[str, object]:
    """Look at every rule once. May be called by any number of processes at the same time: one of them looks.

    A question that fails stops nothing else; its rule stays as it is. Returns the report.
    """
    if not _take_turn(moment):
        return {"items": 0, "skipped": "somebody looked just now"}
    found, failed = _ask(questions, moment)
    with transaction():
        take_turns("alerts")  # a slow look may not be done when the next one begins
        changed = sum(_judge(RULES[name], readings, moment) for name, readings in found.items())
        for name in failed:
            _note_failure(name, moment)
        reminded = _remind(moment)
    return {"items": changed, "reminded": reminded, "not_looked_at": failed}


def looked_at() -> datetime | None:
    """When somebody looked at last."""
    row = db.session.get(AlertWatch, (_TURN, ""))
    return row.looked_at if row else None


def _take_turn(moment: datetime) -> bool:
    with transaction():
        take_turns("alerts")
        row = db.session.get(AlertWatch, (_TURN, ""), populate_existing=True)
        # A clock that was set back does not stop the looking until it has caught up.
        if row and abs(moment - row.looked_at) < _APART:
            return False
        db.session.merge(AlertWatch(rule=_TURN, subject="", looked_at=moment))
    return True


def _ask(questions: Mapping[str, Question], moment: datetime) -> tuple[dict[str, Sequence[Reading]], list[str]]:
    """The readings by rule, and the rules whose question failed."""
    found: dict[str, Sequence[Reading]] = {}
    failed = []
    for name in RULES:
        try:
            found[name] = questions[name](moment)
        except NotIndexed:
            found[name] = [Reading(0, note="Not watched: the log index is switched off")]
        except Exception as error:  # whatever is wrong with one question, the others may have something to tell
            db.session.rollback()
            log.warning("an alert rule could not be looked at", extra={"rule": name, "error": type(error).__name__})
            failed.append(name)
    return found, failed


def _judge(rule: Rule, readings: Sequence[Reading], moment: datetime) -> int:
    """Compare with the limit and count; returns how many alerts were opened or closed."""
    found = {reading.subject: reading for reading in readings}
    watched, opened = _watches(rule.name), _open(rule.name)
    threshold = rule.threshold(settings())
    changed = 0
    for subject in sorted(found.keys() | watched.keys() | opened.keys()):
        watch = watched.get(subject) or AlertWatch(rule=rule.name, subject=subject, broken=0, good=0)
        _count(watch, found.get(subject), threshold, rule.clear)
        watch.looked_at, watch.failed_at = moment, None
        changed += _open_or_close(watch, opened.get(subject), threshold, moment)
        if subject in found or watch.good < CLEAR_AFTER:
            db.session.add(watch)
        elif subject in watched:
            db.session.delete(watch)
    return changed


def _watches(rule: str) -> dict[str, AlertWatch]:
    rows = select(AlertWatch).where(AlertWatch.rule == rule).execution_options(populate_existing=True)
    return {row.subject: row for row in db.session.scalars(rows)}


def _open(rule: str) -> dict[str, Alert]:
    rows = select(Alert).where(Alert.rule == rule, Alert.closed_at.is_(None)).execution_options(populate_existing=True)
    return {row.subject: row for row in db.session.scalars(rows)}


def _count(watch: AlertWatch, reading: Reading | None, threshold: float, clear: float) -> None:
    """Take over the value, and count how often in a row it was beyond the limit, or well below it."""
    watch.value = reading.value if reading else 0.0
    watch.note = reading.note if reading else "Not there any more"
    watch.place = reading.place if reading else watch.place or ""
    is_broken = 0 < threshold <= watch.value
    is_good = threshold == 0 or watch.value < threshold * clear
    watch.broken = min(watch.broken + 1, RAISE_AFTER) if is_broken else 0
    watch.good = min(watch.good + 1, CLEAR_AFTER) if is_good else 0


def _open_or_close(watch: AlertWatch, alert: Alert | None, threshold: float, moment: datetime) -> int:
    if alert is None:
        if watch.broken < RAISE_AFTER:
            return 0
        alert = Alert(rule=watch.rule, subject=watch.subject, place=watch.place, value=watch.value, threshold=threshold)
        alert.opened_at = alert.last_seen_at = alert.told_at = moment
        db.session.add(alert)
        _tell(alert, MessageKind.OPENED, moment)
        return 1
    if watch.broken:
        alert.value, alert.last_seen_at = watch.value, moment
    if watch.good < CLEAR_AFTER:
        return 0
    alert.closed_at = moment
    _tell(alert, MessageKind.CLOSED, moment)
    return 1


def _tell(alert: Alert, kind: MessageKind, moment: datetime) -> None:
    db.session.flush()
    messages.add(kind, alert.id, moment)
    told = {"alert": alert.id, "rule": alert.rule, "subject": alert.subject, "value": round(alert.value, 1)}
    after_commit(lambda: events.app(f"alert {kind.value}", **told))


def _note_failure(rule: str, moment: datetime) -> None:
    rows = _watches(rule) or {"": AlertWatch(rule=rule, subject="", looked_at=moment)}
    for row in rows.values():
        row.failed_at = row.failed_at or moment
        db.session.add(row)


def _remind(moment: datetime) -> int:
    """Once a day, of what is open and nobody has said that they know."""
    due = db.session.scalars(
        update(Alert)
        .where(Alert.closed_at.is_(None), Alert.acknowledged_at.is_(None), Alert.told_at <= moment - REMIND_AFTER)
        .values(told_at=moment)
        .returning(Alert.id)
        .execution_options(synchronize_session=False)
    ).all()
    for alert_id in due:
        messages.add(MessageKind.REMINDER, alert_id, moment)
    return len(due)
