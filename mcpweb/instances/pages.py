"""What the pages show of an instance: rows and times turned into what the templates expect."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson

from mcpweb.catalog.checking import CheckRefused
from mcpweb.catalog.registry import Registry, Service
from mcpweb.crypto import TOKEN_PREFIX
from mcpweb.instances import credentials, snippets, tokens
from mcpweb.instances.forms import PRESETS, CredentialForm
from mcpweb.instances.house import house
from mcpweb.instances.life_forms import ToolsForm
from mcpweb.instances.lifecycle import OFFER_EXTENSION
from mcpweb.instances.models import Instance
from mcpweb.logs import events, reading

_SOON = timedelta(days=3)
_WORTH_IT = timedelta(hours=1)
"""An extension by less is none."""
_LAST_CALLS = 10


def service_tile(service: Service, enabled: bool) -> dict[str, Any]:
    """A service in the catalogue."""
    tools = service.tools.values()
    found = service.manifest
    return {
        "name": found.name,
        "title": found.title,
        "summary": found.summary,
        "category": found.category,
        "docs_url": found.docs_url,
        "logo_url": logo_url(found.name),
        "tool_count": len(tools),
        "read_only_count": sum(tool.read_only for tool in tools),
        "is_enabled": enabled,
    }


def logo_url(service: str) -> str:
    """Where a service's logo is served."""
    return f"/services/{service}/logo.svg"


def summary(instance: Instance, registry: Registry, now: datetime) -> dict[str, Any]:
    """An instance in the list and in the head of its page."""
    status = instance.status_at(now)
    service = registry.services.get(instance.service_name)
    return {
        "id": instance.id,
        "label": instance.label,
        "service": {
            "name": instance.service_name,
            "title": service.title if service else instance.service_name,
            "logo_url": logo_url(instance.service_name) if service else "",
        },
        "status_at_now": str(status),
        "credential_state": credential_state(instance),
        "expires_at": instance.expires_at,
        "may_extend": status != "expired" and instance.expires_at - now <= OFFER_EXTENSION,
        "expires_soon": status == "active" and instance.expires_at - now <= _SOON,
        "last_call_at": instance.last_used_at,
        "account_label": instance.account_label,
        "stopped_reason": instance.stopped_reason,
    }


def credential_state(instance: Instance) -> str:
    """What is known of the credential: as it was last checked, or that this server can not even read it."""
    return instance.credential_state if credentials.is_readable(instance, house().keyring) else "unreadable"


def detail(
    instance: Instance, registry: Registry, now: datetime, endpoint_url: str, token: str | None
) -> dict[str, Any]:
    """Everything on the page of one instance."""
    calls = _calls(instance, _LAST_CALLS)
    service = registry.services.get(instance.service_name)
    tools = service.tools.values() if service else ()
    name = snippets.server_name(instance.label, instance.service_name)
    return {
        "instance": summary(instance, registry, now),
        "endpoint_url": endpoint_url,
        "token": token,
        "connect": snippets.clients(name, endpoint_url, token or snippets.PLACEHOLDER),
        "calls": calls,
        "tools": [tool for tool in tools if instance.enabled_tools is None or tool.name in instance.enabled_tools],
        "tokens": [
            {
                "id": row.id,
                "name": row.name,
                "prefix": TOKEN_PREFIX,
                "last_four": row.last_four,
                "created_at": row.created_at,
                "last_used_at": row.last_used_at,
                "last_client": row.last_client,
                "expires_at": row.expires_at,
            }
            for row in tokens.valid(instance)
        ],
        "credential": {
            "account_label": instance.account_label,
            "state": credential_state(instance),
            "checked_at": instance.credential_checked_at,
            "key_expires_at": instance.credential_expires_at,
            "scopes": instance.scopes,
        },
    }


def extend_page(instance: Instance, registry: Registry, now: datetime, max_days: int) -> dict[str, Any]:
    """What the page shows to which reminders lead: a new end of so many `days`; None when no preset is later."""
    left = max(instance.expires_at - now, timedelta(0))
    longer = [days for days in PRESETS if days <= max_days and timedelta(days=days) - left >= _WORTH_IT]
    days = next((days for days in longer if days >= 30), longer[-1] if longer else None)
    return {
        "instance": summary(instance, registry, now),
        "days": days,
        "new_end": now + timedelta(days=days) if days else None,
    }


def tools_page(instance: Instance, service: Service, form: ToolsForm) -> dict[str, Any]:
    """What the choice of tools shows: every tool with its size for a model, in tokens (four characters each)."""
    rows: list[dict[str, Any]] = [
        {"tool": tool, "size": len(orjson.dumps(tool.definition())) // 4} for tool in service.tools.values()
    ]
    return {
        "instance": instance,
        "service": service_tile(service, enabled=True),
        "form": form,
        "rows": rows,
        "all_size": sum(row["size"] for row in rows),
        "read_only_size": sum(row["size"] for row in rows if row["tool"].read_only),
    }


def key_page(
    instance: Instance, service: Service, form: CredentialForm, refusal: CheckRefused | None
) -> dict[str, Any]:
    """What replacing the key shows."""
    return {"instance": instance, "service": service_tile(service, enabled=True), "form": form, "refusal": refusal}


def check_result(check: dict[str, Any] | None) -> dict[str, Any] | None:
    """What the live check found, back from its JSON form."""
    if check and check["key_expires_at"]:
        check["key_expires_at"] = datetime.fromisoformat(check["key_expires_at"])
    return check


def _calls(instance: Instance, count: int) -> Sequence[dict[str, Any]]:
    folder = events.files().instance_folder(instance.owner_id, instance.id)
    return [call for line in reading.last(folder, "access", count) if (call := _call(line))]


def _call(line: dict[str, Any]) -> dict[str, Any] | None:
    """A line of the access log as the page shows it; None for what the program did not write itself."""
    try:
        at = datetime.fromisoformat(line["time"])
    except (KeyError, TypeError, ValueError):
        return None
    took = line.get("duration_ms")
    if at.tzinfo is None:
        return None
    return {
        "at": at,
        "duration_ms": took if isinstance(took, int | float) else None,
        **{name: str(line.get(name) or "") for name in ("tool", "method", "outcome", "client")},
    }
