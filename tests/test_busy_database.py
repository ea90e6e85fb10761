"""Many who write at once, through the pages, beside somebody who reads for long: everybody is served."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context

from flask import Flask
from sqlalchemy import text

from mcpweb.database import db
from mcpweb.instances.models import Instance
from mcpweb.logs.models import AuditEvent
from tests.form_client import FormClient
from tests.parallel import at_once

WRITERS, WRITES = 8, 12


def test_nobody_who_writes_is_turned_away_while_others_write_and_read(
    app: Flask, alice: FormClient, make_instance: Callable[..., tuple[Instance, str]]
) -> None:
    ids = [make_instance(label=f"Instance {number}")[0].id for number in range(WRITERS)]
    token = dict(alice.get("/help").form("/theme").fields)["csrf_token"]
    writers = [alice.twin() for _ in range(WRITERS)]

    def write(number: int) -> list[int]:
        data = [{"label": f"{number} for the time {time}", "csrf_token": token} for time in range(WRITES)]
        return [writers[number].open("POST", f"/instances/{ids[number]}/rename", one).status for one in data]

    with db.engine.connect() as reader:  # as a backup does
        reader.execute(text("SELECT count(*) FROM instance"))
        statuses = at_once([lambda number=number: Context().run(write, number) for number in range(WRITERS)])
        reader.execute(text("SELECT count(*) FROM instance"))

    assert {status for some in statuses for status in some} == {303}
    db.session.expire_all()
    assert {row.label for row in db.session.query(Instance)} == {
        f"{number} for the time {WRITES - 1}" for number in range(WRITERS)
    }
    assert db.session.query(AuditEvent).filter_by(action="instance.rename").count() == WRITERS * WRITES
