"""What is watched: each rule with its limit and its words. Data only; a new rule is one entry and its question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from mcpweb import policies
from mcpweb.settings import Settings


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that may go wrong: an alert when it is beyond its limit twice in a row, over when well below it thrice.

    `policy` names the limit that administrators decide; without one the limit is 1: any at all. A limit of 0 switches
    the rule off. It is over below `clear` times the limit, so that a value which hovers there does not come and go.
    """

    name: str
    title: str
    what: str
    """The sentence of an alert; `{place}` is what it is about, `{value}` the newest value with its unit."""
    unit: str
    looks_at: str
    """Which span or which rows the value comes from, for the list of rules."""
    advice: str
    page: str
    """What lies behind it; `{subject}` is replaced."""
    policy: str = ""
    clear: float = 0.8

    def threshold(self, settings: Settings) -> float:
        """The value from which on it is broken; 0 when it is switched off."""
        return float(policies.value(self.policy, settings)) if self.policy else 1.0

    def link(self, subject: str) -> str:
        """The page that shows the lines or the part behind an alert."""
        return self.page.format(subject=quote(subject, safe=""))

    def sentence(self, place: str, value: float) -> str:
        """What is wrong, with the value."""
        return self.what.format(place=place, value=amount(self.unit, value))


_SPANS = ((86400, "days"), (3600, "hours"), (60, "minutes"))


def amount(unit: str, value: float) -> str:
    """A value with its unit: `7.5 %`, `3,400 ms`, `2 minutes`, `4`."""
    if unit == "%":
        return f"{value:.1f} %" if value % 1 else f"{value:.0f} %"
    if unit == "s":
        size, word = next((one for one in _SPANS if value >= 2 * one[0]), (1, "seconds"))
        return f"{value / size:,.0f} {word}"
    return f"{value:,.0f} {unit}".rstrip()


_RULES = (
    Rule(
        "errors",
        "Errors of our own",
        "{value} of the calls fail by our own fault",
        "%",
        "the calls of the last 5 minutes",
        "Read what the lines say. After an update, go back to the version before.",
        "/admin/logs?category=performance&range=1h&q=tools/call+blame_us",
        "alert_errors",
    ),
    Rule(
        "upstream",
        "Errors of a service",
        "{value} of the calls to {place} fail there",
        "%",
        "the calls to each service in the last 5 minutes",
        "Look at the service's status page. Nothing is wrong here; the calls work again when it does.",
        "/admin/logs?category=performance&range=1h&service={subject}&q=tools/call+blame_service",
        "alert_upstream_errors",
    ),
    Rule(
        "slow",
        "Slow calls",
        "5 of 100 calls take longer than {value}",
        "ms",
        "the calls of the last 5 minutes",
        "See whether one service is slow, or the database, or every host is busy.",
        "/admin/logs?category=performance&range=1h&q=tools/call",
        "alert_p95_ms",
    ),
    Rule(
        "disk",
        "Full disk",
        "The disk of {place} is {value} full",
        "%",
        "the newest sample of each host",
        "Make room, or let the logs take less. With a full disk nothing can be changed any more.",
        "/admin/maintenance/logs",
        "alert_disk_percent",
        0.95,
    ),
    Rule(
        "index",
        "Log index behind",
        "The log index of {place} is {value} behind",
        "MB",
        "the newest sample of each host",
        "See that `mcpweb ticker` runs on that host: it feeds the index.",
        "/admin",
        "alert_index_mb",
        0.5,
    ),
    Rule(
        "missing",
        "Missing process",
        "{place}: nothing was heard for {value}",
        "s",
        "every web, worker and ticker process of the last day",
        "Start it again: `mcpweb up`, or the one role. A host that is gone for good is forgotten in a day.",
        "/admin",
        "alert_missing_s",
        0.5,
    ),
    Rule(
        "keys",
        "Refused keys",
        "{value} of the active instances have a key that its service refuses",
        "%",
        "all active instances, when at least 5 keys are refused",
        "When it is one service, see whether it revoked keys. Their owners were told.",
        "/admin/instances?state=refused",
        "alert_refused_keys",
    ),
    Rule(
        "sign-ins",
        "Refused sign-ins",
        "{value} sign-ins were refused within 10 minutes",
        "",
        "the security log of the last 10 minutes",
        "See from which addresses they come. A forgotten bookmark is harmless, many addresses at once are not.",
        "/admin/logs?category=security&range=1h&q=sign+refused",
        "alert_sign_ins",
        0.5,
    ),
    Rule(
        "audit",
        "Damaged trail",
        "{place}: somebody or something changed it afterwards",
        "",
        "the newest daily verification",
        "Keep the disks as they are, read the report, and compare with a copy.",
        "/admin/maintenance/{subject}",
    ),
    Rule(
        "jobs",
        "Failed job",
        "{place} failed in its last run",
        "",
        "the newest finished run of each job",
        "Read why, and run it again.",
        "/admin/maintenance/{subject}",
    ),
    Rule(
        "mail",
        "Mail that does not go out",
        "{value} mails could not be sent after several tries",
        "",
        "the mails of the last hour",
        "See that the mail server answers, and that the settings of mail are right. They are sent as soon as it does.",
        "/admin/logs?category=app&range=1h&q=mail*&level=warning&level=error",
        "alert_unsent_mails",
        0.5,
    ),
    Rule(
        "lost",
        "Lost log lines",
        "{value} log lines were lost",
        "",
        "what the logs of the last 15 minutes say",
        "Make room on the disk of the host that says so. What was lost can not be brought back.",
        "/admin/logs?category=app&range=24h&q=log+was+not+written",
        "alert_lost_lines",
    ),
)

RULES: Mapping[str, Rule] = {rule.name: rule for rule in _RULES}
