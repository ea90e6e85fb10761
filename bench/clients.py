"""Starting the clients of `bench.traffic`, ending them, and what they saw."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable

from bench.servers import ROOT
from bench.traffic import Plan, Seen, order


class Running:
    """Clients at work, until `end`."""

    def __init__(self, plan: Plan) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.traffic"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdin
        self._process.stdin.write(order(plan))
        self._process.stdin.flush()

    def end(self) -> list[Seen]:
        """Let them finish what is in flight; returns every request."""
        return [Seen(*one) for one in json.loads(self._process.communicate()[0])]

    def wait(self) -> list[Seen]:
        """Until they end by themselves; returns every request."""
        assert self._process.stdout
        answer = self._process.stdout.read()
        self._process.communicate()
        return [Seen(*one) for one in json.loads(answer)]


def run(plan: Plan) -> list[Seen]:
    """The clients, for the plan's seconds or until all have been asked."""
    return Running(plan).wait()


def quantile(seen: Iterable[Seen], share: float) -> float:
    """Milliseconds that this share of them took at most; 0 of none."""
    took = sorted(one.took_s for one in seen)
    return took[min(int(len(took) * share), len(took) - 1)] * 1000 if took else 0.0
