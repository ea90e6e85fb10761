"""One row of the table of faults."""

from __future__ import annotations

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
    """The first answer that was not good, for whoever looks for the reason."""
    return " ".join(f"{one.kind} {one.status} {one.words[-120:]}".strip() for one in trial.failed[:1])
