"""Calls of services that are not the gateway's own, health and reflection: a few at a time under one certificate."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import grpc

from gateway.transport import statuses
from gateway.transport.client import SERVICE
from gateway.transport.errors import Throttled

Context = grpc.aio.ServicerContext[bytes, bytes]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Probes(grpc.aio.ServerInterceptor):
    """Bounds the calls of services that are not the gateway's: they would else take the places of streams."""

    def __init__(
        self, place: Callable[[Context], contextlib.AbstractContextManager[None]], now_ms: Callable[[], int]
    ) -> None:
        self._place, self._now_ms = place, now_ms

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """See :class:`grpc.aio.ServerInterceptor`."""
        handler = await continuation(handler_call_details)
        method = str(handler_call_details.method)
        if handler is None or method.startswith(f"/{SERVICE}/"):
            return handler
        kinds: dict[str, Any] = {
            "unary_unary": grpc.unary_unary_rpc_method_handler,
            "unary_stream": grpc.unary_stream_rpc_method_handler,
            "stream_stream": grpc.stream_stream_rpc_method_handler,
        }
        for kind, make in kinds.items():
            if (work := getattr(handler, kind)) is not None:
                bounded = self._streaming(work) if inspect.isasyncgenfunction(work) else self._plain(work)
                made: Handler = make(bounded, handler.request_deserializer, handler.response_serializer)
                return made
        return handler

    def _plain(self, work: Callable[[Any, Context], Awaitable[Any]]) -> Callable[[Any, Context], Awaitable[Any]]:
        async def bounded(request: Any, context: Context) -> Any:
            try:
                with self._place(context):
                    return await work(request, context)
            except Throttled as e:
                return await statuses.abort(context, e, self._now_ms())

        return bounded

    def _streaming(self, work: Callable[[Any, Context], AsyncIterator[Any]]) -> Callable[[Any, Context], Any]:
        async def bounded(requests: Any, context: Context) -> AsyncIterator[Any]:
            try:
                with self._place(context):
                    async for answer in work(requests, context):
                        yield answer
            except Throttled as e:
                await statuses.abort(context, e, self._now_ms())

        return bounded
