"""One row of the table of faults."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from bench.trial import Trial


@dataclass
class Outcome:
    """What came of a fault, and whether that is as promised."""

    trial: Trial
    limit: str
    is_good: bool
    note: str = ""

    def row(self, name: str) -> str:
        """As the table has it."""
        trial = self.trial
        stale = f"{trial.stale} of {trial.changes}" if trial.changes else ""
        held = ("holds" if self.is_good else "**missed**") + (f": {self.note}" if self.note else "")
        return (
            f"| {name} | {len(trial.seen):,} | {len(trial.failed):,} | {trial.in_flight} | {stale} "
            f"| {trial.normal_s:.1f} | {self.limit} | {held} |"
        )


def words(trial: Trial) -> str:
    """How many answers of which status were not good, and the first that was no refusal (503), for the reason."""
    counts = Counter(one.status for one in trial.failed)
    said = [f"{status or 'no answer'}: {count:,}" for status, count in sorted(counts.items())]
    odd = next((one for one in trial.failed if one.status != 503), None)
    reason = "" if odd is None else f" ({odd.kind}: {' '.join(odd.words[-160:].split())})"
    return ", ".join(said) + reason
