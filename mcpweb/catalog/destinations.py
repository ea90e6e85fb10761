"""Where requests may go: which URLs are taken, and to which far end each of them leads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from mcpweb.catalog.wire import OutgoingError

_URL: Final = re.compile(r"(https?)://([^/?#\\]*)([/?][!-\"$-~]*)?", re.ASCII)
"""No fragment, no blanks, nothing outside ASCII; user and password fail at the authority."""
_AUTHORITY: Final = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?", re.ASCII)


class DestinationRefused(OutgoingError):
    """The URL, or an address behind its host, is not one that this request may reach."""


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where a service's requests may go.

    `hosts` are public names on https and port 443; `*` stands for exactly one label. `private_hosts` are named by
    the operator, `host` for the scheme's own port or `host:port`: these may be plain http and have private addresses.
    """

    hosts: tuple[str, ...]
    private_hosts: tuple[str, ...] = ()


class Spot(NamedTuple):
    """The far end of a connection. Connections are shared by equal spots only."""

    host: str
    port: int
    tls: bool
    may_be_private: bool

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _default_port(self.tls) else f"{host}:{self.port}"


def _default_port(tls: bool) -> int:
    return 443 if tls else 80


def parse(url: str, to: Destinations) -> tuple[Spot, str]:
    """Where the URL leads, and the target to ask for there.

    Raises:
        DestinationRefused: not there, not with these destinations.
    """
    match = _URL.fullmatch(url)
    if not match:
        raise DestinationRefused("the URL is not one that can be requested")
    target = match[3] or "/"
    return _spot(match[1] == "https", match[2].lower(), to), target if target[0] == "/" else f"/{target}"


@lru_cache(maxsize=1024)
def _spot(tls: bool, authority: str, to: Destinations) -> Spot:
    match = _AUTHORITY.fullmatch(authority)
    if not match:
        raise DestinationRefused("the URL is not one that can be requested")
    host, port = match[1], int(match[2] or _default_port(tls))
    named = (f"{host}:{port}", host) if port == _default_port(tls) else (f"{host}:{port}",)
    private = any(name.lower() in named for name in to.private_hosts)
    if not private and not (tls and port == 443 and any(_fits(host, pattern) for pattern in to.hosts)):
        raise DestinationRefused("the URL's host is not one of the service's")
    return Spot(host.strip("[]"), port, tls, private)


def _fits(host: str, pattern: str) -> bool:
    labels, wanted = host.split("."), pattern.lower().split(".")
    return len(labels) == len(wanted) and all(want in ("*", label) for label, want in zip(labels, wanted, strict=True))
