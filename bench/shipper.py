"""A writer of log lines, the real shipper that follows them, and the receiver that they are for."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.receivers import Receiver
from bench.servers import ROOT
from mcpweb.logs import maintenance
from mcpweb.logs.events import CATEGORIES
from mcpweb.logs.lines import entry, line
from mcpweb.logs.retention import Policy
from mcpweb.logs.writing import LogFiles

CONFIGURATIONS = ROOT / "deploy" / "shipping"
_ARRIVED_S = 90.0
_PAUSE_S = 0.002


class Writer(threading.Thread):
    """Writes numbered lines to all categories of a log folder, as fast as a busy host does, until `end`."""

    def __init__(self, root: Path) -> None:
        super().__init__(daemon=True)
        self.files, self.written = LogFiles(root), 0
        self.day = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=3)
        self._lock = threading.Lock()
        self._over, self._goes_on = threading.Event(), threading.Event()
        self._goes_on.set()

    def write(self, late: timedelta = timedelta()) -> None:
        """One line of the day, or of one before; every fiftieth is long."""
        with self._lock:
            self.written += 1
            number, at = self.written, self.day - late + timedelta(milliseconds=self.written)
        category = CATEGORIES[number % len(CATEGORIES)]
        fields = {"number": number, "agent": "x" * (2000 if number % 50 == 0 else 40), "outcome": "ok"}
        self.files.system(category, at, line(entry(category, at, "info", "call", fields)))

    def run(self) -> None:
        """Write."""
        while not self._over.wait(_PAUSE_S):
            self._goes_on.wait()
            self.write()

    def rest(self) -> None:
        """Nothing more for now."""
        self._goes_on.clear()
        time.sleep(0.1)

    def go_on(self) -> None:
        """Write again."""
        self._goes_on.set()

    def end(self) -> None:
        """No more."""
        self._over.set()
        self._goes_on.set()
        self.join()

    def next_day(self) -> None:
        """It is midnight."""
        self.day += timedelta(days=1)


class Shipping:
    """One receiver, one writer, and the shipper between them."""

    def __init__(self, program: str, kind: str, home: Path) -> None:
        self.receiver, self.writer = Receiver(kind), Writer(home / "logs")
        self._command = [program, "--config", str(CONFIGURATIONS / f"{kind}.yaml")]
        self._said = home / "shipper.log"
        self._environ = {
            **os.environ, "MCPWEB_HOME": str(home), "SHIPPING_STATE": str(home / "state"),
            "SHIPPING_HOST": "127.0.0.1", "SHIPPING_PORT": str(self.receiver.port), "SHIPPING_TLS": "off",
            "SHIPPING_CA_FILE": "/etc/ssl/certs/ca-certificates.crt", "SHIPPING_USER": "mcpweb",
            "SHIPPING_PASSWORD": "none",
        }  # fmt: skip
        (home / "state").mkdir(parents=True)
        self.shipper: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the shipper."""
        with self._said.open("ab") as said:
            self.shipper = subprocess.Popen(self._command, env=self._environ, stdout=said, stderr=said)

    def stop(self, how: signal.Signals) -> None:
        """End it, gently or not."""
        assert self.shipper
        self.shipper.send_signal(how)
        self.shipper.wait(60)

    def close_day(self) -> None:
        """Compress and remove yesterday's files, as the daily job does at noon."""
        told = maintenance.maintain(self.writer.files, self.writer.day, Policy(key=b"k" * 32))
        assert told.closed and told.is_sound, told

    def misplaced(self) -> int:
        """How many lines are not in the index of their day, or at the moment of their time."""
        return sum(_moment(one) != datetime.fromisoformat(one["time"]) for one in self.receiver.kept.values())

    def arrive(self) -> tuple[int, int]:
        """Wait until nothing is missing, or it takes too long; returns what `found` does."""
        end = time.monotonic() + _ARRIVED_S
        self.writer.rest()
        while (found := self.found())[0] and time.monotonic() < end:
            time.sleep(0.2)
        self.writer.go_on()
        return found

    def found(self) -> tuple[int, int]:
        """How many lines are missing, and how many are there twice."""
        seen = Counter(one["number"] for one in list(self.receiver.kept.values()))
        return self.writer.written - len(seen), sum(seen.values()) - len(seen)


def _moment(kept: dict[str, Any]) -> datetime:
    """When a line was written, as the receiver has it. Of OpenSearch, the index must be that of the day, too."""
    if "moment" in kept:
        return datetime.fromtimestamp(kept["moment"] // 1_000_000 / 1000, UTC)
    at = datetime.fromisoformat(kept["@timestamp"])
    return at if kept["index"] == f"mcpweb-{at:%Y.%m.%d}" else datetime.min.replace(tzinfo=UTC)
