"""What the rules ask: each question reads a bounded part of one table, by an index, and gives a reading per subject.

What a question does not speak of is gone, and nothing is wrong with it any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select

from mcpweb import policies
from mcpweb.accounts.models import UserToken
from mcpweb.alerts.models import AlertMessage, MessageKind
from mcpweb.database import db
from mcpweb.instances.models import (
    BUCKETS_MS,
    CredentialState,
    Instance,
    Notice,
    ServiceRow,
    Status,
    TrafficMinute,
)
from mcpweb.instances.usage import percentile
from mcpweb.logs.query import Query
from mcpweb.monitoring.models import HostRole, ResourceSample
from mcpweb.web.current import log_index, settings

_CALLS = timedelta(minutes=5)
_SAMPLES = timedelta(minutes=10)
"""A host that has sent none for longer is missing, which is another rule's matter."""
_DAY = timedelta(days=1)
_SIGN_INS = timedelta(minutes=10)
_MAILS = timedelta(hours=1)
_LOST = timedelta(minutes=15)
_TRIES = 2
"""The first try of a mail is counted while it is under way."""
_LEAST_KEYS = 5
_MB = 1_000_000
_INDEX_S = 3.0
_LINES = 500
_BUCKETS = (*(f"ms_{bound}" for bound in BUCKETS_MS), "ms_more")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a question found about one subject, in the unit of its rule. `note` says why there is no better value."""

    value: float
    subject: str = ""
    place: str = ""
    note: str = ""


Question = Callable[[datetime], Sequence[Reading]]
"""Asks about the time just before a moment."""


def _own_errors(moment: datetime) -> list[Reading]:
    calls, errors, upstream = _calls(moment)
    return [_share(errors - upstream, calls)]


def _upstream_errors(moment: datetime) -> list[Reading]:
    rows = db.session.execute(
        select(TrafficMinute.service, func.sum(TrafficMinute.calls), func.sum(TrafficMinute.upstream_errors))
        .where(*_within(moment))
        .group_by(TrafficMinute.service)
    ).all()
    titles = {row.name: row.title for row in db.session.scalars(select(ServiceRow))}
    return [_share(int(errors), int(calls), service, titles.get(service, service)) for service, calls, errors in rows]


def _slow(moment: datetime) -> list[Reading]:
    sums = [func.sum(getattr(TrafficMinute, name)) for name in _BUCKETS]
    buckets = [int(one or 0) for one in db.session.execute(select(*sums).where(*_within(moment))).one()]
    if sum(buckets) < _least_calls():
        return [Reading(0, note="Too few calls to judge")]
    return [Reading(percentile(buckets, 0.95) or 0)]


def _calls(moment: datetime) -> tuple[int, int, int]:
    columns = (TrafficMinute.calls, TrafficMinute.errors, TrafficMinute.upstream_errors)
    sums = db.session.execute(select(*(func.sum(column) for column in columns)).where(*_within(moment))).one()
    calls, errors, upstream = (int(one or 0) for one in sums)
    return calls, errors, upstream


def _within(moment: datetime) -> tuple[ColumnElement[bool], ...]:
    return TrafficMinute.minute > moment - _CALLS, TrafficMinute.minute <= moment


def _share(errors: int, calls: int, subject: str = "", place: str = "") -> Reading:
    if calls < _least_calls():
        return Reading(0, subject, place, "Too few calls to judge")
    return Reading(100 * errors / calls, subject, place)


def _least_calls() -> int:
    return policies.value("alert_least_calls", settings())


def _disks(moment: datetime) -> list[Reading]:
    return [
        Reading(100 * sample.disk_used / sample.disk_total, sample.host, place)
        for sample, place in _newest_samples(moment)
        if sample.disk_total
    ]


def _indexes(moment: datetime) -> list[Reading]:
    return [Reading(sample.index_behind / _MB, sample.host, place) for sample, place in _newest_samples(moment)]


def _newest_samples(moment: datetime) -> list[tuple[ResourceSample, str]]:
    """The newest sample of each host, with what people call the host."""
    newest = (
        select(ResourceSample.host, func.max(ResourceSample.at).label("at"))
        .where(ResourceSample.at > moment - _SAMPLES)
        .group_by(ResourceSample.host)
        .subquery()
    )
    is_newest = (ResourceSample.host == newest.c.host) & (ResourceSample.at == newest.c.at)
    samples = db.session.scalars(select(ResourceSample).join(newest, is_newest)).all()
    names = {row.host: row.name for row in db.session.execute(select(HostRole.host, HostRole.name))}
    return [(sample, _called(sample.host, names.get(sample.host, ""))) for sample in samples]


def _called(host: str, name: str) -> str:
    """Several hosts may have the same name."""
    return f"{name} ({host[:6]})" if name else f"host {host[:6]}"


def _missing(moment: datetime) -> list[Reading]:
    """Seconds since each role of each host was heard; of a role that no host has any more, that alone."""
    rows = db.session.execute(
        select(HostRole.host, HostRole.role, func.max(HostRole.name), func.max(HostRole.seen_at))
        .where(HostRole.seen_at > moment - _DAY)
        .group_by(HostRole.host, HostRole.role)
    ).all()
    silence_s = {(host, role): (moment - seen_at).total_seconds() for host, role, _, seen_at in rows}
    limit = policies.value("alert_missing_s", settings())
    gone = {
        role: min((s for (_, its), s in silence_s.items() if its == role), default=_DAY.total_seconds())
        for role in ("worker", "ticker")
    }
    gone = {role: s for role, s in gone.items() if rows and s >= limit}
    nowhere = [Reading(s, role, f"No {role} on any host") for role, s in gone.items()]
    return nowhere + [
        Reading(max(0.0, silence_s[host, role]), f"{host}/{role}", f"The {role} on {_called(host, name)}")
        for host, role, name, _ in rows
        if role not in gone
    ]


def _keys(moment: datetime) -> list[Reading]:
    is_refused = func.count().filter(Instance.credential_state == CredentialState.REJECTED)
    active = Instance.status == Status.ACTIVE, Instance.expires_at > moment
    total, refused = db.session.execute(select(func.count(), is_refused).where(*active)).one()
    if refused < _LEAST_KEYS:
        return [Reading(0, note=f"Fewer than {_LEAST_KEYS} keys are refused")]
    return [Reading(100 * refused / total)]


def _sign_ins(moment: datetime) -> list[Reading]:
    asked = Query("sign refused", since=moment - _SIGN_INS, equal={"category": ("security",)})
    return [Reading(log_index().within(_INDEX_S).count(asked, 100_000))]


def _lost_lines(moment: datetime) -> list[Reading]:
    asked = Query('"the log was not written"', since=moment - _LOST, equal={"category": ("app",)})
    lines = log_index().within(_INDEX_S).search(asked, limit=_LINES)
    return [Reading(sum(lost for line in lines if isinstance(lost := line.fields.get("lost_lines"), int)))]


def _unsent_mails(moment: datetime) -> list[Reading]:
    """Of all kinds; but what tells of this very rule does not count, or an address that is wrong keeps it open."""
    since = moment - _MAILS
    notices = select(func.count()).where(Notice.sent_at.is_(None), Notice.tries >= _TRIES, Notice.next_try_at > since)
    links = select(func.count()).where(
        UserToken.mailed_at.is_(None), UserToken.mail_tries >= _TRIES, UserToken.created_at > since
    )
    alerts = select(func.count()).where(
        AlertMessage.sent_at.is_(None),
        AlertMessage.tries >= _TRIES,
        AlertMessage.next_try_at > since,
        AlertMessage.address != "",
        AlertMessage.kind != MessageKind.TEST,
        ~AlertMessage.alert.has(rule="mail"),
    )
    return [Reading(sum(db.session.scalar(one) or 0 for one in (notices, links, alerts)))]


QUESTIONS: Mapping[str, Question] = {
    "errors": _own_errors,
    "upstream": _upstream_errors,
    "slow": _slow,
    "disk": _disks,
    "index": _indexes,
    "missing": _missing,
    "keys": _keys,
    "sign-ins": _sign_ins,
    "mail": _unsent_mails,
    "lost": _lost_lines,
}
"""By the name of the rule; those about jobs are asked where jobs are known."""
