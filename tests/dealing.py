"""A pytest plugin: where three or more processes run the tests, the last one does what mostly waits, and nothing else.

What these wait for are seconds that the program itself lets pass. Two processes keep two cores busy, and a third one
would only slow them down until tests miss their time-outs; one that waits costs next to nothing.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadGroupScheduling

WAITS = "waits: "
"""How the names of the groups of such tests begin."""
FEWEST = 3


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadGroupScheduling | None:
    """Deal the tests out so, when there are enough processes."""
    return _Dealing(config, log) if int(config.getoption("numprocesses") or 0) >= FEWEST else None


class _Dealing(LoadGroupScheduling):
    """As xdist deals groups out, but for who gets which."""

    def _assign_work_unit(self, node: Any) -> None:
        waits = node.gateway.id == f"gw{self.numnodes - 1}"
        fitting = next((group for group in self.workqueue if group.startswith(WAITS) is waits), "")
        if fitting:
            self.workqueue.move_to_end(fitting, last=False)
        elif waits:
            node.shutdown()
            return
        super()._assign_work_unit(node)
