from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mcpweb.catalog import pool
from mcpweb.catalog.outgoing import BadReply, ConnectFailed, Destinations, Outgoing
from tests import bad_upstream


@pytest.fixture
def sender() -> Iterator[Outgoing]:
    pool._tls.cache_clear()
    sender = Outgoing(connect_timeout_s=2.0, total_timeout_s=5.0)
    yield sender
    sender.close()
    pool._tls.cache_clear()


def _certificate(folder: Path, name: str) -> Path:
    """A self-signed certificate with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names: list[x509.GeneralName] = [x509.DNSName(name)] if name[0].isalpha() else [x509.IPAddress(ip_address(name))]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    pem, none = serialization.Encoding.PEM, serialization.NoEncryption()
    file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, none) + certificate.public_bytes(pem))
    return file


def _server(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_certificate_of_a_known_authority_is_taken_and_the_connection_kept(
    sender: Outgoing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = _certificate(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with bad_upstream.running(_server(certificate), "localhost") as upstream:
        to = Destinations((), (upstream.host,))
        bodies = [sender.request("GET", upstream.base_url + path, to=to).text for path in ("/ok", "/chunked", "/ok")]

    assert bodies == ['{"ok": true}', "hello world", '{"ok": true}']
    assert {number for number, _ in upstream.messages} == {0}


def test_a_certificate_that_nobody_vouches_for_is_refused_before_a_byte_is_sent(
    sender: Outgoing, tmp_path: Path
) -> None:
    tls = _server(_certificate(tmp_path, "localhost"))
    with bad_upstream.running(tls, "localhost") as upstream, pytest.raises(ConnectFailed):
        sender.request("GET", upstream.base_url + "/ok", to=Destinations((), (upstream.host,)))

    assert not upstream.messages


def test_a_certificate_of_another_host_is_refused(
    sender: Outgoing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = _certificate(tmp_path, "api.example.com")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with bad_upstream.running(_server(certificate), "localhost") as upstream, pytest.raises(ConnectFailed):
        sender.request("GET", upstream.base_url + "/ok", to=Destinations((), (upstream.host,)))

    assert not upstream.messages


def test_an_answer_cut_by_somebody_on_the_way_is_not_taken_as_whole(
    sender: Outgoing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = _certificate(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with bad_upstream.running(_server(certificate), "localhost") as upstream, pytest.raises(BadReply):
        # ends with the connection, which is closed here without TLS's own farewell
        sender.request("GET", upstream.base_url + "/old", to=Destinations((), (upstream.host,)))


def test_a_handshake_that_hangs_ends_with_the_connect_time_out(tmp_path: Path) -> None:
    sender = Outgoing(connect_timeout_s=0.3, total_timeout_s=5.0)
    with bad_upstream.running() as upstream, pytest.raises(ConnectFailed):  # takes the greeting for half a request
        url = upstream.base_url.replace("http:", "https:")
        sender.request("GET", f"{url}/ok", to=Destinations((), (upstream.host,)))
    sender.close()
