"""What the page of the backups shows: those that the audit trail knows, and the commands to make and restore one."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any

from sqlalchemy import select

from mcpweb.database import db
from mcpweb.logs.models import AuditEvent
from mcpweb.monitoring.check import size
from mcpweb.monitoring.host_health import Asked
from mcpweb.settings import Settings

_SHOWN = 5
_USUAL_FOLDER = "/var/lib/mcpweb-backups"
"""Where the services of systemd may write nothing, and `mcpweb backup` may."""


def backups_page(settings: Settings, now: datetime) -> dict[str, Any]:
    """The newest backups, and each command as it is typed for this installation."""
    rows = db.session.scalars(
        select(AuditEvent)
        .where(AuditEvent.subject == "backup", AuditEvent.action == "backup.create")
        .order_by(AuditEvent.seq.desc())
        .limit(_SHOWN)
    ).all()
    asked = Asked(settings)
    return {
        "backups": [_backup(row) for row in rows],
        "hosts": sorted({asked.names.get(one.host, one.host) for one in asked.alive}),
        "home": str(settings.home.absolute()),
        "has_passphrase": bool(settings.backup_passphrase),
        **_commands(rows, settings, now),
    }


def _backup(row: AuditEvent) -> dict[str, Any]:
    told = row.details
    held = ["database", *(word for word in ("keys", "logs") if told.get(f"with_{word}"))]
    size_words = size(told["bytes"]) if "bytes" in told else "unknown"
    return {"file": told["file"], "made_at": datetime.fromisoformat(told["made_at"]), "size": size_words, "held": held}


def _commands(rows: Sequence[AuditEvent], settings: Settings, now: datetime) -> Mapping[str, str]:
    told = rows[0].details if rows else {}
    file = PurePath(told.get("file", f"{_USUAL_FOLDER}/mcpweb-{now:%Y-%m-%d}"))
    new, old = (shlex.quote(str(path)) for path in (file.parent / f"mcpweb-{now:%Y-%m-%d}", file))
    keys = "" if told.get("with_keys", True) else f" --keys {shlex.quote(str(settings.home.absolute() / 'keys'))}"
    return {
        "make": f"mcpweb backup {new} --logs",
        "rehearse": f"mcpweb restore --check {old}{keys}",
        "restore": f"mcpweb restore {old} --replace{keys}\nmcpweb migrate",
    }
