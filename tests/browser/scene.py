"""People, links and instances for the pages to show: some of everything, and long names and addresses."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.browser.live import Connected, Live
from tests.form_client import FormClient
from tests.waiting import until

LONG_EMAIL = "alice.with-a-rather-long-name.and-a-department@subsidiary.headquarters.example.com"
LONG_LABEL = "Work: the-organization-with-the-very-long-name/and-its-monorepo-without-a-break"

_USER = re.compile(r'class="row-link" href="(/admin/users/\d+)">([^<]+)<')


@dataclass(frozen=True)
class Scene:
    """Browsers, by what has been done in them, and paths, by what is there."""

    people: dict[str, FormClient]
    paths: dict[str, str]


def play(live: Live) -> Scene:
    """Let everybody do what they do."""
    owner = live.signed_in(LONG_EMAIL)
    people = {
        "stranger": live.visitor(),
        "newcomer": live.signed_in("bob@example.com"),
        "connector": live.signed_in("connector@example.org"),
        "owner": owner,
        "halted": live.signed_in("halted@example.com"),
    }
    live.signed_in(LONG_EMAIL)  # a second session of the owner's
    paths = {"set_up": live.setup_link} | _links(live, people)
    paths |= {name: instance.path for name, instance in _instances(live, owner).items()}
    paths["mail"] = live.mails(LONG_EMAIL)[0]
    everybody = _People(live, people)
    return Scene(everybody, _Paths(live, everybody, paths))


class _People(dict[str, FormClient]):
    """Who administers comes when first asked for: until then the set-up link works, whose pages are states too."""

    def __init__(self, live: Live, people: dict[str, FormClient]) -> None:
        super().__init__(people)
        self._live = live

    def __missing__(self, name: str) -> FormClient:
        assert name == "admin", name
        self[name] = self._live.administrator("admin@example.com")
        return self[name]


class _Paths(dict[str, str]):
    """What an administrator does is done when first asked for."""

    def __init__(self, live: Live, people: _People, paths: dict[str, str]) -> None:
        super().__init__(paths)
        self._live, self._people = live, people

    def __missing__(self, name: str) -> str:
        self.update(_administered(self._live, self._people, self))
        return self[name]


def _administered(live: Live, people: _People, paths: dict[str, str]) -> dict[str, str]:
    """The administrator's pages of users and instances, one of each being shut out."""
    admin = people["admin"]
    leaver = live.signed_in("leaver@example.com")
    live.connect(leaver, "Left behind")
    users = {email: path for path, email in _USER.findall(admin.get("/admin/users").text)}
    gone = users["leaver@example.com"]
    admin.submit(admin.get(gone).form("/disable"))
    stopped = f"/admin{paths['stopped']}"
    admin.submit(admin.get(stopped).form("/stop"), reason="It called 40,000 times last night. Ask us first.")
    live.connect(people["halted"], "Under way")
    halt = f"{users['halted@example.com']}/stop"
    admin.submit(admin.get(halt).form("/stop"), reason="A key of yours is in a public place. Ask us first.")
    log = admin.submit(admin.get("/admin/logs?q=call").form("/searches/save"), name="All calls", shared="1")
    token = dict(log.form("/theme").fields)["csrf_token"]
    prepare = {"csrf_token": token, "kind": "csv", "q": "call"}  # so few lines are not offered to be prepared
    export = admin.post("/admin/logs/export/prepare", prepare, Referer=log.url)
    until(lambda: "Ready" in admin.get(export.path).text, "the export is ready")
    return {
        "an_export": export.path,
        "stopped_page": paths["stopped"],
        "halted_page": "/instances",
        "a_stopped_user": users["halted@example.com"],
        "alerts": _alerts(live),
        "a_user": users[LONG_EMAIL],
        "a_leaver": gone,
        "an_instance": f"/admin{paths['called']}",
        "a_stopped_instance": stopped,
    }


def _alerts(live: Live) -> str:
    """Alerts in every state: a new one, one that somebody knows of, and one that is over."""
    # Nobody looks any more: the hosts are made up, so that their alerts would be over within minutes.
    live.write("UPDATE schedule SET is_enabled = false WHERE job = 'watch_alerts'")
    host = "web-1.a-rather-long-domain.subsidiary.headquarters.example.com (a1b2c3)"
    admin = "admin@example.com"
    for subject, value, closed, known in (
        ("a1b2c3d4e5f6", 97.4, None, None),
        ("b1b2c3d4e5f6", 91.0, None, "-1 hour"),
        ("c1b2c3d4e5f6", 92.0, "-1 hour", "-1 day"),
    ):
        live.write(
            "INSERT INTO alert (rule, subject, place, value, threshold, opened_at, last_seen_at, closed_at,"
            " acknowledged_at, acknowledged_by, note, told_at) VALUES ('disk', ?, ?, ?, 90, datetime('now', '-2 days'),"
            " datetime('now'), datetime('now', ?), datetime('now', ?), ?, ?, datetime('now'))",
            *(subject, host, value, closed, known, admin if known else "", "I order a disk." if known else ""),
        )
    live.write(
        "INSERT INTO alert_message (alert_id, kind, address, created_at, tries, problem)"
        " SELECT max(id), 'opened', ?, datetime('now'), 1, 'SMTPDataError 451' FROM alert",
        LONG_EMAIL,
    )
    return "/admin/alerts"


def _links(live: Live, people: dict[str, FormClient]) -> dict[str, str]:
    """A link in every state, each with the browser that waits for it."""
    paths = {}
    for name in ("waiting", "used", "expired", "superseded"):
        people[name] = live.asks(f"{name}@example.com")
        paths[name] = live.mailed(f"{name}@example.com")[0]
    live.use_link(live.visitor(), paths["used"])
    live.write(
        "UPDATE user_token SET created_at = datetime(created_at, '-1 day'), expires_at = datetime(expires_at, '-1 day')"
        " WHERE email = 'expired@example.com'"
    )
    live.asks("superseded@example.com")
    return paths


def _instances(live: Live, owner: FormClient) -> dict[str, Connected]:
    """An instance in every state."""
    made = {
        "uncalled": live.connect(owner, LONG_LABEL),
        "called": live.connect(owner, "Work", "expiring"),
        "ending": live.connect(owner, "For today", lifetime="1"),
        "ended": live.connect(owner, "Last month"),
        "off": live.connect(owner, "Holidays"),
        "key_refused": live.connect(owner, "Old key"),
        "stopped": live.connect(owner, "Nightly report"),
        "unverified": live.connect(owner, "Not tried yet", "error_500"),
    }
    _set(live, made["ended"], "expires_at = datetime(expires_at, '-40 days')")
    _set(live, made["off"], "status = 'inactive'")
    _set(live, made["key_refused"], "credential_state = 'rejected'")
    made["called"].call("get_me")
    made["called"].call("get_issue", owner="octocat")
    made["called"].call("get_issue", owner="octocat", repo="missing", number=1)
    log = made["called"].path + "/logs"
    until(lambda: owner.get(log).text.count("<summary><code>") == 3, "the calls are in the index")
    return made


def _set(live: Live, instance: Connected, what: str) -> None:
    live.write(f"UPDATE instance SET {what} WHERE id = ?", instance.path.rpartition("/")[2].replace("-", ""))
