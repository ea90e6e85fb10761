"""Faults of the program's own processes: reloaded, deployed anew, killed, or without descriptors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bench import clients, processes
from bench.installation import OUT_OF_REACH, Installation, until
from bench.outcome import Outcome, words
from bench.scene import Scene
from bench.servers import ROOT, free_port, get
from bench.trial import Trial, plan, under_load

_PAUSE_S = 0.01
_BACK_S = 10.0


def reloaded(scene: Scene) -> Outcome:
    """HUP every few seconds."""
    master = scene.made.running["web"]
    return _again_and_again(scene, lambda: _reload(scene.made, master.pid))


def deployed(scene: Scene) -> Outcome:
    """TERM, and the new program at once on the socket that is kept, as systemd does it."""
    return _again_and_again(scene, lambda: _replace(scene.made))


def killed(scene: Scene) -> Outcome:
    """One of two workers, without warning."""
    made = scene.made
    with under_load(made) as trial:
        victim = _workers(made)[0]
        os.kill(victim, signal.SIGKILL)
        until(lambda: victim not in _workers(made), "it is gone")
        gone = time.monotonic()
        until(lambda: len(_workers(made)) == 2, "there are two workers again")
    # Until it is gone, what nginx hands it on a connection that is kept is in flight, too: no call may be sent twice.
    later = sum(one.sent_at > gone for one in trial.failed)
    note = f"{words(trial)}; {later} of them sent after its end"
    return Outcome(trial, "only what was in flight", not later and trial.normal_s <= 1, note)


def few_descriptors(scene: Scene) -> Outcome:
    """64 files and sockets for each worker, and 48 clients."""
    made = scene.made
    made.stop("web")
    made.start_web(descriptors=64)
    until(made.is_ready, "the web server answers with few descriptors")
    trial = Trial(began=time.monotonic())
    crowded = clients.run(plan(made, clients=48, seconds=8.0, pause_s=0.0))
    trial.over = time.monotonic()
    calm = clients.run(plan(made, clients=4, seconds=4.0))
    trial.seen = crowded + calm
    made.stop("web")
    made.start_web()
    until(made.is_ready, "the web server answers")
    refused = [one for one in crowded if not one.is_good]
    is_fine = all(one.status in (429, 502, 503) for one in refused) and all(one.is_good for one in calm)
    return Outcome(trial, "503 at most; then as before", is_fine and bool(calm), words(trial))


def supervised(scene: Scene) -> Outcome:
    """`mcpweb up`, whose ticker and worker are killed."""
    trial = Trial()
    with tempfile.TemporaryDirectory(prefix="mcpweb-bench-") as home:
        port = free_port()
        environ = {**scene.made.environ, **OUT_OF_REACH, "MCPWEB_HOME": home, "MCPWEB_BIND": f"127.0.0.1:{port}"}
        for name in ("MCPWEB_DATABASE_URL", "MCPWEB_REDIS_URL", "MCPWEB_PUBLIC_URL"):
            environ.pop(name, None)
        command = [sys.executable, "-m", "mcpweb", "up"]
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(lambda: _answers(port), "all of it runs")
            until(lambda: _roles(process.pid).keys() >= {"worker", "ticker"}, "worker and ticker run")
            before = _roles(process.pid)
            trial.began = trial.over = time.monotonic()
            for role in ("worker", "ticker"):
                os.kill(before[role], signal.SIGKILL)
            until(lambda: _all_new(before, _roles(process.pid)), "both are back", 60)
            took = time.monotonic() - trial.began
        finally:
            process.terminate()
            process.wait(30)
    return Outcome(trial, f"started again within {_BACK_S:g} s", took <= _BACK_S, f"after {took:.1f} s")


def _again_and_again(scene: Scene, action: Callable[[], None]) -> Outcome:
    made = scene.made
    with under_load(made, pause_s=_PAUSE_S) as trial:
        asked_before = _hits(made)
        while _hits(made) - asked_before < scene.requests:
            action()
            time.sleep(2)
    times = f"{len(trial.seen):,} requests"
    return Outcome(trial, "none lost", not trial.failed and len(trial.seen) >= scene.requests, words(trial) or times)


def _hits(made: Installation) -> int:
    """How many requests nginx has answered."""
    return (made.home / "nginx" / "mcpweb.access.log").read_bytes().count(b"\n")


def _reload(made: Installation, master: int) -> None:
    before = set(_workers(made))
    os.kill(master, signal.SIGHUP)
    until(lambda: len(_workers(made)) == 2 and not before & set(_workers(made)), "the new workers are alone")


def _replace(made: Installation) -> None:
    made.stop("web")
    made.start_web()
    until(made.is_ready, "the new program answers")


def _workers(made: Installation) -> list[int]:
    pid = made.running["web"].pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _answers(port: int) -> bool:
    try:
        return get(port, "/readyz", 5) == 200
    except OSError:
        return False


def _roles(supervisor: int) -> dict[str, int]:
    """The last word of the command of each of its programs, and its process."""
    found = {}
    for pid in processes.family(supervisor)[1:]:
        with suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
            if command[-1] in (b"worker", b"ticker") and Path(f"/proc/{pid}/stat").read_text().split()[3] == str(
                supervisor
            ):
                found[command[-1].decode()] = pid
    return found


def _all_new(before: dict[str, int], now: dict[str, int]) -> bool:
    return all(role in now and now[role] != before[role] for role in ("worker", "ticker"))


FAULTS = {
    "HUP, again and again": reloaded,
    "TERM and start, again and again": deployed,
    "a worker is killed": killed,
    "64 descriptors": few_descriptors,
    "ticker and worker are killed": supervised,
}
