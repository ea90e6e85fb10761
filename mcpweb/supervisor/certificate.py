"""A certificate that this machine signs for itself, for trying https on loopback."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mcpweb import clock

LIFE = timedelta(days=90)
NEW_BEFORE_END = timedelta(days=7)


def self_signed(folder: Path) -> tuple[Path, Path]:
    """The certificate and the key in the folder, for localhost, 127.0.0.1 and ::1; made anew a week before it ends.

    A client that is given the certificate as its only authority accepts it.
    """
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    now = clock.utcnow()
    if not (key.exists() and certificate.exists() and _end(certificate) - now > NEW_BEFORE_END):
        secret = ec.generate_private_key(ec.SECP256R1())
        key.write_bytes(
            secret.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        certificate.write_bytes(_signed(secret, now).public_bytes(serialization.Encoding.PEM))
    return certificate, key


def _signed(secret: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mcpweb on loopback")])
    addresses = [x509.IPAddress(ipaddress.ip_address(text)) for text in ("127.0.0.1", "::1")]
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost"), *addresses]), critical=False)
        # It may vouch for itself and for no other certificate.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(secret, hashes.SHA256())
    )


def _end(certificate: Path) -> datetime:
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
