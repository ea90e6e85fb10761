"""A fault in the middle of load: what was lost, what was stale, and how long it took until all was as before."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from bench import clients
from bench.crowd import Crowd
from bench.installation import Installation
from bench.requests import ANSWERS, request
from bench.traffic import Plan, Seen
from tests.form_client import FormClient, OverHttp

CALLED = slice(100, 2100)
"""These of the crowd are called; those before them are switched off and on, those after them may expire."""
LEAD_S, TAIL_S = 3.0, 5.0


@dataclass
class Trial:
    """What was seen. `began` and `over` are when the fault came and went, in seconds of the monotonic clock."""

    began: float = 0.0
    over: float = 0.0
    seen: list[Seen] = field(default_factory=list)
    stale: int = 0
    changes: int = 0

    @property
    def failed(self) -> list[Seen]:
        """Requests without a good answer."""
        return [one for one in self.seen if not one.is_good]

    @property
    def in_flight(self) -> int:
        """How many waited for an answer when the fault came."""
        return sum(one.sent_at <= self.began < one.sent_at + one.took_s for one in self.seen)

    @property
    def normal_s(self) -> float:
        """From the end of the fault to the last answer that was not good."""
        ends = [one.sent_at + one.took_s for one in self.failed]
        return max(0.0, max(ends, default=0.0) - self.over)

    def during(self) -> list[Seen]:
        """What was asked while the fault lasted."""
        return [one for one in self.seen if self.began <= one.sent_at < self.over]

    def before(self) -> list[Seen]:
        """What was asked and answered before it came."""
        return [one for one in self.seen if one.sent_at + one.took_s < self.began]


def plan(made: Installation, **more: object) -> Plan:
    """The usual load beside a fault: sixteen clients who think for a moment, so that the machine keeps up."""
    usual = {"pause_s": 0.03, "first": CALLED.start, "most": CALLED.stop - CALLED.start}
    return Plan(made.port, str(made.home / "crowd.json"), **(usual | more))  # type: ignore[arg-type]


@contextmanager
def under_load(made: Installation, **more: object) -> Iterator[Trial]:
    """Load before, while and after the block lasts, which is the fault; who ends it earlier sets `over`."""
    trial, running = Trial(), clients.Running(plan(made, **more))
    time.sleep(LEAD_S)
    trial.began = time.monotonic()
    try:
        yield trial
        trial.over = trial.over or time.monotonic()
        time.sleep(TAIL_S)
    finally:
        trial.seen = running.end()


@contextmanager
def switching(made: Installation, trial: Trial) -> Iterator[None]:
    """Meanwhile an owner switches an instance off and on again; a call after the answer must not succeed."""
    over = threading.Event()
    switcher = threading.Thread(target=_switch, args=(made, trial, over), daemon=True)
    switcher.start()
    try:
        yield
    finally:
        over.set()
        switcher.join(30)


def _switch(made: Installation, trial: Trial, over: threading.Event) -> None:
    crowd = Crowd.read(Path(made.home / "crowd.json"))
    (cookie, instance_id), endpoint = crowd.viewers[0], crowd.endpoints[0]
    browser = FormClient(OverHttp(), f"http://127.0.0.1:{made.port}")
    name, _, value = cookie.partition("=")
    browser.transport.session.cookies.set(name, value, domain="127.0.0.1", path="/")  # type: ignore[attr-defined]
    while not over.wait(0.2):
        page = browser.get(f"/instances/{instance_id}")
        page = browser.submit(page.form("/deactivate"))
        if page.status == 200:
            trial.changes += 1
            trial.stale += sum(call(made, endpoint) for _ in range(8))
            browser.submit(page.form("/activate"))


def call(made: Installation, endpoint: tuple[str, str], timeout_s: float = 30) -> bool:
    """Whether a call of its own succeeds."""
    head, _, body = request("call", endpoint, ("", "")).partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    url = f"http://127.0.0.1:{made.port}/mcp/{endpoint[0]}"
    answer = requests.post(url, data=body, headers=headers, timeout=timeout_s)
    return answer.status_code == 200 and ANSWERS["call"] in answer.content
