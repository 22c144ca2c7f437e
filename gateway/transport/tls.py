"""Certificates: one's own, and whom to trust.

A region is met under self-signed P-256 leaf certificates that the roster lists one by one. They are pinned: nothing a
certificate signs is trusted, so no member can make a certificate for another. (gRPC refuses Ed25519 certificates.)
"""

from __future__ import annotations

import datetime
import ssl
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import grpc
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.ports import Peer, Region
from gateway.transport.errors import BadMaterial, describe

VALID_DAYS = 730
#: A certificate is good a little before it was made: the peer's clock may be behind.
_BEFORE = datetime.timedelta(hours=1)

_log = structlog.get_logger(__name__)


def dns_name(code: int) -> str:
    """The DNS name of a region's certificate. It resolves nowhere: endpoints are in the roster."""
    return f"{code}.region.hutong"


def spiffe_id(code: int) -> str:
    """The URI that names the region in its certificate."""
    return f"spiffe://hutong/region/{code}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """A private key and its certificate, as PEM."""

    key_pem: bytes
    cert_pem: bytes

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate, parsed."""
        return x509.load_pem_x509_certificate(self.cert_pem)

    @property
    def der(self) -> bytes:
        """The certificate as the roster lists it."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def days_left(self, now: datetime.datetime) -> int:
        """Whole days until the certificate expires; negative afterwards."""
        return (self.certificate.not_valid_after_utc - now).days


def issue(code: int, *, now: datetime.datetime, days: int = VALID_DAYS) -> Material:
    """A new key and a self-signed leaf certificate of region `code`, good for `days` from `now` (aware)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, dns_name(code))])
    names = x509.SubjectAlternativeName([x509.DNSName(dns_name(code)), x509.UniformResourceIdentifier(spiffe_id(code))])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,  # it vouches for nobody
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(purposes, critical=False)
        .add_extension(names, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Material(key_pem=private, cert_pem=certificate.public_bytes(serialization.Encoding.PEM))


def load(key_path: Path, cert_path: Path) -> Material:
    """Key and certificate from files. Raises BadMaterial naming the file that cannot be used."""
    material = Material(key_pem=_read(key_path), cert_pem=_read(cert_path))
    try:
        key = serialization.load_pem_private_key(material.key_pem, password=None)
    except (ValueError, TypeError) as e:
        raise BadMaterial(f"{key_path}: not an unencrypted private key in PEM") from e
    try:
        certificate = material.certificate
    except ValueError as e:
        raise BadMaterial(f"{cert_path}: not a certificate in PEM") from e
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadMaterial(f"{key_path}: not a P-256 key")
    if certificate.public_key() != key.public_key():
        raise BadMaterial(f"{cert_path}: not the certificate of the key in {key_path}")
    if not _facts(material.der).leaf:
        raise BadMaterial(f"{cert_path}: an authority's certificate; a region presents a leaf (CA:FALSE)")
    return material


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise BadMaterial(f"{path}: {e.strerror}") from e


class MaterialFiles:
    """Key and certificate on disk, read anew when the files change. Any thread may ask."""

    def __init__(self, key_path: Path, cert_path: Path) -> None:
        """Raises BadMaterial when the files cannot be used at the start."""
        self._paths = (key_path, cert_path)
        self._lock = threading.Lock()
        self._stamp = self._look()
        self._material = load(key_path, cert_path)

    def current(self) -> Material:
        """The newest usable material: while the files are being replaced, the one before."""
        with self._lock:
            stamp = self._look()
            if stamp != self._stamp:
                try:
                    self._material = load(*self._paths)
                    _log.info("tls_material_reloaded")
                except BadMaterial as e:
                    _log.warning("tls_material_kept", error=str(e))
                self._stamp = stamp
            return self._material

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        stamps = []
        for path in self._paths:
            try:
                found = path.stat()
                stamps.append((found.st_ino, found.st_mtime_ns, found.st_size))
            except OSError:
                stamps.append((0, 0, 0))
        return tuple(stamps)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Facts:
    leaf: bool
    names: tuple[str, ...]


@lru_cache(maxsize=8192)
def _facts(der: bytes) -> _Facts:
    """What a certificate says of itself. One that does not parse, or may sign others, is no leaf."""
    try:
        extensions = x509.load_der_x509_certificate(der).extensions
    except ValueError:
        return _Facts(leaf=False, names=())
    try:
        leaf = not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        leaf = False
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        names = []
    return _Facts(leaf=leaf, names=tuple(names))


def _trusted(certificates: Iterable[bytes]) -> bytes:
    """PEM of the leaves among DER certificates. An authority in the roster would vouch for others: it is left out."""
    return b"".join(ssl.DER_cert_to_PEM_cert(der).encode() for der in certificates if _facts(der).leaf)


class ServerCredentials:
    """The server's side: own material and the certificates of all members, looked up at every TLS handshake."""

    def __init__(self, region: Region, material: MaterialFiles) -> None:
        self._region, self._files = region, material
        self._handed_out: tuple[Material, frozenset[bytes]] | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """Credentials that demand a client certificate."""
        first = self._changed()
        assert first is not None
        return grpc.dynamic_ssl_server_credentials(
            first,
            self._fetch,  # type: ignore[arg-type]  # it may return None; the stub does not know
            require_client_authentication=True,
        )

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """A new configuration, or None where the last still holds: gRPC takes each one over and frees it, so that none
        may be handed out twice."""
        material = self._files.current()
        # One's own certificate too: an operator's health probe presents it. It opens no stream.
        certificates = frozenset({material.der}.union(*(p.certificates for p in self._region.peers().values())))
        if self._handed_out == (material, certificates):
            return None
        pair = (material.key_pem, material.cert_pem)
        configuration = grpc.ssl_server_certificate_configuration([pair], _trusted(sorted(certificates)))
        self._handed_out = (material, certificates)
        return configuration

    def _fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """Called by gRPC on threads of its own, one at a time; after an error here the last configuration holds."""
        try:
            return self._changed()
        except Exception as e:
            _log.error("tls_reload_failed", error=describe(e))
            return None


def server_names(peer: Peer) -> tuple[str, ...]:
    """Under which names a peer may answer: its own first, then its carriers'. gRPC can expect one at a time."""
    names = {name for der in peer.certificates if _facts(der).leaf for name in _facts(der).names}
    own = dns_name(peer.code)
    return tuple(sorted(names, key=lambda name: (name != own, name)))


def client_credentials(peer: Peer, material: Material) -> grpc.ChannelCredentials:
    """To dial `peer`: nobody but the holder of one of its certificates can answer. Raises BadMaterial without any."""
    roots = _trusted(peer.certificates)
    if not roots:
        raise BadMaterial(f"the roster lists no usable certificate of region {peer.code}")
    return grpc.ssl_channel_credentials(roots, material.key_pem, material.cert_pem)
