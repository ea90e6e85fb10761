from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mcpweb.catalog import addresses

CLOSED = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.0.0.2
127.255.255.254 168.63.129.16 169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1
192.0.0.170 192.0.0.192 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.168.0.1 192.168.255.255 192.175.48.1
198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 224.0.0.251 239.255.255.250 240.0.0.1 255.255.255.254
255.255.255.255 :: ::1 ::2 ::7f00:1 ::127.0.0.1 ::10.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1
::ffff:169.254.169.254 ::ffff:a9fe:a9fe ::ffff:0:127.0.0.1 ::ffff:0:8.8.8.8 ::ffff:192.168.1.1 ::ffff:100.64.0.1
::ffff:224.0.0.1 ::ffff:0.0.0.0 64:ff9b::7f00:1 64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b::8.8.8.8 64:ff9b:1::1
64:ff9b:1:ffff::1 100::1 100:0:0:1::1 1::1 1fff:ffff::1 2001::1 2001:0:7f00:1::1 2001:1::1 2001:2::1 2001:3::1
2001:4:112::1 2001:10::1 2001:20::1 2001:30::1 2001:1ff:ffff::1 2001:db8::1 2001:db8:ffff::1 2002::1 2002:7f00:1::1
2002:a9fe:a9fe::1 2002:808:808::1 2620:4f:8000::1 3fff::1 3fff:fff::1 4000::1 5f00::1 8000::1 fc00::1 fd00::1
fd00:ec2::254 fdff::1 fe80::1 fe80::1%eth0 fe80::1%25eth0 febf::1 fec0::1 feff::1 ff00::1 ff02::1 ff02::fb ff05::2
ff0e::1
"""

OPEN = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.1 93.184.216.34 100.63.255.255 100.128.0.1 126.255.255.255 128.0.0.1
140.82.121.6 168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.1 172.15.255.255 172.32.0.1 192.0.1.1 192.0.3.1
192.167.255.255 192.169.0.1 198.17.255.255 198.20.0.1 198.51.99.1 198.51.101.1 203.0.112.1 203.0.114.1
223.255.255.254 ::ffff:8.8.8.8 ::ffff:140.82.121.6 2000::1 2001:200::1 2001:4860:4860::8888 2001:db7:ffff::1
2001:db9::1 2003::1 2606:4700:4700::1111 2620:4f:7fff::1 2a00:1450:4001:80b::200e 2a03:2880::1 3ffe:ffff::1
3fff:1000::1
"""

NOT_NUMERIC = [
    "",
    "localhost",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.0.0.1 ",
    "\N{FULLWIDTH DIGIT ONE}27.0.0.1",
    "1.2.3.4.5",
]


@pytest.mark.parametrize("address", CLOSED.split())
def test_an_address_that_is_not_on_the_open_internet_is_not_public(address: str) -> None:
    assert not addresses.is_public(address)


@pytest.mark.parametrize("address", OPEN.split())
def test_an_address_of_the_open_internet_is_public(address: str) -> None:
    assert addresses.is_public(address)


@pytest.mark.parametrize("text", NOT_NUMERIC)
def test_what_is_no_plain_address_is_not_public(text: str) -> None:
    assert not addresses.is_public(text)


@pytest.mark.parametrize("spelling", ["127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001"])
def test_other_spellings_of_loopback_resolve_to_loopback_and_not_past_the_check(spelling: str) -> None:
    with ThreadPoolExecutor(1) as executor:
        found = addresses.resolve(spelling, 443, executor, 1.0)

    assert [address for _, address in found] == [("127.0.0.1", 443)]


def test_a_name_server_that_does_not_answer_costs_no_more_than_the_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    numeric = socket.getaddrinfo

    def hangs(host: str, port: int, type: int, flags: int) -> object:
        return numeric(host, port, type=type, flags=flags) if flags else over.wait(10)

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    with ThreadPoolExecutor(1) as executor:
        with pytest.raises(TimeoutError):
            addresses.resolve("api.example.com", 443, executor, 0.05)
        over.set()
