"""What a setting's text may be: each kind reads it, or says in a ValueError what it must be, without repeating it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from urllib.parse import urlsplit


def number(low: int, high: int) -> Callable[[str], int]:
    """A whole number from `low` to `high`."""

    def parse(text: str) -> int:
        found = int(text) if text.isascii() and text.isdigit() else -1
        if not low <= found <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return found

    return parse


def number_or(word: str, low: int, high: int) -> Callable[[str], int | str]:
    """A whole number from `low` to `high`, or one word that stands for a good one."""
    parse = number(low, high)

    def parse_either(text: str) -> int | str:
        try:
            return text if text == word else parse(text)
        except ValueError as error:
            raise ValueError(f"{error}, or {word}") from None

    return parse_either


limit = number(0, 1_000_000_000)
"""How often something may happen; 0: as often as it likes."""


def choice(*words: str) -> Callable[[str], str]:
    """One of a few words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return parse


def switch(text: str) -> bool:
    """0 or 1."""
    if text not in ("0", "1"):
        raise ValueError("must be 0 or 1")
    return text == "1"


def words(text: str) -> tuple[str, ...]:
    """Words between commas or blanks."""
    return tuple(word for word in re.split(r"[,\s]+", text) if word)


def origin(text: str) -> str:
    """An http or https address without user and query, and without a final slash."""
    try:
        parts = urlsplit(text)
        host = parts.hostname if parts.port != 0 else None  # asking for the port checks it
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("must be an http or https address without user and query")
    return text.rstrip("/")


def optional_webhook(text: str) -> str:
    """An http or https address without user and fragment, or nothing; its path and query may be secret."""
    if "#" in text or (text and not re.fullmatch(r"https?://[!-~]+", text)):
        raise ValueError("must be an http or https address without user and fragment")
    if text:
        origin("/".join(re.split(r"[/?]", text)[:3]))
    return text


def addresses(text: str) -> tuple[str, ...]:
    """E-mail addresses between commas or blanks."""
    found = words(text)
    if not all(re.fullmatch(r"[^\s@<>\"(),:;]+@[^\s@<>\"(),:;]+", word) and len(word) <= 254 for word in found):
        raise ValueError("must be e-mail addresses separated by commas")
    return found


def optional_origin(text: str) -> str:
    """As `origin`, or nothing."""
    return origin(text) if text else ""


def bind(text: str) -> tuple[str, int]:
    """A host and a port."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("must be host:port")
    return host.strip("[]"), int(port)


def networks(text: str) -> tuple[str, ...]:
    """IP networks between commas or blanks."""
    try:
        return tuple(str(ipaddress.ip_network(word)) for word in words(text))
    except ValueError:
        raise ValueError("must be networks such as 10.0.0.0/8, separated by commas") from None


def database_url(text: str) -> str:
    """An SQLAlchemy address of PostgreSQL or SQLite, with the driver named."""
    # Hosts hand out postgres:// and postgresql://; SQLAlchemy wants the driver named.
    url = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", text)
    if url and not url.startswith(("sqlite://", "postgresql+psycopg://")):
        raise ValueError("must begin with postgresql:// or sqlite://")
    return url


def bearer(text: str) -> str:
    """A token for an Authorization header, or nothing."""
    if text and not re.fullmatch(r"[\w.~+/-]{16,}=*", text, re.ASCII):
        raise ValueError("must be 16 or more letters, digits or any of - . _ ~ + /")
    return text


def postgres_url(text: str) -> str:
    """As `database_url`, of PostgreSQL alone."""
    url = database_url(text)
    if url.startswith("sqlite://"):
        raise ValueError("must begin with postgresql://")
    return url


def redis_url(text: str) -> str:
    """The address of a Redis."""
    if text and not text.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must begin with redis://, rediss:// or unix://")
    return text
