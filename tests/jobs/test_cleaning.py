"""What nobody can use any more goes; everything else stays."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from mcpweb import clock
from mcpweb.jobs.cleaning import erase_logs
from mcpweb.logs import events


def _written(folder: Path, days_ago: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "access-2026-01-01.jsonl"
    path.write_text("{}\n")
    then = (clock.utcnow() - timedelta(days=days_ago)).timestamp()
    os.utime(path, (then, then))
    return folder


def test_the_logs_of_a_deleted_instance_go_after_thirty_days_and_those_of_others_stay(app, make_instance):
    instance, _ = make_instance()
    users = events.files().root / "users"
    old = _written(users / "user_1" / f"mcp_{uuid4()}", days_ago=31)
    recent = _written(users / "user_1" / f"mcp_{uuid4()}", days_ago=29)
    alive = events.files().instance_folder(instance.owner_id, instance.id)
    for path in _written(alive, days_ago=400).iterdir():
        os.utime(path, (0, 0))

    erase_logs()

    assert not old.exists()
    assert recent.exists()
    assert alive.exists()
