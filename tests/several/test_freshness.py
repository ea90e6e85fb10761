"""Three hosts with two web processes each, clients that call all the time: what was changed holds for the next call.

A stale success is a call that started after a change was answered, ended before the next one began, and still succeeded
on the old state.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import requests

from tests.instances.connecting import shown_token
from tests.several.hosts import ALICE, Host, Installation, Target
from tests.spec_server import TOKENS
from tests.waiting import until

pytestmark = [pytest.mark.xdist_group("several hosts"), pytest.mark.postgres]

CLIENTS = 9
KEYS = [TOKENS["github"][name] for name in ("good", "oauth", "fine_grained", "installation")]


@dataclass(frozen=True)
class Call:
    """One call of a client: `host` by its number, times on the monotonic clock."""

    client: int
    host: int
    target: Target
    started: float
    ended: float
    status: int
    ok: bool


class Clients:
    """Nine clients, three a host, that call one after the other until stopped."""

    def __init__(self, hosts: list[Host], target: Target) -> None:
        self.hosts, self.target = hosts, target
        self.calls: list[Call] = []
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._go_on, args=(n,), daemon=True) for n in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join(60)

    def _go_on(self, number: int) -> None:
        host = number % len(self.hosts)
        while not self.stopped.wait(0.02):
            with requests.Session() as session:  # a new connection meets another worker
                for _ in range(3):
                    self.calls.append(self._call(session, number, host))

    def _call(self, session: requests.Session, number: int, host: int) -> Call:
        target, started = self.target, time.monotonic()
        try:
            status, refusal = self.hosts[host].call(target, session)
        except requests.RequestException:
            status, refusal = 0, "no answer"
        ok = status == 200 and not refusal
        return Call(number, host, target, started, time.monotonic(), status, ok)

    def since(self, moment: float) -> list[Call]:
        """The calls that started after the moment, and have ended."""
        return [call for call in self.calls[-3000:] if call.started > moment]

    def wait_for_each(self, moment: float, count: int = 1, ok: bool | None = None) -> None:
        """Until every client has made so many calls since the moment, with this outcome."""

        def done() -> bool:
            made = Counter(call.client for call in self.since(moment) if ok is None or call.ok == ok)
            return all(made[number] >= count for number in range(CLIENTS))

        until(done, f"each client has made {count} calls with ok={ok}", 40)


@pytest.fixture
def clients(installation: Installation) -> Iterator[Clients]:
    """Clients that have all been served by now."""
    running = Clients(installation.hosts, installation.new_target())
    try:
        running.wait_for_each(0, count=2, ok=True)
        yield running
    finally:
        running.stop()


class Rounds:
    """Makes changes, one at a time, and counts what the clients get after the answer."""

    def __init__(self, installation: Installation, clients: Clients) -> None:
        self.installation, self.clients = installation, clients
        self.stale: Counter[str] = Counter()
        self.judged: Counter[str] = Counter()
        self.took: dict[str, list[float]] = {}
        self.rounds = 0
        self.key = 0

    def change(self, name: str, change: Callable[[], object], refused: bool = True) -> None:
        """Make a change; whoever calls after its answer must (not) be refused."""
        started = time.monotonic()
        change()
        answered = time.monotonic()
        self.took.setdefault(name, []).append(answered - started)
        self.clients.wait_for_each(answered, count=2)
        self.judge(name, answered, refused)
        self.rounds += 1

    def judge(self, name: str, answered: float, refused: bool) -> None:
        """Count the calls since the answer, of which none may have (not) succeeded."""
        made = [call for call in self.clients.since(answered) if call.target == self.clients.target]
        self.judged[name] += len(made)
        self.stale[name] += sum(call.ok == refused for call in made)

    def off_and_on(self, host: int, name: str = "off") -> None:
        self.change(name, lambda: self.switch(host, "deactivate"))
        self.change(name.replace("off", "on"), lambda: self.switch((host + 1) % 3, "activate"), False)

    def switch(self, host: int, action: str) -> None:
        """Activate or deactivate."""
        self._post(host, f"/instances/{self.clients.target.id}/{action}")

    def tools(self, host: int) -> None:
        path = f"/instances/{self.clients.target.id}/tools"
        self.change("tool off", lambda: self._post(host, path, choice="picked", picked="get_me"))
        self.change("tool on", lambda: self._post(host, path, choice="all"), False)

    def rekey(self, host: int) -> None:
        """Replace the key and let GitHub refuse the old one: then a call that still uses it fails."""
        old, self.key = KEYS[self.key], (self.key + 1) % len(KEYS)
        new, behaviours = KEYS[self.key], self.installation.github.behaviours
        kept = behaviours[old]

        def change() -> None:
            path = f"/instances/{self.clients.target.id}/credential"
            self._post(host, path, **{"credential-token": new})
            behaviours[old] = "revoked"

        # A call that began before may still be on its way with the old key; only those after count.
        self.change("re-key", change, refused=False)
        behaviours[old] = kept

    def revoke(self, host: int) -> None:
        target = self.clients.target
        page = self.installation.alice[host].get(f"/instances/{target.id}")
        form = next(form for form in page.forms if form.action.endswith("/revoke"))
        self.change("revoke", lambda: self._post(host, form.action))
        self._make_token(host, target.id)

    def delete(self, host: int) -> None:
        path = f"/instances/{self.clients.target.id}/delete"
        self.change("delete", lambda: self._post(host, path, label="Work"))
        self.key = 0
        self._go_to(self.installation.new_target(host))

    def stop_user(self, host: int) -> None:
        path = f"/admin/users/{self.installation.user_id(ALICE)}/stop"
        carol = self.installation.carol[host]
        self.change("stop", lambda: self.installation.post(carol, path, reason="A key leaked.", lasts="1h"))
        stop = self.installation.sql("SELECT max(id) FROM stop")[0][0]
        self.change("lift", lambda: self.installation.post(carol, f"/admin/stops/{stop}/lift"), False)

    def _post(self, host: int, path: str, **values: str) -> None:
        self.installation.post(self.installation.alice[host], path, **values)

    def _make_token(self, host: int, id: str) -> None:
        browser = self.installation.alice[host]
        page = browser.get(f"/instances/{id}")
        self._go_to(Target(id, shown_token(browser.submit(page.form("/tokens"), label="Next"))))

    def _go_to(self, target: Target) -> None:
        self.clients.target = target
        self.clients.wait_for_each(time.monotonic(), ok=True)

    def report(self, title: str) -> None:
        """Print the figures, and find fault with any stale success."""
        print(
            f"\n{title}: {self.rounds} changes, {CLIENTS} clients, {sum(self.judged.values())} calls judged, ", end=""
        )
        print(f"{sum(self.stale.values())} stale")
        for name, spans in self.took.items():
            longest_ms = max(spans) * 1000
            print(f"  {name}: {len(spans)} times, {self.judged[name]} calls, answered in at most {longest_ms:.0f} ms")
        assert +self.stale == Counter()


def test_after_the_answer_no_call_succeeds_on_the_old_state(installation, clients):
    rounds = Rounds(installation, clients)
    for host in range(3):
        rounds.off_and_on(host)
        rounds.rekey(host)
        rounds.revoke(host)
        rounds.delete((host + 1) % 3)
    for host in (0, 1):
        rounds.tools(host)
    rounds.stop_user(2)
    rounds.report("all well")
    assert max(max(spans) for spans in rounds.took.values()) < 5, "nobody waits for a host for ever"
    assert len({call.host for call in clients.calls if call.ok}) == 3


def test_while_valkey_restarts_or_is_flushed_no_call_succeeds_on_the_old_state(installation, clients):
    rounds = Rounds(installation, clients)
    installation.valkey.client.flushall()
    rounds.off_and_on(0, "off when flushed")
    installation.valkey.stop()
    installation.valkey.start()
    rounds.off_and_on(1, "off when restarted")
    installation.valkey.stop()
    rounds.change("off without Valkey", lambda: rounds.switch(0, "deactivate"))
    rounds.change("on without Valkey", lambda: rounds.switch(1, "activate"), False)
    assert all(call.ok for call in clients.calls[-CLIENTS:]), "calls ask the database"
    installation.valkey.start()
    rounds.off_and_on(1, "off when it is back")
    rounds.report("Valkey restarts, is flushed, is gone")


@pytest.mark.parametrize("mode", ["refuse", "half"])
def test_while_a_host_is_cut_from_valkey_no_call_succeeds_on_the_old_state(mode, installation, clients):
    rounds = Rounds(installation, clients)
    cut = 0 if mode == "refuse" else 1
    for changing in (cut, 1 - cut)[: 1 if mode == "refuse" else 2]:
        installation.hosts[cut].to_valkey.set(mode)
        word = "the host that is cut off" if cut == changing else "the other"
        rounds.change(f"off at {word}", lambda host=changing: rounds.switch(host, "deactivate"))
        installation.hosts[cut].to_valkey.set("pass")
        healed = time.monotonic()
        installation.settle()
        clients.wait_for_each(time.monotonic(), count=2)
        rounds.judge("after it healed", healed, True)
        rounds.change("on", lambda host=changing: rounds.switch(host, "activate"), False)
    rounds.report(f"one host is cut from Valkey ({mode})")


def test_without_valkey_and_database_calls_are_refused_and_all_is_well_when_they_are_back(installation, clients):
    for host in installation.hosts:
        host.to_valkey.set("refuse")
    clients.wait_for_each(time.monotonic() + 2.5, ok=True)  # nobody trusts any longer, and all are served
    for host in installation.hosts:
        host.to_database.set("refuse")
    gone = time.monotonic()
    clients.wait_for_each(gone, count=2)
    refused = clients.since(gone)
    print(f"\nno Valkey, no database: {len(refused)} calls, {sum(call.ok for call in refused)} succeeded, ", end="")
    print(f"{sorted({call.status for call in refused})}, at most {max(c.ended - c.started for c in refused):.2f} s")
    assert not any(call.ok for call in refused)
    assert {call.status for call in refused} == {503}
    assert max(call.ended - call.started for call in refused) < 5

    for host in installation.hosts:
        host.to_valkey.set("pass")
        host.to_database.set("pass")
    clients.wait_for_each(time.monotonic(), count=2, ok=True)
