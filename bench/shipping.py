"""`python -m bench.shipping [--fluent-bit PROGRAM]`: are all log lines shipped, whatever happens meanwhile?

The real Fluent Bit with the shipped configuration follows a log folder that our own code writes, closes and compresses,
and sends to a receiver that speaks OpenSearch's or Loki's language. Exit code 1: a line was lost, or is there twice.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from bench.receivers import KINDS
from bench.shipper import Shipping

_STEP_S = 5.0
_BEFORE = 5000
_KILLS = 20
_CHOOSY = "OpenSearch takes some lines of a request and refuses others, 5 s"
"""Loki has no such answer."""


def _midnight(made: Shipping) -> None:
    made.writer.next_day()
    time.sleep(_STEP_S)
    made.close_day()
    for _ in range(100):
        made.writer.write(late=timedelta(days=1))
    time.sleep(_STEP_S)
    made.close_day()


def _restart(how: signal.Signals) -> Callable[[Shipping], None]:
    def act(made: Shipping) -> None:
        made.stop(how)
        time.sleep(_STEP_S)
        made.start()

    return act


def _killed_often(made: Shipping) -> None:
    for number in range(_KILLS):
        made.stop(signal.SIGKILL)
        made.start()
        time.sleep(0.3 + number % 5 * 0.3)  # at all points of the second after which it sends what it read


def _away(made: Shipping) -> None:
    made.receiver.down()
    time.sleep(2 * _STEP_S)
    made.receiver.up()


def _killed_while_away(made: Shipping) -> None:
    made.receiver.down()
    time.sleep(_STEP_S)
    _restart(signal.SIGKILL)(made)
    time.sleep(_STEP_S)
    made.receiver.up()


def _refused(made: Shipping) -> None:
    for made.receiver.refusing in (429, 503, 0):
        time.sleep(_STEP_S)


def _choosy(made: Shipping) -> None:
    for made.receiver.is_choosy in (True, False):
        time.sleep(_STEP_S)


def _mute(made: Shipping) -> None:
    for made.receiver.is_mute in (True, False):
        time.sleep(_STEP_S)


STEPS: tuple[tuple[str, Callable[[Shipping], None]], ...] = (
    (f"{_BEFORE:,} lines are there before it starts", Shipping.start),
    ("midnight; the day is compressed, late lines come to it, it is compressed again", _midnight),
    ("shipper ended (TERM), 5 s later started", _restart(signal.SIGTERM)),
    ("shipper killed, 5 s later started", _restart(signal.SIGKILL)),
    (f"shipper killed {_KILLS} times, every 0.3 to 1.5 s", _killed_often),
    ("receiver gone for 10 s", _away),
    ("receiver gone, shipper killed meanwhile", _killed_while_away),
    ("receiver says 429, then 503, 5 s each", _refused),
    (_CHOOSY, _choosy),
    ("receiver takes all and hangs up without an answer, 5 s", _mute),
)


def main() -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.shipping", description=__doc__)
    parser.add_argument("--fluent-bit", default=shutil.which("fluent-bit"), help="default: the one on PATH")
    parser.add_argument("--to", choices=KINDS, action="append", help="only this receiver")
    parser.add_argument("--keep", action="store_true", help="leave the folder with what the shipper said")
    options = parser.parse_args()
    if not options.fluent_bit:
        raise SystemExit("Fluent Bit is not installed; name its program with --fluent-bit")
    version = subprocess.run([options.fluent_bit, "--version"], capture_output=True, text=True, check=True).stdout
    print(version.splitlines()[0])
    whole = [_ship(options.fluent_bit, kind, options.keep) for kind in options.to or KINDS]
    return 0 if all(whole) else 1


def _ship(program: str, kind: str, keep: bool) -> bool:
    print(
        f"\n| {kind}: what happens | lines written so far | missing | sent again | there twice |\n|---|---|---|---|---|"
    )
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    home = Path(tempfile.mkdtemp(prefix="mcpweb-shipping-"))
    made, good = Shipping(program, kind, home), True
    try:
        for _ in range(_BEFORE):
            made.writer.write()
        made.writer.start()
        for name, act in STEPS:
            if name == _CHOOSY and kind != "opensearch":
                continue
            before = made.receiver.again
            act(made)
            missing, twice = made.arrive()
            again = made.receiver.again - before
            print(f"| {name} | {made.writer.written:,} | {missing} | {again:,} | {twice} |", flush=True)
            good = good and not missing and not twice
        made.writer.end()
        wrong = made.misplaced()
        made.stop(signal.SIGTERM)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime
        print(f"\nLines under another time or day than theirs: {wrong}.")
        good = good and not wrong
        print(f"Fluent Bit used {cpu_s / made.writer.written * 1000:.3f} ms of processor a line, all starts included.")
    finally:
        if made.shipper and made.shipper.poll() is None:
            made.stop(signal.SIGTERM)
        if keep:
            print(f"\n{home}")
        else:
            shutil.rmtree(home)
    return good


if __name__ == "__main__":
    sys.exit(main())
