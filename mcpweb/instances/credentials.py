"""What a service wants from its user: the format of the fields, and the sealed form in the database."""

from __future__ import annotations

import re
from collections.abc import Mapping

import orjson

from mcpweb.catalog.manifest import Manifest
from mcpweb.crypto import Keyring, KeyUnusable
from mcpweb.instances.models import Instance

MAX_LENGTH = 4000


def problems(manifest: Manifest, values: Mapping[str, str]) -> dict[str, str]:
    """A sentence for every field that can not be right, without asking the service and without repeating the value."""
    found: dict[str, str] = {}
    for field in manifest.fields:
        value = values.get(field.name, "")
        if not value:
            found[field.name] = f"{field.label} is missing."
        elif len(value) > MAX_LENGTH or not value.isascii() or not value.isprintable() or " " in value:
            found[field.name] = f"{field.label} holds characters that it can not have, or is too long."
        elif field.pattern and not re.fullmatch(field.pattern, value):
            expected = f": it {field.format}." if field.format else "."
            found[field.name] = f"{field.label} does not look right{expected}"
    return found


def seal(instance: Instance, values: Mapping[str, str], keyring: Keyring) -> None:
    """Store the credential in the instance, encrypted and bound to its row."""
    key_id, sealed = keyring.seal(orjson.dumps(dict(values)), instance.credential_context)
    instance.credential_key_id, instance.credential_sealed = key_id, sealed


def unseal(instance: Instance, keyring: Keyring) -> dict[str, str]:
    """The credential in plain text: for one call, or the short life of a cached access.

    Raises:
        KeyUnusable: the key is missing, or the row holds what was sealed for another one.
    """
    values: dict[str, str] = orjson.loads(
        keyring.open(instance.credential_key_id, instance.credential_sealed, instance.credential_context)
    )
    return values


def is_readable(instance: Instance, keyring: Keyring) -> bool:
    """Whether this server has the key that the credential was sealed with."""
    try:
        unseal(instance, keyring)
    except KeyUnusable:
        return False
    return True
