"""The real nginx as an ordinary user's process, with what `mcpweb nginx-config` prints, and a certificate for it."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests import tooling
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.2"
"""gunicorn has the same ports at 127.0.0.1."""
STRANGER = "127.0.0.9"
"""An address that no trusted proxy has."""


@dataclass(frozen=True)
class Front:
    """A running nginx: its address, port and folder, and the authority that its certificate is from."""

    url: str
    port: int
    folder: Path
    authority: Path

    def log(self) -> str:
        """All that it has written, of every kind."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("logs/*.log")))

    def connect(self, source: str = STRANGER, protocols: tuple[str, ...] = ("http/1.1",)) -> ssl.SSLSocket:
        """A connection from this address."""
        context = ssl.create_default_context(cafile=str(self.authority))
        context.set_alpn_protocols(list(protocols))
        plain = socket.create_connection((HOST, self.port), timeout=20, source_address=(source, 0))
        return context.wrap_socket(plain, server_hostname=HOST)

    def raw(self, request: bytes, source: str = STRANGER) -> bytes:
        """What comes back for these bytes until the connection ends."""
        with self.connect(source) as connection:
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(65536), b""))


def public_settings() -> dict[str, str]:
    """The settings of an installation that is reached through nginx, at an address that is free."""
    with socket.create_server((HOST, 0)) as free:
        return {
            "MCPWEB_PUBLIC_URL": f"https://{HOST}:{free.getsockname()[1]}",
            "MCPWEB_TRUSTED_PROXIES": "127.0.0.1/32",
        }


@contextmanager
def front(settings: Mapping[str, str], *options: str, **replaced: str) -> Iterator[Front]:
    """nginx for an installation with these settings; `replaced` are directives that get another value."""
    try:
        nginx = str(tooling.nginx())
    except tooling.Missing as missing:
        pytest.skip(str(missing))
    with tempfile.TemporaryDirectory(prefix="mcpweb-nginx-") as top:
        folder = Path(top)
        (folder / "logs").mkdir()
        authority = _certificate(folder)
        where = {"certificate": "chain.pem", "key": "key.pem", "files": "public", "logs": "logs"}
        given = [word for option, file in where.items() for word in (f"--{option}", str(folder / file))]
        mcpweb(settings, "nginx-files", str(folder / "public"))
        text = mcpweb(settings, "nginx-config", "--whole", *given, *options)
        for name, value in replaced.items():
            text, count = re.subn(rf"\b{name} \w+;", f"{name} {value};", text)
            assert count, f"there is no {name}"
        (folder / "nginx.conf").write_text(text)
        port = int(settings["MCPWEB_PUBLIC_URL"].rpartition(":")[2])
        command = [nginx, "-p", top, "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
        process = subprocess.Popen(command, stderr=(folder / "logs" / "start.log").open("w"), **_ordinary(folder))
        try:
            until(lambda: _listens(process, port, folder), "nginx listens")
            yield Front(settings["MCPWEB_PUBLIC_URL"], port, folder, authority)
        finally:
            process.terminate()
            process.wait(20)


def mcpweb(settings: Mapping[str, str], *arguments: str) -> str:
    """What the command prints."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MCPWEB_")}
    command = [sys.executable, "-m", "mcpweb", *arguments]
    done = subprocess.run(command, cwd=ROOT, env={**clean, **settings}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def trust(patch: pytest.MonkeyPatch, authority: Path) -> None:
    """Have requests, the official client and what they start believe certificates of this authority alone."""
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        patch.setenv(name, str(authority))


def _ordinary(folder: Path) -> dict[str, int]:
    """How to start a process without any privilege, and the folder made ready for it."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    folder.chmod(0o755)
    for path in (folder, folder / "logs", folder / "key.pem"):
        shutil.chown(path, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid}


def _listens(process: subprocess.Popen[bytes], port: int, folder: Path) -> bool:
    assert process.poll() is None, (folder / "logs" / "start.log").read_text()
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _certificate(folder: Path) -> Path:
    """A certificate for HOST with its key, from an authority whose own certificate is returned."""
    authority, server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of a test")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    signed = _signed(issuer, issuer, authority, authority, x509.BasicConstraints(ca=True, path_length=0))
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))])
    leaf = _signed(subject, issuer, server, authority, names)
    pem, none = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "chain.pem").write_bytes(leaf.public_bytes(pem))
    (folder / "key.pem").write_bytes(server.private_bytes(pem, serialization.PrivateFormat.PKCS8, none))
    (folder / "authority.pem").write_bytes(signed.public_bytes(pem))
    return folder / "authority.pem"


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    by: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        .sign(by, hashes.SHA256())
    )
