"""Certificates and rosters change while regions talk; nobody restarts."""

import asyncio
import datetime
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509 import DNSName, SubjectAlternativeName, UniformResourceIdentifier

from gateway.transport.client import fetch_rosters
from gateway.transport.errors import BadMaterial, Ended
from gateway.transport.tls import Material, MaterialFiles, issue, load
from tests.transport.regions import HANGZHOU, NINGBO, NOW, SHAOXING, Town, signed

Make = Callable[[int], Town]


def test_a_certificate_names_its_region_and_says_how_long_it_is_good() -> None:
    material = issue(HANGZHOU, now=NOW, days=30)
    names = material.certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    assert names.get_values_for_type(DNSName) == ["330100.region.hutong"]
    assert names.get_values_for_type(UniformResourceIdentifier) == ["spiffe://hutong/region/330100"]
    assert material.days_left(NOW) == 29  # certificates count whole seconds
    assert material.days_left(NOW + datetime.timedelta(days=40)) < 0


def _pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (_pem(ed25519.Ed25519PrivateKey.generate()), "not a P-256 key"),
        (_pem(ec.generate_private_key(ec.SECP384R1())), "not a P-256 key"),
        (_pem(ec.generate_private_key(ec.SECP256R1())), "not the certificate of the key"),
        (b"nothing", "not an unencrypted private key"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_by_file_and_reason(tmp_path: Path, key: bytes, why: str) -> None:
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "cert.pem").write_bytes(issue(HANGZHOU, now=NOW).cert_pem)
    with pytest.raises(BadMaterial, match=why):
        load(tmp_path / "key.pem", tmp_path / "cert.pem")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadMaterial, match=r"key\.pem: No such file"):
        load(tmp_path / "key.pem", tmp_path / "cert.pem")


def test_a_half_replaced_pair_leaves_the_old_one_in_use(town: Make) -> None:
    one = town(HANGZHOU)
    old, new = one.material, issue(HANGZHOU, now=NOW)
    files = MaterialFiles(one.key_path, one.cert_path)
    one.key_path.write_bytes(new.key_pem)
    assert files.current() == old
    one.cert_path.write_bytes(new.cert_pem)
    assert files.current() == new


async def greet(a: Town, b: Town, material: Material | None = None) -> None:
    """`a` can open a stream to `b`."""
    stream = await a.dial(b, material=material)
    await stream.close()


async def test_new_files_are_presented_at_the_next_handshake(town: Make) -> None:
    a, b = town(HANGZHOU), town(NINGBO)
    await b.start()
    await greet(a, b)
    b.write(issue(NINGBO, now=NOW))
    with pytest.raises(Ended):
        await greet(a, b)
    a.roster.change(NINGBO, certificates=(b.material.der,))
    await greet(a, b)


async def test_a_new_member_is_let_in_and_an_old_certificate_is_not(town: Make) -> None:
    a, b = town(HANGZHOU), town(NINGBO)
    await b.start()
    await greet(a, b)
    c = town(SHAOXING)
    await greet(c, b)
    old, new = a.material, issue(HANGZHOU, now=NOW)
    a.roster.change(HANGZHOU, certificates=(old.der, new.der))
    await greet(a, b, old)
    await greet(a, b, new)
    a.roster.change(HANGZHOU, certificates=(new.der,))
    with pytest.raises(Ended):
        await greet(a, b, old)
    await greet(a, b, new)


async def test_a_region_changes_its_certificate_while_it_talks(town: Make) -> None:
    a, b = town(HANGZHOU), town(NINGBO)
    await a.start(dialable=False)
    await b.start()
    a.region.send(NINGBO, b"before")
    await a.region.until(lambda: a.region.receipted[NINGBO] == 1)
    new = issue(NINGBO, now=NOW)
    b.write(new)
    b.roster.change(NINGBO, certificates=(new.der,))
    await b.region.until(lambda: b.region.opened_count[HANGZHOU] == 2)
    a.region.send(NINGBO, b"after")
    await a.region.until(lambda: a.region.receipted[NINGBO] == 2)


async def test_a_newer_roster_is_fetched_from_whoever_says_it_has_one(town: Make) -> None:
    a, b = town(HANGZHOU), town(NINGBO)
    b.region.rosters = [signed("roster", b"%d" % n) for n in range(5)]
    await b.start()
    b.roster.version = 5
    a.region.roster = type(a.roster)()  # an older one, with the same members
    a.region.roster.version, a.region.roster.peers = 0, b.roster.peers
    await a.start(dialable=False)
    a.region.send(NINGBO, b"hello")
    await a.region.until(lambda: a.region.rosters == b.region.rosters)


async def test_rosters_come_in_pages(town: Make) -> None:
    a, b = town(HANGZHOU), town(NINGBO)
    b.region.rosters = [signed("roster", bytes(3 << 20)), signed("roster", bytes(3 << 20))]
    await b.start()
    first, more = await fetch_rosters(a.region.peers()[NINGBO], a.material, 0)
    assert (len(first), more) == (1, True), "two would be more than a page may hold"
    second, more = await fetch_rosters(a.region.peers()[NINGBO], a.material, 1)
    assert ([*first, *second], more) == (b.region.rosters, False)


async def test_the_operators_own_certificate_sees_health_but_gets_no_roster(town: Make) -> None:
    b = town(NINGBO)
    courier = await b.start()
    options = [("grpc.ssl_target_name_override", "330200.region.hutong")]
    credentials = grpc.ssl_channel_credentials(b.material.cert_pem, b.material.key_pem, b.material.cert_pem)
    async with grpc.aio.secure_channel(f"127.0.0.1:{courier.port}", credentials, options=options) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert await check(b"\n\x19gateway.v1.GatewayService") == b"\x08\x01", "SERVING"
        listing = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")()
        await listing.write(b"\x3a\x00")
        async with asyncio.timeout(10):
            assert b"gateway.v1.GatewayService" in await listing.read()
        listing.cancel()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await channel.unary_unary("/gateway.v1.GatewayService/GetRoster")(b"")
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
