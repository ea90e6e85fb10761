"""Three hosts that run all roles: what one does holds for all, and what befalls one is no trouble for the others."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest
import requests

from mcpweb import clock
from mcpweb.instances.database_watch import COUNTS_S
from mcpweb.queue import open_queue
from mcpweb.web import static_files
from tests.fault_proxy import Mode
from tests.form_client import FormClient
from tests.several.hosts import ALICE, CLOCKS_S, Host, Installation, Target
from tests.spec_server import TOKENS
from tests.waiting import until

pytestmark = [pytest.mark.xdist_group("several hosts"), pytest.mark.postgres]

needs_faketime = pytest.mark.skipif(not any(CLOCKS_S), reason="libfaketime is not there: apt install faketime")


def told(installation: Installation, target: Target) -> list[tuple[int, str]]:
    """What three calls at each host get, each on a connection of its own, so that both processes of a host are met."""
    return [host.call(target) for host in installation.hosts for _ in range(3)]


def all_well(installation: Installation, target: Target) -> bool:
    return set(told(installation, target)) == {(200, "")}


def words(browser: FormClient, path: str) -> str:
    """The text of a page, without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", browser.get(path).text))


class often:
    """A job is due every two seconds meanwhile."""

    def __init__(self, installation: Installation, job: str) -> None:
        self.installation, self.job = installation, job

    def __enter__(self) -> None:
        self._set(2)

    def __exit__(self, *_: object) -> None:
        self._set(30)

    def _set(self, seconds: int) -> None:
        self.installation.sql("UPDATE schedule SET every_s = %s WHERE job = %s", seconds, self.job)


PATIENCE_S = 5.0
"""Longer than any call may take while something is away; its own limits are shorter, the machine may be busy."""
NORMAL_S = 5.0
"""When the hosts must be as before, once the database is there again."""


@dataclass(frozen=True)
class Call:
    """One call: `started` and `ended` on the monotonic clock, the text when it did not succeed."""

    host: str
    started: float
    ended: float
    status: int
    text: str


class calling:
    """Calls these hosts meanwhile, each from a thread of its own and on a connection for each call."""

    def __init__(self, target: Target, *hosts: Host) -> None:
        self.target = target
        self.calls: list[Call] = []
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._go_on, args=(host,), daemon=True) for host in hosts]

    def __enter__(self) -> calling:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(60)

    def _go_on(self, host: Host) -> None:
        while not self.stop.wait(0.02):
            started = time.monotonic()
            try:
                status, text = host.call(self.target)
            except requests.RequestException as error:
                status, text = 0, str(error)
            self.calls.append(Call(host.name, started, time.monotonic(), status, text))

    def go_on(self, count: int) -> None:
        """Until each host has answered so many calls that started from now on."""
        now = time.monotonic()

        def made() -> bool:
            seen = Counter(call.host for call in self.calls[-1000:] if call.started > now)
            return len(seen) == len(self.threads) and min(seen.values()) >= count

        until(made, f"each host has answered {count} calls", 60)

    @property
    def failed(self) -> list[Call]:
        return [call for call in self.calls if (call.status, call.text) != (200, "")]


def ask_for_link(browser: FormClient, email: str) -> None:
    """At the page that is for it; the answer does not wait for the mail."""
    page = browser.get("/sign-in")
    assert browser.submit(page.form("/sign-in"), email=email).path == "/sign-in/sent"


def mail_comes_once(installation: Installation, address: str) -> None:
    """The mail that was asked for, although what is left behind is looked for again after it."""
    installation.sql("UPDATE user_token SET created_at = created_at - interval '20 seconds'")  # it waited long enough
    with often(installation, "sign_in_mails_left"):
        until(lambda: installation.mails(address), "the mail has come", 35)
        last = installation.sql("SELECT max(id) FROM job_run")[0][0]
        again = "SELECT 1 FROM job_run WHERE job = 'sign_in_mails_left' AND state = 'done' AND id > %s"
        until(lambda: installation.sql(again, last), "what is left behind is looked for again", 35)
    assert len(installation.mails(address)) == 1


def test_a_change_at_one_host_holds_for_the_next_call_at_every_other(installation):
    target, (ada, ben, cleo) = installation.new_target(), installation.carol
    at = f"/instances/{target.id}"
    owner = f"/admin/users/{installation.user_id(ALICE)}"
    took: dict[str, float] = {}

    def change(browser: FormClient, path: str, says: str = "", **values: str) -> None:
        """Send it; the very next calls at all hosts are refused with these words, or all succeed."""
        before = time.monotonic()
        installation.post(browser, path, **values)
        took[path.rpartition("/")[2]] = time.monotonic() - before
        got = told(installation, target)
        assert all((says in text) if says else text == "" for _, text in got), (path, got)

    def lift(browser: FormClient) -> None:
        stop = installation.sql("SELECT max(id) FROM stop")[0][0]
        change(browser, f"/admin/stops/{stop}/lift")

    assert all_well(installation, target)
    mine = installation.alice
    change(mine[0], f"{at}/deactivate", "switched off")
    change(mine[1], f"{at}/activate")
    change(mine[2], f"{at}/tools", "list_issues", choice="picked", picked="get_me")
    change(mine[1], f"{at}/tools", choice="all")
    change(ben, "/admin/services/github/stop", "A key leaked.", reason="A key leaked.", lasts="1h")
    lift(cleo)
    change(cleo, "/admin/stops/everything", "All keys leaked.", reason="All keys leaked.", lasts="1h")
    lift(ada)
    end = f"{clock.utcnow() + timedelta(hours=1):%Y-%m-%dT%H:%M}"
    change(ada, "/admin/maintenance/mode/on", "New disk.", message="New disk.", ends_at=end)
    assert [browser.open("GET", "/instances").status for browser in mine] == [503] * 3
    change(ada, "/admin/maintenance/mode/off")
    assert [browser.open("GET", "/instances").status for browser in mine] == [200] * 3

    installation.post(cleo, "/admin/maintenance/policies/instances", instance_days_max="77")
    assert all("77 days" in browser.get("/services/github/connect").text for browser in mine)

    behaviours, good = installation.github.behaviours, TOKENS["github"]["good"]
    kept = behaviours[good]
    installation.post(mine[1], f"{at}/credential", **{"credential-token": TOKENS["github"]["oauth"]})
    behaviours[good] = "revoked"
    assert all_well(installation, target), "nobody uses the old key any more"
    behaviours[good] = kept

    installation.post(ben, f"{owner}/disable")
    assert {status for status, _ in told(installation, target)} == {401}
    change(cleo, f"{owner}/enable")
    installation.alice = installation.sign_in(ALICE)
    installation.post(installation.alice[0], f"{at}/delete", label="Work")
    assert {status for status, _ in told(installation, target)} == {401}
    print(
        f"\nanswered within {max(took.values()) * 1000:.0f} ms: { {name: round(s * 1000) for name, s in took.items()} }"
    )


def test_health_names_each_host_and_the_logs_of_all_are_in_one_viewer(installation):
    target = installation.new_target()
    assert all_well(installation, target)
    for browser, host in zip(installation.carol, installation.hosts, strict=True):
        text = words(browser, "/admin")
        for one in installation.hosts:
            assert all(f"{role} {one.name} Good" in text for role in ("Web", "Worker", "Ticker"))
        assert browser.get("/admin/hosts").text.count("Made this page.") == 1

        def found(browser: FormClient = browser) -> bool:
            text = words(browser, f"/admin/logs?q=instance:{target.id}+tool:list_issues")
            return all(re.search(rf"{one.name} 3 only not", text) for one in installation.hosts)

        until(found, f"the viewer of {host.name} has the three calls of each host", 30)


@needs_faketime
def test_a_clock_that_is_two_minutes_wrong_is_named_and_harmless(installation):
    text = words(installation.carol[1], "/admin")
    for host, ahead_s in zip(installation.hosts, CLOCKS_S, strict=True):
        says = parsedate_to_datetime(requests.get(f"{host.url}/healthz", timeout=5).headers["Date"])
        assert abs((says - clock.utcnow()).total_seconds() - ahead_s) < 10
        if ahead_s:
            assert f"{host.name} Look at it 120 seconds {'ahead of' if ahead_s > 0 else 'behind'} the database" in text

    alice = installation.sign_in("erin@example.com")  # asked for where it is early, used where it is late
    for number in (2, 1, 0, 2, 1):
        assert alice[number].open("GET", "/account").status == 200, "a session is good at every host"
    tagged = requests.get(f"{installation.hosts[2].url}{static_files.address()}/css/base.css", timeout=5).headers
    again = {"If-None-Match": tagged["ETag"], "If-Modified-Since": tagged["Last-Modified"]}
    for host in installation.hosts:
        assert (
            requests.get(f"{host.url}{static_files.address()}/css/base.css", headers=again, timeout=5).status_code
            == 304
        )

    target = installation.new_target()
    installation.sql("UPDATE instance SET expires_at = now() + interval '1 minute' WHERE id = %s", target.id)
    got = [host.call(target)[1] for host in installation.hosts]
    assert ["ended" in text for text in got] == [False, False, True], "as wrong as the clock, and no more"
    target = installation.new_target()
    installation.sql("UPDATE instance SET expires_at = now() - interval '1 minute' WHERE id = %s", target.id)
    assert "ended" in installation.hosts[0].call(target)[1]
    with often(installation, "expire_instances"):
        until(lambda: "ended" in installation.hosts[1].call(target)[1], "the late host knows of it", 30)


def test_tickers_share_the_slots_and_one_that_dies_leaves_them_to_the_others(installation):
    valkey, job = installation.valkey.client, "send_notices"

    def runs() -> int:
        return installation.sql("SELECT count(*) FROM job_run WHERE job = %s AND trigger = 'schedule'", job)[0][0]

    def known() -> set[bytes]:
        return set(valkey.scan_iter(f"rq:job:{job}-*", count=1000))

    before, old = runs(), known()
    with often(installation, job):
        until(lambda: runs() >= before + 6, "it has run", 40)
        installation.hosts[0].kill("ticker")
        at_death = runs()
        until(lambda: runs() >= at_death + 4, "it goes on", 40)
    until(lambda: runs() - before == len(known() - old), "what is on the queue is done, each slot once", 40)
    new = known() - old
    # By the latest clock it must have begun until it is forgotten; before it is done it is not forgotten at all.
    until(lambda: min(valkey.ttl(one) for one in new) > 240, "a slot is known long enough")
    installation.hosts[0].start("ticker")
    print(f"\n{len(new)} slots, each once")


def test_the_death_of_a_host_is_felt_by_nobody_else_and_it_comes_back_with_another_version(installation):
    target, (ada, ben, cleo) = installation.new_target(), installation.hosts
    assert all_well(installation, target)
    with calling(target, ada, ben) as made:
        cleo.kill()
        until(lambda: not ada.remembers, "its heartbeat is missed")
        made.go_on(20)
    assert not made.failed

    before = time.monotonic()
    installation.post(installation.alice[0], f"/instances/{target.id}/deactivate")
    took_s = time.monotonic() - before
    assert all("switched off" in host.call(target)[1] for host in (ada, ben) for _ in range(3))
    assert took_s < 5, "the others are waited for, and the dead one until nobody trusts any more"
    installation.sql("UPDATE host_role SET seen_at = seen_at - interval '1 minute' WHERE host = %s", cleo.id)
    text = words(installation.carol[1], "/admin")
    assert all(f"{role} cleo Act Last heard" in text for role in ("Web", "Worker", "Ticker")), text

    cleo.start("web", "worker", "ticker", HOST_VERSION="9.9.9")
    back = time.monotonic()
    installation.settle()
    assert "switched off" in cleo.call(target)[1]
    until(lambda: "web on cleo" in words(installation.carol[1], "/admin"), "the other version is named")
    text = words(installation.carol[1], "/admin")
    assert re.search(r"Versions Look at it 0\.1\.0: .*web on ada.*; 9\.9\.9: .*web on cleo", text), text
    before = time.monotonic()
    installation.post(installation.alice[1], f"/instances/{target.id}/activate")
    assert all_well(installation, target)
    print(f"\n{len(made.calls)} calls while a host died, 0 failed; a change without it took {took_s:.1f} s, ", end="")
    print(f"with it again {time.monotonic() - before:.1f} s; it was trusted {before - back:.1f} s after its start")


@pytest.mark.parametrize("mode", ["refuse", "half"])
def test_a_host_without_its_database_refuses_every_call_after_three_seconds_and_the_others_do_not_care(
    mode: Mode, installation: Installation
) -> None:
    target, (ada, ben, cleo) = installation.new_target(), installation.hosts
    address = f"{mode}@example.com"
    assert all_well(installation, target)
    with calling(target, ben) as at_ben, calling(target, ada, cleo) as elsewhere:
        ben.to_database.set(mode)
        cut = time.monotonic()
        until(lambda: time.monotonic() > cut + COUNTS_S, "what was remembered counts no more")
        late = time.monotonic()
        at_ben.go_on(8)
        elsewhere.go_on(8)
    assert not elsewhere.failed
    refused = [call for call in at_ben.calls if call.started > late]
    assert {call.status for call in refused} == {503}, "neither process of the host goes by what it remembers"
    assert all("database does not answer" in call.text for call in refused)
    assert {call.status for call in at_ben.calls} == {200, 503}, "nothing else is said before"
    longest_s = max(call.ended - call.started for call in at_ben.calls)
    last_s = max(call.started for call in at_ben.calls if call.status == 200) - cut
    assert longest_s < PATIENCE_S

    installation.post(installation.alice[0], f"/instances/{target.id}/deactivate")
    ask_for_link(installation.browsers()[0], address)
    assert {ben.call(target)[0] for _ in range(4)} == {503}
    assert all("switched off" in host.call(target)[1] for host in (ada, cleo))

    ben.to_database.set("pass")
    healed = time.monotonic()
    got: list[tuple[int, str]] = []

    def answers() -> bool:
        got.extend(ben.call(target) for _ in range(6))
        return all(status == 200 for status, _ in got[-6:])

    until(answers, "it answers again", 35)
    healed_s = time.monotonic() - healed
    assert all("switched off" in text for status, text in got if status == 200), "what was changed meanwhile holds"
    mail_comes_once(installation, address)
    installation.post(installation.alice[1], f"/instances/{target.id}/activate")
    assert all_well(installation, target)
    print(
        f"\n{mode}: the last call served {last_s:.1f} s after the cut, none took more than {longest_s:.1f} s, ", end=""
    )
    print(f"well {healed_s:.1f} s after it healed")


def test_when_postgresql_ends_all_connections_hardly_a_call_fails_and_none_after_five_seconds(installation):
    target = installation.new_target()
    assert all_well(installation, target)
    ended = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'several' AND pid <> pg_backend_pid()"
    )
    with calling(target, *installation.hosts) as made:
        made.go_on(3)
        count = len(installation.sql(ended))
        cut = time.monotonic()
        pages = [browser.open("GET", "/instances").status for browser in installation.alice]
        installation.post(installation.alice[0], f"/instances/{target.id}/rename", label="After")
        until(lambda: time.monotonic() > cut + NORMAL_S, "it has had its time")
        made.go_on(5)
    assert len(made.failed) <= count, "one for each connection at most"
    assert {call.status for call in made.failed} <= {503}
    assert all(call.started < cut + NORMAL_S for call in made.failed)
    assert pages == [200] * 3
    assert "After" in installation.alice[1].get("/instances").text
    print(f"\n{count} connections ended, {len(made.failed)} of {len(made.calls)} calls failed", end="")


def test_when_valkey_loses_everything_sessions_live_schedules_come_back_and_no_mail_comes_twice(installation):
    address = "flush@example.com"
    last = installation.sql("SELECT max(id) FROM job_run")[0][0]
    ask_for_link(installation.browsers()[1], address)
    installation.valkey.client.flushall()
    lost = time.monotonic()
    assert [browser.open("GET", "/instances").status for browser in installation.alice] == [200] * 3
    mail_comes_once(installation, address)
    back = "SELECT count(DISTINCT job) FROM job_run WHERE id > %s AND trigger = 'schedule' AND state = 'done'"
    until(lambda: installation.sql(back, last)[0][0] > 1, "other schedules are back, too", 35)
    print(f"\ntwo schedules had run {time.monotonic() - lost:.1f} s after the flush", end="")


def test_a_host_whose_way_to_valkey_is_slow_silent_or_cut_answers_meanwhile_and_takes_jobs_again(installation):
    target, ben = installation.new_target(), installation.hosts[1]
    address = "cut@example.com"
    assert all_well(installation, target)
    own = open_queue(installation.valkey.client, ben.id)
    # A job that nobody but this test asks for: the ticker's would be counted, too.
    job = "SELECT count(*) FROM job_run WHERE job = 'preview_erase_exports' AND host = %s AND state = 'done'"

    def done() -> int:
        return int(installation.sql(job, ben.id)[0][0])

    def ask() -> None:
        own.enqueue("preview_erase_exports", args=(), kwargs={})

    before, figures = done(), {}
    with calling(target, *installation.hosts) as made:
        for mode in ("slow", "half", "refuse"):
            ben.to_valkey.set(mode)
            begun = time.monotonic()
            if mode == "half":
                ask()  # Valkey hands it to a connection that nobody hears
                until(lambda: not ben.remembers, "it misses the others")
            made.go_on(10)
            figures[mode] = max(call.ended - call.started for call in made.calls if call.started > begun)
        ask_for_link(installation.browsers()[1], address)
    assert not made.failed, "it asks the database"
    assert max(figures.values()) < PATIENCE_S
    ben.to_valkey.set("pass")
    healed = time.monotonic()
    ask()
    until(lambda: ben.start_again() or done() > before, "it does a job", 35)
    until(lambda: ben.remembers, "it hears the others", 35)
    assert done() <= before + 2, "none is done twice"
    healed_s = time.monotonic() - healed
    mail_comes_once(installation, address)
    longest = ", ".join(f"{mode} {s:.2f} s" for mode, s in figures.items())
    print(f"\na call took at most: {longest}; all was well {healed_s:.1f} s after it healed")
