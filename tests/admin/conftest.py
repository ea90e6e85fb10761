"""Lines in the index, for an administrator to find."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from mcpweb import clock
from mcpweb.logs import events
from mcpweb.logs.index import LogIndex
from mcpweb.web.current import log_index
from tests.conftest import user
from tests.form_client import FormClient
from tests.logs.index_lines import encoded, parsed

MINUTE = timedelta(minutes=1)


@dataclass
class Written:
    """Puts lines into the index, as the ticker would after they were written."""

    index: LogIndex
    now: datetime
    offsets: dict[Any, int] = field(default_factory=dict)

    def __call__(self, ago: timedelta, message: str, category: str = "app", **fields: Any) -> None:
        at = self.now - ago
        place = (events.CATEGORIES.index(category) + 1, at.date())
        raw = encoded(at, message, category, **fields)
        lines = parsed([raw], at.date(), category, self.offsets.get(place, 0))
        self.offsets[place] = self.offsets.get(place, 0) + len(raw)
        assert self.index.append(place[0], place[1], lines) == 1


@pytest.fixture
def wrote(app) -> Iterator[Written]:
    """An empty index to put lines into."""
    index = log_index()
    for day in index.days():
        index.drop_day(day)
    yield Written(index, clock.utcnow().replace(microsecond=0))
    for day in index.days():
        index.drop_day(day)


@pytest.fixture
def some(wrote: Written, alice: FormClient, carol: FormClient) -> Written:
    """A handful of lines of all kinds, Alice's among them."""
    alices = user("alice@example.com").id
    wrote(5 * MINUTE, "sign-in link refused", "security", level="warning", email="mallory@example.com")
    wrote(4 * MINUTE, "call", "performance", user_id=alices, tool="get_me", outcome="ok", service="github")
    wrote(3 * MINUTE, "call", "performance", user_id=alices, tool="list_issues", outcome="error", service="github")
    wrote(2 * MINUTE, "mail delivered", to="pumpernickel@example.com", request_id="abc123")
    wrote(1 * MINUTE, "connection lost", "database", level="error", host="web2", traceback="Traceback: <boom>")
    return wrote
