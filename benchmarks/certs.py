"""Throw-away mTLS material: one authority and one P-256 certificate a side, on loopback, valid for a day."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One side's TLS material, PEM."""

    key: bytes
    certificate: bytes
    authority: bytes

    def client(self) -> grpc.ChannelCredentials:
        """Credentials to dial with; the certificate is shown to the server."""
        return grpc.ssl_channel_credentials(self.authority, self.key, self.certificate)

    def server(self) -> grpc.ServerCredentials:
        """Credentials to listen with; a client without a certificate of the same authority is refused."""
        return grpc.ssl_server_credentials(
            [(self.key, self.certificate)], root_certificates=self.authority, require_client_auth=True
        )


def write_identities(directory: Path, names: tuple[str, ...]) -> None:
    """Write ``NAME.key.pem`` and ``NAME.cert.pem`` for each name, and the ``authority.pem`` that issued them."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "yardstick authority")])
    authority = _certificate(authority_name, authority_name, authority_key.public_key(), authority=True)
    (directory / "authority.pem").write_bytes(_pem(authority.sign(authority_key, hashes.SHA256())))
    for name in names:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = _certificate(subject, authority_name, key.public_key(), authority=False)
        (directory / f"{name}.cert.pem").write_bytes(_pem(certificate.sign(authority_key, hashes.SHA256())))
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (directory / f"{name}.key.pem").write_bytes(private)


def read_identity(directory: Path, name: str) -> Identity:
    """What `write_identities` wrote for `name`."""
    return Identity(
        key=(directory / f"{name}.key.pem").read_bytes(),
        certificate=(directory / f"{name}.cert.pem").read_bytes(),
        authority=(directory / "authority.pem").read_bytes(),
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, authority: bool
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if authority:
        return builder
    loopback = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    return builder.add_extension(loopback, critical=False)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
