"""Certificates and keys of one test cluster, valid for a month."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=30)


@dataclass(frozen=True)
class Credentials:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """The cluster's certificate authority."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test-cluster-ca")])
        certificate = (
            self._begin(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = folder / "ca.crt"
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *, user: str, group: str | None = None, hosts: Sequence[str] = ()) -> Credentials:
        """A certificate that serves ``hosts`` (names or addresses) and by which a client is ``user`` of ``group``."""
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
        if group:
            parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
        begun = self._begin(x509.Name(parts), key.public_key()).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        if hosts:
            begun = begun.add_extension(x509.SubjectAlternativeName([_general(host) for host in hosts]), critical=False)
        issued = Credentials(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        issued.certificate.write_bytes(begun.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        write_key(key, issued.key)
        return issued

    def service_accounts(self) -> Path:
        """A new key that signs service account tokens."""
        path = self.folder / "service-accounts.key"
        write_key(ec.generate_private_key(ec.SECP256R1()), path)
        return path

    def _begin(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + LIFETIME)
        )


def write_key(key: ec.EllipticCurvePrivateKey, path: Path) -> None:
    """Write a private key that its owner alone can read."""
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
