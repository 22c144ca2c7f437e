"""Who and what is turned away, with which status, and that nothing of it is taken in."""

import asyncio
import contextlib
import datetime
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.ports import Peer
from gateway.protocol import codec, limits
from gateway.protocol.errors import Malformed, PeerFault, SkewedClock, TooLarge, Unauthentic
from gateway.protocol.values import Envelope, Fault, Gap, Hello, Status
from gateway.transport import messages
from gateway.transport.client import SERVICE, Dialled, dial
from gateway.transport.errors import Denied, Ended, NoOverlap
from gateway.transport.tls import (
    Material,
    MaterialFiles,
    ServerCredentials,
    client_credentials,
    dns_name,
    issue,
    spiffe_id,
)
from tests.transport.regions import HANGZHOU, NINGBO, NOW, SHAOXING, Town, signed

Make = Callable[[int], Town]


def vouched(code: int, voucher: Material, *, authority: bool = False) -> Material:
    """A certificate in the name of `code`, signed with another region's key, its certificate beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    signing = serialization.load_pem_private_key(voucher.key_pem, None)
    assert isinstance(signing, ec.EllipticCurvePrivateKey)
    names = x509.SubjectAlternativeName([x509.DNSName(dns_name(code)), x509.UniformResourceIdentifier(spiffe_id(code))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, dns_name(code))]))
        .issuer_name(voucher.certificate.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - datetime.timedelta(hours=1))
        .not_valid_after(NOW + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
        .sign(signing, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Material(key_pem=private, cert_pem=certificate.public_bytes(pem) + voucher.cert_pem)


async def refused(stream: Dialled) -> Ended:
    """The status with which the other side ends the stream."""
    try:
        async with asyncio.timeout(10):
            while await stream.read() is not None:
                pass
    except Ended as e:
        return e
    finally:
        await stream.close()
    raise AssertionError("the stream ended in good order")


async def no_entry(a: Town, b: Town, **given: object) -> Ended:
    """`b` does not let `a` in."""
    with pytest.raises(Ended) as ended:
        await a.dial(b, **given)
    assert b.region.opened_count == {}
    return ended.value


async def two(town: Make) -> tuple[Town, Town]:
    a, b = town(HANGZHOU), town(NINGBO)
    await b.start()
    return a, b


async def test_a_certificate_nobody_listed_does_not_get_past_tls(town: Make) -> None:
    a, b = await two(town)
    ended = await no_entry(a, b, material=issue(HANGZHOU, now=NOW))
    assert ended.code is grpc.StatusCode.UNAVAILABLE


async def test_a_member_cannot_make_a_certificate_for_another(town: Make) -> None:
    a, b = await two(town)
    c = town(SHAOXING)
    ended = await no_entry(a, b, material=vouched(HANGZHOU, c.material))
    assert ended.code is grpc.StatusCode.UNAVAILABLE


async def test_an_authority_in_the_roster_vouches_for_nobody(town: Make) -> None:
    a, b = await two(town)
    authority = vouched(SHAOXING, issue(SHAOXING, now=NOW), authority=True)
    only = x509.load_pem_x509_certificates(authority.cert_pem)[0].public_bytes(serialization.Encoding.PEM)
    authority = replace(authority, cert_pem=only)
    a.roster.put(Peer(code=SHAOXING, endpoint="", status=Status.ACTIVE, certificates=(authority.der,)))
    ended = await no_entry(a, b, material=vouched(HANGZHOU, authority))
    assert ended.code is grpc.StatusCode.UNAVAILABLE


async def test_a_listener_with_a_certificate_made_by_the_peers_key_is_not_spoken_to(town: Make) -> None:
    a, b = await two(town)
    b.write(vouched(NINGBO, b.material))
    with pytest.raises(Ended) as ended:
        await a.dial(b)
    assert ended.value.code is grpc.StatusCode.UNAVAILABLE


async def test_another_members_certificate_is_no_carrier_of_the_sender(town: Make) -> None:
    a, b = await two(town)
    c = town(SHAOXING)
    ended = await no_entry(a, b, material=c.material)
    assert (ended.code, ended.rule) == (grpc.StatusCode.PERMISSION_DENIED, "NOT_A_CARRIER")


async def test_a_carriers_certificate_may_speak_for_the_region(town: Make) -> None:
    a, b = await two(town)
    c = town(SHAOXING)
    a.roster.change(HANGZHOU, certificates=(a.material.der, c.material.der))
    stream = await a.dial(b, material=c.material)
    await b.region.until(lambda: b.region.opened_count[HANGZHOU] == 1)
    await stream.close()


async def test_a_carrier_that_answers_for_the_peer_is_spoken_to(town: Make) -> None:
    a, b = await two(town)
    c = town(SHAOXING)
    b.write(c.material)  # the hub's certificate at the region's address
    a.roster.change(NINGBO, certificates=(a.roster.peers[NINGBO].certificates[0], c.material.der))
    stream, theirs = await dial(a.region.peers()[NINGBO], a.region.hello(NINGBO), a.material)
    assert theirs.source == NINGBO
    await stream.close()


async def test_an_unknown_region(town: Make) -> None:
    a, b = await two(town)
    ended = await no_entry(a, b, hello=replace(a.region.hello(NINGBO), source=999999))
    assert (ended.code, ended.rule) == (grpc.StatusCode.PERMISSION_DENIED, "REGION_UNKNOWN")


async def test_a_withdrawn_region(town: Make) -> None:
    a, b = await two(town)
    a.roster.change(HANGZHOU, status=Status.WITHDRAWN)
    ended = await no_entry(a, b)
    assert (ended.code, ended.rule) == (grpc.StatusCode.PERMISSION_DENIED, "REGION_WITHDRAWN")


@pytest.mark.parametrize(
    "wrong",
    [{"federation": b"f" * 32}, {"environment": "production"}, {"destination": SHAOXING}],
    ids=lambda w: str([*w]),
)
async def test_another_federation_environment_or_recipient(town: Make, wrong: dict[str, object]) -> None:
    a, b = await two(town)
    ended = await no_entry(a, b, hello=replace(a.region.hello(NINGBO), **wrong))
    assert ended.code is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("theirs", "rule", "named"),
    [({"versions": (7, 8)}, "NO_COMMON_VERSION", "7,8"), ({"suites": ("sm2-sm3",)}, "NO_COMMON_SUITE", "sm2-sm3")],
)
async def test_nothing_in_common_is_said_by_name(town: Make, theirs: dict[str, object], rule: str, named: str) -> None:
    a, b = await two(town)
    ended = await no_entry(a, b, hello=replace(a.region.hello(NINGBO), **theirs))
    assert (ended.code, ended.rule) == (grpc.StatusCode.FAILED_PRECONDITION, rule)
    assert named in ended.details


@pytest.mark.parametrize(
    ("lie", "error"),
    [
        ({"federation": b"f" * 32}, Unauthentic),
        ({"environment": "production"}, Unauthentic),
        ({"source": SHAOXING}, Unauthentic),
        ({"destination": SHAOXING}, Unauthentic),
        ({"versions": (9,)}, NoOverlap),
        ({"suites": ("sm2-sm3",)}, NoOverlap),
        ({"federation": b"short"}, Malformed),
    ],
    ids=str,
)
async def test_the_dialling_side_is_as_strict(town: Make, lie: dict[str, object], error: type[Exception]) -> None:
    a, b = town(HANGZHOU), town(NINGBO)
    async with listener_that_says(b, replace(b.region.hello(HANGZHOU), **lie)):
        with pytest.raises(error):
            await a.dial(b)


@contextlib.asynccontextmanager
async def listener_that_says(town: Town, hello: Hello) -> AsyncIterator[None]:
    """The town's certificate, and one answer to everybody."""

    async def connect(_requests: object, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        await context.read()
        await context.write(messages.encode(hello))
        await context.read()

    server = grpc.aio.server()
    handlers = {"Connect": grpc.stream_stream_rpc_method_handler(connect)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    credentials = ServerCredentials(town.region, MaterialFiles(town.key_path, town.cert_path)).credentials()
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    town.roster.change(town.code, endpoint=f"127.0.0.1:{port}")
    yield
    await server.stop(None)


async def test_a_stream_that_does_not_begin_with_hello(town: Make) -> None:
    a, b = await two(town)
    stream = await bare(a, b)
    await stream.write(messages.encode(Gap(size=0)))
    ended = await refused(stream)
    assert (ended.code, ended.rule) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED")


async def test_bytes_that_are_no_message(town: Make) -> None:
    a, b = await two(town)
    stream = await a.dial(b)
    await stream.write(b"\xff\xff\xff")
    assert (await refused(stream)).code is grpc.StatusCode.INVALID_ARGUMENT
    assert not b.region.held[HANGZHOU]


async def test_a_message_over_the_limit_is_not_parsed(town: Make) -> None:
    a, b = await two(town)
    stream = await a.dial(b)
    await stream.write(bytes(limits.MESSAGE_BYTES + 1))
    ended = await refused(stream)
    assert (ended.code, ended.rule) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_LARGE")
    assert ended.retry_after_s > 0


async def test_a_message_far_over_the_limit_is_not_even_read(town: Make) -> None:
    a, b = await two(town)
    stream = await bare(a, b)
    await stream.write(bytes(64 << 20))
    assert (await refused(stream)).code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_too_many_frames_in_an_envelope(town: Make) -> None:
    a, b = await two(town)
    stream = await a.dial(b)
    many = tuple(b"" for _ in range(limits.FRAMES_PER_ENVELOPE + 1))
    await stream.write(messages.encode(Envelope(head=signed(codec.HEAD, b"0"), frames=many, bodies=many)))
    assert (await refused(stream)).code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not b.region.held[HANGZHOU]


LATER = "application/vnd.hutong.later.v1"


@pytest.mark.parametrize(
    ("unknown", "name"),
    [(b"\xaa\x06\x00", "field 101"), (messages.encode(signed(LATER, b"0")), f"control {LATER}")],
    ids=["a field of a later version", "a control of a later version"],
)
async def test_an_unknown_kind_of_message_is_refused_by_name_and_the_stream_goes_on(
    town: Make, unknown: bytes, name: str
) -> None:
    a, b = await two(town)
    stream = await a.dial(b)
    await stream.write(unknown)
    await stream.write(messages.encode(Envelope(head=signed(codec.HEAD, b"0"), frames=(b"x",), bodies=(b"y",))))
    await b.region.until(lambda: b.region.held[HANGZHOU] == [b"x"])
    said = [messages.decode(await stream.read() or b"") for _ in range(3)]
    assert Fault(what=f"unknown message: {name}") in said
    await stream.close()


@pytest.mark.parametrize(
    ("broken", "code", "rule"),
    [
        (Malformed("Frame.id must be 16 bytes"), grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED"),
        (Unauthentic("no key of region 330100 made this"), grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTIC"),
        (TooLarge("the log may grow to 9"), grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_LARGE"),
        (SkewedClock("signed at 12:00, read at 12:20"), grpc.StatusCode.FAILED_PRECONDITION, "SKEWED_CLOCK"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_rule_broken_ends_the_stream_by_name(
    town: Make, broken: PeerFault, code: grpc.StatusCode, rule: str
) -> None:
    a, b = await two(town)
    b.region.broken = broken
    stream = await a.dial(b)
    await stream.write(messages.encode(Envelope(head=signed(codec.HEAD, b"0"), frames=(b"x",), bodies=(b"y",))))
    ended = await refused(stream)
    assert (ended.code, ended.rule, ended.details) == (code, rule, str(broken))


async def test_a_listener_that_breaks_a_rule_is_told_which(town: Make) -> None:
    """The side that dialled has no status to send."""
    a, b = town(HANGZHOU), town(NINGBO)
    await a.start()
    a.region.send(NINGBO, b"x")
    b.region.broken = Malformed("Frame.id must be 16 bytes")
    await b.start(dialable=False)
    await a.region.until(lambda: a.region.faults != [])
    assert a.region.faults[0] == "Malformed: Frame.id must be 16 bytes"


async def test_a_database_that_cannot_commit_says_unavailable_and_tells_no_tale(town: Make) -> None:
    a, b = await two(town)
    b.region.broken = RuntimeError("disk full: /var/lib/region/secret.sqlite")
    stream = await a.dial(b)
    await stream.write(messages.encode(Envelope(head=signed(codec.HEAD, b"0"), frames=(b"x",), bodies=(b"y",))))
    ended = await refused(stream)
    assert (ended.code, ended.rule) == (grpc.StatusCode.UNAVAILABLE, "TRY_AGAIN")
    assert "disk" not in ended.details
    assert b.region.held[HANGZHOU] == []


async def test_what_could_not_be_committed_is_sent_again_and_taken_in(town: Make) -> None:
    a, b = town(HANGZHOU), town(NINGBO)
    b.region.broken = RuntimeError("disk full")
    await a.start()
    await b.start()
    a.region.send(NINGBO, b"x")
    await a.region.until(lambda: a.region.opened_count[NINGBO] >= 2)
    b.region.broken = None
    await a.region.until(lambda: a.region.receipted[NINGBO] == 1)
    assert b.region.held[HANGZHOU] == [b"x"]


async def test_the_certificate_of_a_standing_stream_leaves_the_roster(town: Make) -> None:
    a, b = await two(town)
    stream = await a.dial(b)
    a.roster.change(HANGZHOU, certificates=(issue(HANGZHOU, now=NOW).der,))
    ended = await refused(stream)
    assert (ended.code, ended.rule) == (grpc.StatusCode.PERMISSION_DENIED, "NOT_A_CARRIER")


def test_denial_is_a_kind_of_not_being_authentic() -> None:
    assert issubclass(Denied, Unauthentic)


async def bare(a: Town, b: Town) -> Dialled:
    """A stream on which nothing has been said, by a side that keeps no limits."""
    peer = a.region.peers()[b.code]
    options = [("grpc.ssl_target_name_override", dns_name(b.code)), ("grpc.max_send_message_length", -1)]
    return Dialled(grpc.aio.secure_channel(peer.endpoint, client_credentials(peer, a.material), options=options))
