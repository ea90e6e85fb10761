"""Reading the settings: `MCPWEB_*` variables, once; every bad value is reported by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mcpweb import setting_kinds as kinds
from mcpweb.errors import AppError
from mcpweb.settings import Settings


class ConfigError(AppError):
    """One or more settings can not be used; the text lists all of them, one a line, without values."""


_BASE_URL = re.compile(r"MCPWEB_([A-Z0-9_]+)_BASE_URL")


def load(environ: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        ConfigError: lists every variable that can not be used and why; no value is repeated.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for item in fields(Settings):
        if not item.metadata:
            continue
        name = item.metadata["name"]
        try:
            text = _text(environ, name, item.metadata["secret"])
            if text is not None:
                values[item.name] = item.metadata["parse"](text)
        except (ValueError, OSError) as error:
            problems.append(f"{name} {error if isinstance(error, ValueError) else 'names a file that can not be read'}")
    base_urls: dict[str, str] = {}
    for name, text in environ.items():
        if found := _BASE_URL.fullmatch(name):
            try:
                base_urls[found[1].lower()] = kinds.origin(text)
            except ValueError as error:
                problems.append(f"{name} {error}")
    if not problems:
        settings = Settings(**values, base_urls=base_urls)
        problems = _disagreements(settings)
    if problems:
        raise ConfigError("These settings can not be used:\n" + "\n".join(f"  {problem}" for problem in problems))
    return settings


def _text(environ: Mapping[str, str], name: str, secret: bool) -> str | None:
    if secret and (path := environ.get(f"{name}_FILE")):
        if name in environ:
            raise ValueError(f"and {name}_FILE are both set")
        return Path(path).read_text(encoding="utf-8").strip()
    return environ.get(name)


def _disagreements(settings: Settings) -> list[str]:
    problems = []
    if settings.secret_key and len(settings.secret_key) < 32:
        problems.append("MCPWEB_SECRET_KEY must have at least 32 characters")
    if settings.sign_up == "domains" and not settings.sign_up_domains:
        problems.append("MCPWEB_SIGN_UP_DOMAINS must name a domain when MCPWEB_SIGN_UP is domains")
    if not settings.mail_server and not settings.has_local_mailbox:
        problems.append("MCPWEB_MAIL_SERVER must be set when the server can be reached from other machines")
    if settings.alert_webhook_url and len(settings.alert_webhook_secret) < 16:
        problems.append("MCPWEB_ALERT_WEBHOOK_SECRET must have at least 16 characters when there is a webhook")
    parts = urlsplit(settings.alert_webhook_url)
    if parts.scheme and not settings.alert_webhook_private and (parts.scheme, parts.port or 443) != ("https", 443):
        problems.append("MCPWEB_ALERT_WEBHOOK_URL must be https on port 443, or MCPWEB_ALERT_WEBHOOK_PRIVATE be 1")
    return problems
