"""Who is calling, behind no proxy, behind ours, and behind one that only claims to be."""

from __future__ import annotations

from typing import Any

import pytest

from mcpweb.web.client_address import ClientAddress

PROXIES = ("10.0.0.0/8", "192.0.2.1/32", "fd00::/8")


def seen(peer: str, forwarded: str | None, proxies: tuple[str, ...] = PROXIES) -> str:
    """The caller's address that the application gets to see."""
    got: list[str] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        got.append(environ["REMOTE_ADDR"])
        return []

    environ = {"REMOTE_ADDR": peer} | ({"HTTP_X_FORWARDED_FOR": forwarded} if forwarded is not None else {})
    ClientAddress(application, proxies)(environ, lambda *_: None)
    return got[0]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.5", None, "203.0.113.5"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),  # whoever is no proxy says nothing about itself
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),  # the first was written by the caller
        ("10.0.0.1", "1.1.1.1,198.51.100.1 , 10.2.3.4,192.0.2.1", "198.51.100.1"),  # a chain of our proxies
        ("10.0.0.1", "10.0.0.7, 10.0.0.8", "10.0.0.7"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("fd00::1", "198.51.100.1", "198.51.100.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),  # how a dual-stack socket shows an IPv4 peer
        ("10.0.0.1", "198.51.100.1, ::ffff:10.0.0.2", "198.51.100.1"),
        ("not an address", "198.51.100.1", "not an address"),
        ("", "198.51.100.1", ""),
    ],
)
def test_the_callers_address_is_the_last_that_no_proxy_of_ours_has(peer, forwarded, address):
    assert seen(peer, forwarded) == address


def test_what_a_proxy_passes_on_is_no_longer_than_an_address_can_be():
    assert seen("10.0.0.1", "x" * 5000) == "x" * 45


def test_without_listed_proxies_nobody_is_believed():
    assert seen("127.0.0.1", "198.51.100.1", ()) == "127.0.0.1"
