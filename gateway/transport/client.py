"""Dialling one peer: a channel that only that peer can answer, a stream on it, and Hello both ways."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import grpc
import tenacity

from gateway.ports import Peer
from gateway.protocol import limits
from gateway.protocol.values import Hello, Signed
from gateway.transport import admission, messages, statuses
from gateway.transport.conversation import being_cancelled
from gateway.transport.errors import Ended
from gateway.transport.tls import Material, client_credentials, server_names
from gateway.v1 import service_pb2

SERVICE = service_pb2.DESCRIPTOR.services_by_name["GatewayService"].full_name
CONNECT, GET_ROSTER = f"/{SERVICE}/Connect", f"/{SERVICE}/GetRoster"
#: gRPC's own limit is above the protocol's, so that what is somewhat too large is refused with a reason.
MESSAGE_CEILING = 2 * limits.MESSAGE_BYTES
HELLO_WAIT_S = limits.HELLO_WAIT_S
ROSTER_WAIT_S = 30.0
#: Within one call: so many attempts, seconds apart. What lasts longer is the courier's to wait for.
ATTEMPTS = 3
KEEPALIVE: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
)

Sleep = Callable[[float], Awaitable[None]]


class Dialled:
    """The dialling side of a stream."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        # Bytes in and out: what does not parse is then judged here and not lost inside gRPC.
        connect: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(CONNECT)
        self._call = connect()

    async def read(self) -> bytes | None:
        """See :class:`~gateway.transport.conversation.Stream`."""
        try:
            data = await self._call.read()
        except grpc.aio.AioRpcError as e:
            raise statuses.ended(e.code(), e.details(), e.trailing_metadata()) from None
        except asyncio.CancelledError:
            if being_cancelled():
                raise
            raise Ended(grpc.StatusCode.CANCELLED, "this side has let go") from None
        return data if isinstance(data, bytes) else None

    async def write(self, data: bytes) -> None:
        """See :class:`~gateway.transport.conversation.Stream`."""
        try:
            await self._call.write(data)
        except grpc.aio.AioRpcError as e:
            raise statuses.ended(e.code(), e.details(), e.trailing_metadata()) from None
        except (asyncio.InvalidStateError, grpc.aio.UsageError):  # the call is over; it knows why
            code, details = await self._call.code(), await self._call.details()
            raise statuses.ended(code, details, await self._call.trailing_metadata()) from None
        except asyncio.CancelledError:
            if being_cancelled():
                raise
            raise Ended(grpc.StatusCode.CANCELLED, "this side has let go") from None

    async def close(self) -> None:
        """Let go of the stream and its connection."""
        self._call.cancel()
        await self._channel.close()


async def dial(
    peer: Peer, mine: Hello, material: Material, *, attempts: int = ATTEMPTS, sleep: Sleep = asyncio.sleep
) -> tuple[Dialled, Hello]:
    """A stream to `peer` on which both sides have said Hello, and the peer's Hello.

    Raises Ended when the peer cannot be reached within a few attempts or refuses, PeerFault when it is not who or what
    was expected, BadMaterial when the roster lists no usable certificate of it.
    """
    credentials = client_credentials(peer, material)
    names = server_names(peer)
    retrying = tenacity.AsyncRetrying(
        stop=tenacity.stop_after_attempt(max(attempts, len(names))),
        wait=tenacity.wait_exponential(multiplier=0.2, max=2.0),
        retry=tenacity.retry_if_exception(_is_passing),
        sleep=sleep,
        reraise=True,
    )
    async for attempt in retrying:
        with attempt:
            name = names[(attempt.retry_state.attempt_number - 1) % len(names)] if names else ""
            return await _dial_once(_channel(peer, credentials, name, MESSAGE_CEILING), mine)
    raise AssertionError("tenacity ends by returning or raising")


def _is_passing(error: BaseException) -> bool:
    """Whether it may be over in a second: the network, and nothing the peer has said."""
    return isinstance(error, Ended) and error.code is grpc.StatusCode.UNAVAILABLE and not error.rule


async def _dial_once(channel: grpc.aio.Channel, mine: Hello) -> tuple[Dialled, Hello]:
    stream = Dialled(channel)
    try:
        async with asyncio.timeout(HELLO_WAIT_S):
            await stream.write(messages.encode(mine))
            data = await stream.read()
        if data is None:
            raise Ended(grpc.StatusCode.UNAVAILABLE, "the peer ended the stream before Hello")
        theirs = admission.first_words(messages.decode(data))
        admission.agree(mine, theirs)
    except TimeoutError:
        await stream.close()
        raise Ended(grpc.StatusCode.DEADLINE_EXCEEDED, f"no Hello within {HELLO_WAIT_S:g} s") from None
    except BaseException:
        await stream.close()
        raise
    return stream, theirs


def _channel(peer: Peer, credentials: grpc.ChannelCredentials, name: str, receive: int) -> grpc.aio.Channel:
    options: list[tuple[str, int | str]] = [
        *KEEPALIVE,
        ("grpc.max_receive_message_length", receive),
        ("grpc.max_send_message_length", MESSAGE_CEILING),
        ("grpc.enable_retries", 0),
        # A fresh connection for each dial: no back-off of gRPC's own besides ours, no stale certificate.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if name:
        options.append(("grpc.ssl_target_name_override", name))
    return grpc.aio.secure_channel(peer.endpoint, credentials, options=options)


async def fetch_rosters(peer: Peer, material: Material, have: int) -> tuple[Sequence[Signed], bool]:
    """One page of the signed rosters after `have` as `peer` hands them out, unverified. Raises as :func:`dial`."""
    names = server_names(peer)
    channel = _channel(peer, client_credentials(peer, material), names[0] if names else "", messages.ROSTER_PAGE_BYTES)
    get_roster: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(GET_ROSTER)
    try:
        data = await get_roster(messages.encode_roster_request(have), timeout=ROSTER_WAIT_S)
    except grpc.aio.AioRpcError as e:
        raise statuses.ended(e.code(), e.details(), e.trailing_metadata()) from None
    finally:
        await channel.close()
    return messages.decode_roster_page(data)
