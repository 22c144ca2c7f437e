"""The gRPC server of a region: streams, rosters, health and reflection, all behind mutual TLS."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from gateway.ports import Region
from gateway.protocol import limits
from gateway.protocol.buckets import What
from gateway.protocol.errors import PeerFault
from gateway.transport import admission, messages, statuses
from gateway.transport.client import KEEPALIVE, MESSAGE_CEILING, SERVICE
from gateway.transport.conversation import being_cancelled
from gateway.transport.errors import Denied, Ended, Throttled, describe
from gateway.transport.probes import Probes
from gateway.transport.tls import MaterialFiles, ServerCredentials

#: Per connection: a peer's stream, one that replaces it, rosters and probes.
STREAMS_PER_CONNECTION = 16
CALLS_AT_ONCE = 10_000
#: Pages of rosters being made for one certificate at once.
ROSTER_CALLS_AT_ONCE = 2
#: Who is turned away waits for its answer so long, in seconds, and holds one of its places meanwhile: who asks again at
#: once does not cost a handshake each time.
TURNED_AWAY_S = 2.0
#: Calls of the other services (health, reflection) under one certificate at once: a few probes.
PROBES_AT_ONCE = 8

_log = structlog.get_logger(__name__)

Context = grpc.aio.ServicerContext[bytes, bytes]


class Received:
    """The answering side of a stream."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def read(self) -> bytes | None:
        """See :class:`~gateway.transport.conversation.Stream`."""
        try:
            data: object = await self._context.read()
        except (grpc.aio.BaseError, asyncio.CancelledError) as e:
            raise _left(e) from e
        return data if isinstance(data, bytes) else None

    async def write(self, data: bytes) -> None:
        """See :class:`~gateway.transport.conversation.Stream`."""
        try:
            await self._context.write(data)
        except (grpc.aio.BaseError, asyncio.InvalidStateError, asyncio.CancelledError) as e:
            raise _left(e) from e


def _left(error: BaseException) -> BaseException:
    if isinstance(error, asyncio.CancelledError) and being_cancelled():
        return error
    return Ended(grpc.StatusCode.CANCELLED, "the peer has left")


Receive = Callable[[Received, bytes], Awaitable[None]]


class Server:
    """Listens, checks who calls, and ends calls with a status that says why."""

    def __init__(
        self, region: Region, material: MaterialFiles, listen: str, receive: Receive, now_ms: Callable[[], int]
    ) -> None:
        """`receive` conducts one stream; it gets the caller's certificate (DER) and raises what ended the stream."""
        self._region, self._receive, self._now_ms = region, receive, now_ms
        self._listen, self._credentials = listen, ServerCredentials(region, material)
        self._health = health.aio.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self._under_way: Counter[tuple[str, bytes]] = Counter()  # per kind of call and certificate
        self.port = 0

    async def start(self) -> None:
        """Listen. Raises OSError-like RuntimeError of gRPC when the address is taken."""
        server = grpc.aio.server(
            options=[
                *KEEPALIVE,
                ("grpc.max_receive_message_length", MESSAGE_CEILING),
                ("grpc.max_send_message_length", messages.ROSTER_PAGE_BYTES),
                ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                # A connection that does not get as far as TLS, or on which there is no call, is closed.
                ("grpc.server_handshake_timeout_ms", int(limits.HELLO_WAIT_S * 1000)),
                ("grpc.max_connection_idle_ms", int(limits.WRITE_WAIT_S * 1000)),
                ("grpc.so_reuseport", 0),
            ],
            maximum_concurrent_rpcs=CALLS_AT_ONCE,
            interceptors=[Probes(self._probe, self._now_ms)],
        )
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            "Connect": grpc.stream_stream_rpc_method_handler(self._connect),
            "GetRoster": grpc.unary_unary_rpc_method_handler(self._get_roster),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        self.port = server.add_secure_port(self._listen, self._credentials.credentials())
        await server.start()
        self._server = server
        for service in ("", SERVICE):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace_s: float) -> None:
        """Accept nothing more at once; calls under way get `grace_s` to end."""
        if self._server is not None:
            await self._health.enter_graceful_shutdown()
            await self._server.stop(grace_s)

    async def _connect(self, _requests: object, context: Context) -> None:
        await self._conduct(context, self._stream(Received(context), _certificate(context)))

    async def _stream(self, stream: Received, certificate: bytes) -> None:
        carried = admission.carried_by(self._region.peers(), certificate)
        with self._place(What.STREAMS, certificate, carried, limits.STREAMS_PER_REGION * max(len(carried), 1)):
            try:
                await self._receive(stream, certificate)
            except Throttled:
                await asyncio.sleep(TURNED_AWAY_S)
                raise

    def _probe(self, context: Context) -> contextlib.AbstractContextManager[None]:
        certificate = _certificate(context)
        carried = admission.carried_by(self._region.peers(), certificate)
        return self._place(What.STREAMS, certificate, carried, PROBES_AT_ONCE, "probes")

    @contextlib.contextmanager
    def _place(
        self, what: What, certificate: bytes, carried: Sequence[int], places: int, call: str = ""
    ) -> Iterator[None]:
        """Hold one of so many places. Raises Throttled when all are taken."""
        key = call or str(what), certificate
        if self._under_way[key] >= places:
            for code in carried[:1]:
                self._region.allowance(code).charge(what)
            raise Throttled(what, statuses.COME_BACK_S)
        self._under_way[key] += 1
        try:
            yield
        finally:
            self._under_way[key] -= 1
            if not self._under_way[key]:
                del self._under_way[key]

    async def _conduct(self, context: Context, work: Awaitable[Any]) -> Any:
        """The result of a call, or its end with a status."""
        try:
            return await work
        except Exception as e:
            if isinstance(e, PeerFault):
                for code in admission.carried_by(self._region.peers(), _certificate(context))[:1]:
                    self._region.allowance(code).charge(What.MALFORMED)
            if not isinstance(e, Throttled):  # of these one line is logged when they begin
                _log.info("call_refused", caller=context.peer(), error=describe(e))
            failure = e
        return await statuses.abort(context, failure, self._now_ms())

    async def _get_roster(self, request: bytes, context: Context) -> bytes:
        return bytes(await self._conduct(context, self._roster_page(request, _certificate(context))))

    async def _roster_page(self, request: bytes, certificate: bytes) -> bytes:
        carried = admission.carried_by(self._region.peers(), certificate)
        if not carried:
            raise Denied("NOT_A_MEMBER", "the certificate presented is of no member")
        with self._place(What.ROSTERS, certificate, carried, ROSTER_CALLS_AT_ONCE):
            wait_s = self._region.allowance(carried[0]).take(What.ROSTERS)
            if wait_s > 0:
                raise Throttled(What.ROSTERS, wait_s)
            rosters, more = await self._region.rosters_after(messages.decode_roster_request(request))
            return messages.encode_roster_page(rosters, more)


def _certificate(context: Context) -> bytes:
    """The certificate (DER) with which the caller authenticated the connection; empty if there is none."""
    for pem in context.auth_context().get("x509_pem_cert", ()):
        return ssl.PEM_cert_to_DER_cert(pem.decode())
    return b""
