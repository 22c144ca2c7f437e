"""The gRPC server of a region: streams, rosters, health and reflection, all behind mutual TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from gateway.ports import Region
from gateway.transport import admission, messages, statuses
from gateway.transport.client import KEEPALIVE, MESSAGE_CEILING, SERVICE
from gateway.transport.conversation import being_cancelled
from gateway.transport.errors import Denied, Ended, describe
from gateway.transport.tls import MaterialFiles, ServerCredentials

#: Per connection: a peer's stream, one that replaces it, rosters and probes.
STREAMS_PER_CONNECTION = 16
CALLS_AT_ONCE = 10_000

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
                ("grpc.so_reuseport", 0),
            ],
            maximum_concurrent_rpcs=CALLS_AT_ONCE,
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
        await self._conduct(context, self._receive(Received(context), _certificate(context)))

    async def _conduct(self, context: Context, work: Awaitable[Any]) -> Any:
        """The result of a call, or its end with a status."""
        try:
            return await work
        except Exception as e:
            _log.info("call_refused", caller=context.peer(), error=describe(e))
            failure = e
        return await statuses.abort(context, failure, self._now_ms())

    async def _get_roster(self, request: bytes, context: Context) -> bytes:
        return bytes(await self._conduct(context, self._roster_page(request, _certificate(context))))

    async def _roster_page(self, request: bytes, certificate: bytes) -> bytes:
        if not admission.is_member(self._region.peers(), certificate):
            raise Denied("NOT_A_MEMBER", "the certificate presented is of no member")
        rosters, more = await self._region.rosters_after(messages.decode_roster_request(request))
        return messages.encode_roster_page(rosters, more)


def _certificate(context: Context) -> bytes:
    """The certificate (DER) with which the caller authenticated the connection; empty if there is none."""
    for pem in context.auth_context().get("x509_pem_cert", ()):
        return ssl.PEM_cert_to_DER_cert(pem.decode())
    return b""
