from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from mcpweb.catalog.outgoing import ConnectFailed, DestinationRefused, Destinations, Outgoing
from tests import bad_upstream

PUBLIC = Destinations(hosts=("api.example.com", "*.files.example.com"))


@pytest.fixture
def sender() -> Iterator[Outgoing]:
    sender = Outgoing(connect_timeout_s=1.0)
    yield sender
    sender.close()


ELSEWHERE = r"""
http://api.example.com/ ftp://api.example.com/ file:///etc/passwd gopher://api.example.com/ //api.example.com/ /user
api.example.com https:api.example.com https:///api.example.com/ https://api.example.com:80/
https://api.example.com:8443/ https://api.example.com:443@127.0.0.1/ https://alice@api.example.com/
https://alice:secret@api.example.com/ https://127.0.0.1/ https://[::1]/ https://localhost/ https://example.com/
https://api.example.com.evil.example.org/ https://evil.example.org/api.example.com
https://evil.example.org?api.example.com https://evil.example.org#api.example.com
https://api.example.com#@evil.example.org/ https://api.example.com\@evil.example.org/
https://api.example.com\.evil.org/ https://api.example.com./ https://files.example.com/
https://a.b.files.example.com/ https://.files.example.com.evil.org/ https://xapi.example.com/
https://api.example.com%2eevil.org/ https://api.example.com%00.evil.org/ https://api-example.com/
https://api.example.com/# https://api.example.com/a#b https://api.example.com:https/
https://api.example.com:99999999/ https://:443/ https:// http:// https://[::ffff:127.0.0.1]/ https://0x7f000001/
https://2130706433/ https://*.files.example.com.evil.org/ HTTPS://api.example.com/ javascript:alert(1)
"""
MALFORMED = [
    "https://api.example.com/a b",
    "https://api.example.com/\r\nX-Admin: 1",
    "https://api.example.com/\t",
    " https://api.example.com/",
    "https://api.example.com/\0",
    "https://api.exa\nmple.com/",
    "https://api\N{IDEOGRAPHIC FULL STOP}example.com/",
    "https://api.example.com/\N{LATIN SMALL LETTER E WITH ACUTE}",
    "",
]


@pytest.mark.parametrize("url", [*ELSEWHERE.split(), *MALFORMED])
def test_a_url_that_leads_elsewhere_is_refused_before_its_name_is_looked_up(
    sender: Outgoing, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **_: looked_up.append(args))

    with pytest.raises(DestinationRefused):
        sender.request("GET", url, to=PUBLIC)

    assert not looked_up


def _resolver(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """A name server that gives these answers in turn; returns the list of names asked for."""
    left, asked = list(answers), []

    def look_up(host: str, port: int, type: int, flags: int) -> list[object]:
        if flags:
            raise socket.gaierror(socket.EAI_NONAME, "not numeric")
        asked.append(host)
        found = left.pop(0)
        return [(socket.AF_INET6 if ":" in a else socket.AF_INET, type, 6, "", (a, port)) for a in found]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


class _Recorder(socket.socket):
    """Connects nowhere, or to `instead`; keeps the addresses that it was to connect to."""

    wanted: list[object]
    instead: object = None

    def connect(self, address: object) -> None:
        self.wanted.append(address)
        if self.instead is None:
            raise ConnectionRefusedError
        super().connect(self.instead)  # type: ignore[arg-type]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> type[_Recorder]:
    monkeypatch.setattr(_Recorder, "wanted", [], raising=False)
    monkeypatch.setattr(_Recorder, "instead", None)
    monkeypatch.setattr("mcpweb.catalog.pool.socket.socket", _Recorder)
    return _Recorder


@pytest.mark.parametrize("host", ["api.example.com", "x.files.example.com", "API.example.com", "api.example.com:443"])
def test_a_host_of_the_service_is_reached_at_its_public_address(
    sender: Outgoing, monkeypatch: pytest.MonkeyPatch, recorder: type[_Recorder], host: str
) -> None:
    _resolver(monkeypatch, ["93.184.216.34"])
    with pytest.raises(ConnectFailed):
        sender.request("GET", f"https://{host}/user?a=b", to=PUBLIC)

    assert recorder.wanted == [("93.184.216.34", 443)]


@pytest.mark.parametrize(
    "private", ["127.0.0.1", "169.254.169.254", "10.1.2.3", "::1", "fd00:ec2::254", "64:ff9b::7f00:1"]
)
def test_a_host_with_a_private_address_only_is_refused_unconnected(
    sender: Outgoing, monkeypatch: pytest.MonkeyPatch, recorder: type[_Recorder], private: str
) -> None:
    _resolver(monkeypatch, [private])
    with pytest.raises(DestinationRefused):
        sender.request("GET", "https://api.example.com/", to=PUBLIC)

    assert recorder.wanted == []


def test_of_mixed_addresses_only_the_public_ones_are_tried_each_in_turn(
    sender: Outgoing, monkeypatch: pytest.MonkeyPatch, recorder: type[_Recorder]
) -> None:
    _resolver(monkeypatch, ["10.0.0.1", "93.184.216.34", "::ffff:127.0.0.1", "93.184.216.35"])
    with pytest.raises(ConnectFailed):
        sender.request("GET", "https://api.example.com/", to=PUBLIC)

    assert recorder.wanted == [("93.184.216.34", 443), ("93.184.216.35", 443)]


def test_a_name_that_changes_its_address_is_connected_where_it_was_checked(
    sender: Outgoing, monkeypatch: pytest.MonkeyPatch, recorder: type[_Recorder]
) -> None:
    asked = _resolver(monkeypatch, ["93.184.216.34"], ["127.0.0.1"])
    with pytest.raises(ConnectFailed):
        sender.request("GET", "https://api.example.com/", to=PUBLIC)

    assert (asked, recorder.wanted) == (["api.example.com"], [("93.184.216.34", 443)])


def test_a_connection_that_ends_up_at_a_private_peer_is_dropped_before_a_byte_is_sent(
    sender: Outgoing, monkeypatch: pytest.MonkeyPatch, recorder: type[_Recorder]
) -> None:
    _resolver(monkeypatch, ["93.184.216.34"])
    with bad_upstream.running() as upstream:
        name, _, port = upstream.host.partition(":")
        monkeypatch.setattr(recorder, "instead", (name, int(port)))
        with pytest.raises(DestinationRefused):
            sender.request("GET", "https://api.example.com/", to=PUBLIC)

    assert not upstream.messages


@pytest.mark.parametrize(
    "spelling",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "localhost",
        "[::1]",
        "[::ffff:7f00:1]",
        "[::]",
    ],
)
def test_loopback_is_refused_in_every_spelling_even_where_the_plugin_names_it(sender: Outgoing, spelling: str) -> None:
    with pytest.raises((DestinationRefused, ConnectFailed)) as refused:
        sender.request("GET", f"https://{spelling}/", to=Destinations(hosts=(spelling,)))

    assert refused.type is DestinationRefused


def test_a_private_host_is_reached_on_the_named_port_only(sender: Outgoing) -> None:
    with bad_upstream.running() as upstream:
        host, _, port = upstream.host.partition(":")
        url = upstream.base_url + "/ok"

        assert sender.request("GET", url, to=Destinations((), (upstream.host,))).status == 200
        for named in (host, f"{host}:1", f"{host}:{port}1", f"x{host}:{port}", "*", "*.0.0.1", f"*:{port}"):
            with pytest.raises(DestinationRefused):
                sender.request("GET", url, to=Destinations((), (named,)))


def test_an_unknown_name_can_not_be_connected(sender: Outgoing, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectFailed):
        sender.request("GET", "https://api.example.com/", to=PUBLIC)
