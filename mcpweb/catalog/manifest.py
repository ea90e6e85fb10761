"""The manifest of a plugin, `plugin.toml`: its shape, its one validator, and the typed result."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs

from mcpweb.catalog.refusals import KINDS, Refusal
from mcpweb.errors import AppError

_TEXT = {"type": "string", "minLength": 1, "maxLength": 500}
_URL = {"type": "string", "pattern": "^https?://[^\\s/?#@\\\\]+([/?#][^\\s]*)?$"}
_HEADER = {"type": "string", "pattern": "^[A-Za-z0-9-]+$"}
_HEADER_VALUE = {"type": "string", "pattern": "^[ -~]{1,500}$"}
_OURS = ("host", "content-length", "transfer-encoding", "connection", "accept-encoding", "expect", "te", "upgrade")
"""Headers that the outgoing client sets, and refuses to be given."""


def _table(required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required.split(), "properties": properties, "additionalProperties": False}


_SCHEMA = _table(
    "name title summary category logo port base_url hosts headers credential check",
    name={"type": "string", "pattern": "^[a-z][a-z0-9_]{1,30}$"},
    title={"type": "string", "minLength": 1, "maxLength": 60},
    summary={"type": "string", "minLength": 1, "maxLength": 200},
    category={"type": "string", "minLength": 1, "maxLength": 40},
    logo={"type": "string", "pattern": "^[a-z0-9_-]+\\.svg$"},
    port={"type": "integer", "minimum": 1024, "maximum": 65535},
    base_url=_URL,
    hosts={
        "type": "array",
        "minItems": 1,
        "items": {"type": "string", "pattern": "^(\\*\\.)?[a-z0-9-]+(\\.[a-z0-9-]+)+$"},
    },
    docs_url=_URL,
    headers={"type": "object", "minProperties": 1, "propertyNames": _HEADER, "additionalProperties": _HEADER_VALUE},
    credential={
        "type": "array",
        "minItems": 1,
        "items": _table(
            "name label secret",
            name={"type": "string", "pattern": "^[a-z][a-z0-9_]{0,30}$"},
            label=_TEXT,
            help=_TEXT,
            secret={"type": "boolean"},
            pattern=_TEXT,
            format=_TEXT,
            link=_URL,
            link_label=_TEXT,
            scopes={
                "type": "array",
                "items": _table(
                    "name why",
                    name=_TEXT,
                    why=_TEXT,
                    optional={"type": "boolean"},
                    implied_by={"type": "array", "items": _TEXT},
                ),
            },
        ),
    },
    check={
        "type": "array",
        "minItems": 1,
        "items": _table(
            "path",
            when=_TEXT,
            path={"type": "string", "pattern": "^/"},
            account=_TEXT,
            scopes_header=_HEADER,
            expires_header=_HEADER,
        ),
    },
    error={
        "type": "array",
        "items": _table(
            "status means",
            status={"type": "integer", "minimum": 300, "maximum": 599},
            contains=_TEXT,
            header=_TEXT,
            means={"enum": list(KINDS)},
        ),
    },
    rate_limit=_table("reset", reset=_HEADER),
)
_VALIDATOR = jsonschema_rs.Draft202012Validator(_SCHEMA)


class PluginError(AppError):
    """A plugin can not be used; the text names the file and the key at fault."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A right that the credential should carry, and what it is for; a broader right implies it."""

    name: str
    why: str
    optional: bool = False
    implied_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CredentialField:
    """One field of the form that connects the service."""

    name: str
    label: str
    secret: bool
    help: str = ""
    pattern: str = ""
    format: str = ""
    link: str = ""
    link_label: str = ""
    scopes: tuple[Scope, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """The call that proves a credential, and where its answer names account, scopes and the key's own end."""

    path: str
    when: str = ""
    account: str = ""
    scopes_header: str = ""
    expires_header: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A validated `plugin.toml`."""

    folder: Path
    digest: str
    name: str
    title: str
    summary: str
    category: str
    logo: str
    port: int
    base_url: str
    hosts: tuple[str, ...]
    headers: Mapping[str, str]
    fields: tuple[CredentialField, ...]
    checks: tuple[Check, ...]
    refusals: tuple[Refusal, ...]
    docs_url: str = ""
    reset_header: str | None = None


def read(folder: Path) -> Manifest:
    """Read and validate the manifest of the plugin in `folder`.

    Raises:
        PluginError: names the file and the key.
    """
    path = folder / "plugin.toml"
    try:
        raw = path.read_bytes()
        data = tomllib.loads(raw.decode("utf-8"))
        problem = next((f"{_key(error)}: {error.message}" for error in _VALIDATOR.iter_errors(data)), None)
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, no TOML, too deep to be validated
        raise PluginError(f"{path}: can not be read: {error}") from None
    if problem := problem or _disagreement(folder, data):
        raise PluginError(f"{path}: {problem}")
    return Manifest(
        folder=folder,
        digest=hashlib.sha256(raw).hexdigest(),
        hosts=tuple(data["hosts"]),
        fields=tuple(
            CredentialField(**row | {"scopes": tuple(_scope(scope) for scope in row.get("scopes", ()))})
            for row in data["credential"]
        ),
        checks=tuple(Check(**row) for row in data["check"]),
        refusals=tuple(Refusal(**row) for row in data.get("error", ())),
        docs_url=data.get("docs_url", ""),
        reset_header=data.get("rate_limit", {}).get("reset"),
        **{key: data[key] for key in ("name", "title", "summary", "category", "logo", "port", "base_url", "headers")},
    )


def _scope(row: Mapping[str, Any]) -> Scope:
    return Scope(**{**row, "implied_by": tuple(row.get("implied_by", ()))})


def _key(error: jsonschema_rs.ValidationError) -> str:
    return ".".join(map(str, error.instance_path)) or "plugin.toml"


def _disagreement(folder: Path, data: Mapping[str, Any]) -> str | None:
    """What a schema can not say: the first key that contradicts another, or the folder."""
    if data["name"] != folder.name:
        return f"name: is {data['name']!r}, but the folder is {folder.name!r}"
    if not (folder / data["logo"]).is_file():
        return f"logo: there is no file {data['logo']}"
    if urlsplit(data["base_url"]).hostname not in data["hosts"]:
        return "hosts: must hold the host of base_url"
    names = {row["name"] for row in data["credential"]}
    if len(names) < len(data["credential"]):
        return "credential: two fields have the same name"
    if problem := _header_fault(data["headers"], names):
        return problem
    patterns = [(f"credential.{i}.pattern", row.get("pattern", "")) for i, row in enumerate(data["credential"])]
    patterns += [(f"check.{i}.when", row.get("when", "")) for i, row in enumerate(data["check"])]
    for key, pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            return f"{key}: is not a regular expression: {error}"
    if data["check"][-1].get("when"):
        return "check: the last one must have no `when`, so that every credential has a check"
    return None


def _header_fault(headers: Mapping[str, str], names: set[str]) -> str | None:
    """A template is text with `{field}` in it and nothing else that `format` knows: it is filled on every call."""
    for header, template in headers.items():
        if header.lower() in _OURS:
            return f"headers.{header}: is set by the program itself"
        if unknown := set(re.findall(r"\{(\w+)\}", template)) - names:
            return f"headers.{header}: names the unknown field {min(unknown)}"
        if set("{}") & set(re.sub(r"\{\w+\}", "", template)):
            return f"headers.{header}: has a brace that does not belong to a field's {{name}}"
    return None
