"""Registering services: what `mcpweb migrate` found becomes rows, the broken ones are switched off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select

from mcpweb import clock
from mcpweb.catalog import changes
from mcpweb.catalog.registry import Registry, Service
from mcpweb.database import db, transaction
from mcpweb.instances.models import ServiceRow
from mcpweb.logs import audit, events

Outcome = Literal["registered", "changed", "unchanged", "broken", "missing"]


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one plugin: a row of the printed table."""

    name: str
    outcome: Outcome
    port: int | None
    tools: int
    problem: str = ""


def compare(registry: Registry) -> list[Line]:
    """What registering would do, without doing it."""
    rows = {row.name: row for row in db.session.scalars(select(ServiceRow))}
    lines = []
    for name, service in registry.services.items():
        row = rows.pop(name, None)
        same = row is not None and _is_as_it_should(row) and _is_unchanged(row, service)
        outcome: Outcome = "registered" if row is None else "unchanged" if same else "changed"
        lines.append(Line(name, outcome, service.port, len(service.tools)))
    for name, problem in registry.problems.items():
        row = rows.pop(name, None)
        lines.append(Line(name, "broken", row.port if row else None, 0, problem))
    lines += [Line(name, "missing", row.port, 0, "its folder is gone") for name, row in rows.items()]
    return lines


def register(registry: Registry) -> list[Line]:
    """Bring the `service` table in line with the plugins; running it again changes nothing.

    A broken or missing plugin that was registered before is kept, with its instances, but switched off. What an
    administrator switched off stays off.
    """
    lines = compare(registry)
    with transaction():
        rows = {row.name: row for row in db.session.scalars(select(ServiceRow))}
        for line in lines:
            if line.outcome in ("registered", "changed"):
                rows[line.name] = _saved(rows.get(line.name), registry.services[line.name])
            elif line.name not in registry.services and line.name in rows:
                rows[line.name].is_enabled = False
        db.session.flush()  # rows before audit: who connects a service takes them in this order too
        for line in lines:
            if line.outcome in ("registered", "changed"):
                digest = rows[line.name].manifest_digest
                audit.record("service.register", actor="system", subject=f"service/{line.name}", digest=digest)
    for line in lines:
        events.app("service", service=line.name, outcome=line.outcome, problem=line.problem)
    return lines


def _saved(row: ServiceRow | None, service: Service) -> ServiceRow:
    if row is None:
        row = ServiceRow(name=service.name, total_instances=0, active_instances=0, is_stopped=False, definitions={})
        db.session.add(row)
    told = changes.definitions(service)
    if row.definitions and row.definitions != told:
        row.definitions_before = row.definitions
    row.definitions = told
    row.title, row.port, row.manifest_digest = service.title, service.port, service.manifest.digest
    row.is_enabled, row.registered_at = not row.is_stopped, clock.utcnow()
    return row


def _is_unchanged(row: ServiceRow, service: Service) -> bool:
    return row.manifest_digest == service.manifest.digest and row.definitions == changes.definitions(service)


def _is_as_it_should(row: ServiceRow) -> bool:
    """Whether a service that works is on, or off because an administrator wants it so."""
    return row.is_enabled != row.is_stopped
