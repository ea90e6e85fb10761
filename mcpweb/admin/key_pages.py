"""What the page of the encryption keys shows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from mcpweb.admin import maintenance_words as words
from mcpweb.database import db
from mcpweb.instances import resealing
from mcpweb.instances.house import house
from mcpweb.instances.models import KeyCheck
from mcpweb.jobs import runs

_JOB = "reseal"


def keys_page(now: datetime) -> dict[str, Any]:
    """Every key that is here, was here, or would be needed; the newest rotation; and where the keys stand."""
    ring = house().keyring
    ring.read_again()
    rows = resealing.rows_by_key()
    since = {check.key_id: check.created_at for check in db.session.scalars(select(KeyCheck))}
    found = runs.runs_of(_JOB, 1)
    return {
        "keys": [_key(key_id, rows.get(key_id, 0), since.get(key_id)) for key_id in _in_order(rows)],
        "to_seal": sum(count for key_id, count in rows.items() if key_id != ring.newest),
        "run": words.run(found[0], now) | {"report": found[0].report} if found else None,
        "is_busy": bool(found) and found[0].state in ("waiting", "running"),
        "file": f"keys/{ring.file.name}" if ring.file else "",
    }


def _in_order(rows: Mapping[str, int]) -> list[str]:
    """Those of the ring, newest first, then those that are missing but have sealed something."""
    ring = house().keyring.keys
    return [*ring, *sorted(key_id for key_id in rows if key_id not in ring)]


def _key(key_id: str, rows: int, since: datetime | None) -> dict[str, Any]:
    ring = house().keyring
    state = "seals" if key_id == ring.newest else "opens" if key_id in ring.keys else "missing"
    return {"id": key_id, "rows": rows, "since": since, "state": state, "may_go": state == "opens" and rows == 0}
