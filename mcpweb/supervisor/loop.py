"""Starts programs in the order of their needs, restarts those that die, and ends all of them on a signal.

One thread and standard library only: this process stays for as long as the others do, so it has to be small, and a
process that forks is best without threads.
"""

import selectors
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from mcpweb.supervisor.child import Child, LinePipe
from mcpweb.supervisor.console import is_notable, say, show_line
from mcpweb.supervisor.probe import Probe
from mcpweb.supervisor.roles import Role, Running
from mcpweb.supervisor.signals import Signals

QUICK_DEATH_S = 10.0
BACK_OFF_S = (0.1, 0.5, 1.0, 2.0)
SLOW_RETRY_S = 30.0
SLOW_START_S = 15.0
GRACE_S = 8.0
NOT_STARTED = 127  # the exit code that a shell gives then


class RoleFailed(Exception):
    """Something without which nothing works can not be kept running; the text says what, with its last words."""


class Loop:
    """Runs programs until a signal comes or an essential one fails."""

    def __init__(self, roles: Sequence[Role], environ: Mapping[str, str], *, is_verbose: bool):
        self.running = {role.name: Running(role) for role in roles}
        self._environ = environ
        self._is_verbose = is_verbose
        self._signals = Signals()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._signals.descriptor, selectors.EVENT_READ, self._signals.drain)

    def run(self, when_ready: Callable[[], None]) -> None:
        """Keep everything running until the first signal to stop; call `when_ready` once everything is.

        Raises:
            RoleFailed: an essential program failed for good.
        """
        slow_at: float | None = time.monotonic() + SLOW_START_S
        is_announced = False
        while not self._signals.stops_asked:
            self._start_due()
            waiting = [one.role.title for one in self.running.values() if not one.is_ready]
            if not waiting and not is_announced:
                when_ready()
                is_announced, slow_at = True, None
            if slow_at and time.monotonic() >= slow_at:
                say(f"still starting, not ready yet: {', '.join(waiting)}.")
                slow_at = None
            self._wait(slow_at)
            for one in self.running.values():
                if (code := self._ended(one)) is not None:
                    self._decide(one, code)

    def stop(self) -> None:
        """End everything, the last started first and Redis after all others. A second signal kills what is left."""
        alive = [one for one in reversed(self.running.values()) if one.child]
        self._end([one for one in alive if not one.role.ends_last])
        self._end([one for one in alive if one.role.ends_last])

    def _start_due(self) -> None:
        now = time.monotonic()
        for one in self.running.values():
            is_due = one.child is None and not one.is_done and one.start_at <= now
            if is_due and all(self.running[name].is_ready for name in one.role.needs):
                self._start(one)

    def _start(self, one: Running) -> None:
        def log(line: str) -> None:
            one.last_words.append(line)
            if self._is_verbose or is_notable(line):
                show_line(one.role.name, line)

        one.last_words.clear()
        one.lifetime_s = 0.0
        try:
            one.child = Child(one.role.command, self._environ, log, one.answer.append if one.role.runs_once else None)
        except OSError as error:
            log(f"{one.role.command[0]} can not be started: {error.strerror}")
            self._decide(one, code=NOT_STARTED)
            return
        for pipe in one.child.pipes:
            self._selector.register(pipe.descriptor, selectors.EVENT_READ, partial(self._read, pipe))
        if one.role.question:
            one.probe = Probe(one.role.question)
        else:
            one.is_ready = not one.role.runs_once

    def _read(self, pipe: LinePipe) -> None:
        if not pipe.pump():
            self._selector.unregister(pipe.descriptor)

    def _wait(self, until: float | None) -> None:
        """Sleep until something happens: output, an answer, a signal, an ended child, or a time that was waited for."""
        now = time.monotonic()
        probes = [one.probe for one in self.running.values() if one.probe]
        restarts = [one.start_at for one in self.running.values() if one.child is None and one.start_at > now]
        times = [*restarts, *(probe.ask_at for probe in probes), *([until] if until else [])]
        asked = [probe.descriptor for probe in probes if probe.descriptor is not None]
        for descriptor in asked:
            self._selector.register(descriptor, selectors.EVENT_READ, lambda: None)
        events = self._selector.select(max(0.0, min(times) - now) if times else None)
        for descriptor in asked:
            self._selector.unregister(descriptor)
        for key, _ in events:
            key.data()
        for one in self.running.values():
            if one.probe and one.probe.step():
                one.is_ready, one.probe = True, None

    def _ended(self, one: Running) -> int | None:
        """The exit code of a program that has ended since the last look, after clearing up behind it."""
        code = one.child.exit_code() if one.child else None
        if one.child is None or code is None:
            return None
        for pipe in one.child.pipes:
            if pipe.descriptor in self._selector.get_map():
                self._selector.unregister(pipe.descriptor)
        one.child.close()
        if one.probe:
            one.probe.drop()
        one.lifetime_s = time.monotonic() - one.child.started_at
        one.child = one.probe = None
        one.is_ready = False
        return code

    def _decide(self, one: Running, code: int) -> None:
        """What to do about a program that ended by itself: nothing, start it again, or give up."""
        if one.role.runs_once and code == 0:
            one.is_done = one.is_ready = True
            return
        how = f"ended with exit code {code}" if code >= 0 else f"was killed by signal {-code}"
        if one.role.runs_once:
            raise RoleFailed(f"{one.role.title} {how}.{_quoted(one)}")
        one.quick_deaths = one.quick_deaths + 1 if one.lifetime_s < QUICK_DEATH_S else 1
        if one.quick_deaths <= len(BACK_OFF_S):
            delay_s = BACK_OFF_S[one.quick_deaths - 1]
            say(f"{one.role.title} {how}; it is started again.")
        elif one.role.is_essential:
            raise RoleFailed(f"{one.role.title} {how}, {one.quick_deaths} times in a row.{_quoted(one)}")
        else:
            delay_s = SLOW_RETRY_S
            say(
                f"{one.role.title} {how}, {one.quick_deaths} times in a row; next try in {delay_s:.0f} s.{_quoted(one)}"
            )
        one.start_at = time.monotonic() + delay_s

    def _end(self, alive: list[Running]) -> None:
        asked, until = self._signals.stops_asked, time.monotonic() + GRACE_S
        for one in alive:
            if one.child:
                one.child.terminate()
        while alive and time.monotonic() < until and self._signals.stops_asked == asked:
            self._wait(until)
            alive = [one for one in alive if self._ended(one) is None]
        for one in alive:
            if one.child:
                say(f"{one.role.title} is killed, as it did not end.")
                one.child.kill()
                self._ended(one)


def _quoted(one: Running) -> str:
    return "".join(f"\n    {line}" for line in ("Its last words:", *one.last_words)) if one.last_words else ""
