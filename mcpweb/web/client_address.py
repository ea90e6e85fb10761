"""Who is calling: the peer's address, or what a listed proxy says of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class ClientAddress:
    """Puts the caller's address into REMOTE_ADDR.

    `X-Forwarded-For` is believed only when the peer is a listed proxy, and then up to the right-most hop that is
    not one: everything left of it was written by the caller.
    """

    def __init__(self, wsgi: Wsgi, proxies: Iterable[str]) -> None:
        self._wsgi = wsgi
        networks = tuple(ipaddress.ip_network(proxy) for proxy in proxies)

        @lru_cache(maxsize=4096)
        def is_proxy(address: str) -> bool:
            try:
                ip = ipaddress.ip_address(address)
            except ValueError:
                return False
            if isinstance(ip, ipaddress.IPv6Address):
                ip = ip.ipv4_mapped or ip  # how a socket for both versions shows an IPv4 peer
            return any(ip in network for network in networks)

        self._is_proxy = is_proxy

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve the request with the caller's address."""
        forwarded = environ.get("HTTP_X_FORWARDED_FOR")
        if forwarded and self._is_proxy(environ.get("REMOTE_ADDR", "")):
            hops = [hop.strip() for hop in forwarded.split(",")]
            environ["REMOTE_ADDR"] = next((hop for hop in reversed(hops) if not self._is_proxy(hop)), hops[0])[:45]
        return self._wsgi(environ, start_response)
