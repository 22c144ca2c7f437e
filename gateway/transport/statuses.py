"""Between errors and gRPC statuses with google.rpc details, in both directions.

A status speaks of transport only and ends a stream. It never carries a traceback or the text of a foreign exception.
"""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

from gateway.protocol import limits
from gateway.protocol.errors import Malformed, OwnFault, PeerFault, SkewedClock, TooLarge, Unauthentic
from gateway.transport.errors import Denied, Ended, NoOverlap, Outdone, Stopping, Throttled

DOMAIN = "hutong"
DETAILS_CHARACTERS = 512
#: When to come back after a status that only asks for patience, in seconds.
COME_BACK_S = limits.HANDSHAKE_RETRY_S


def status_of(error: BaseException, now_ms: int) -> status_pb2.Status:
    """The status that tells the peer of `error`. Errors that are nobody's fault there say UNAVAILABLE and no more."""
    code, rule, more = _judge(error, now_ms)
    what = (
        str(error)
        if isinstance(error, PeerFault | Outdone | Stopping | Throttled)
        else "the region cannot take this in now"
    )
    details = [_packed(error_details_pb2.ErrorInfo(reason=rule, domain=DOMAIN, metadata=more))]
    if isinstance(error, Malformed):
        violation = error_details_pb2.BadRequest.FieldViolation(field="message", description=what[:DETAILS_CHARACTERS])
        details.append(_packed(error_details_pb2.BadRequest(field_violations=[violation])))
    wait_s = limits.RECEIPT_WAIT_S if isinstance(error, TooLarge) else COME_BACK_S
    wait_s = max(error.retry_after_s, 1.0) if isinstance(error, Throttled) else wait_s
    if code in (code_pb2.RESOURCE_EXHAUSTED, code_pb2.UNAVAILABLE):
        delay = Duration()
        delay.FromMilliseconds(int(wait_s * 1000))
        details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    return status_pb2.Status(code=code, message=what[:DETAILS_CHARACTERS], details=details)


def _judge(error: BaseException, now_ms: int) -> tuple[int, str, dict[str, str]]:
    """Code, name of the rule, and what else to say."""
    match error:
        case Denied():
            return code_pb2.PERMISSION_DENIED, error.rule, {}
        case Unauthentic():
            return code_pb2.UNAUTHENTICATED, "UNAUTHENTIC", {}
        case NoOverlap():
            return code_pb2.FAILED_PRECONDITION, error.rule, dict(error.sides)
        case SkewedClock():  # the error's own text names the time that was signed
            return code_pb2.FAILED_PRECONDITION, "SKEWED_CLOCK", {"receiver_clock_ms": str(now_ms)}
        case TooLarge():
            return code_pb2.RESOURCE_EXHAUSTED, "TOO_LARGE", {}
        case PeerFault():
            return code_pb2.INVALID_ARGUMENT, "MALFORMED", {}
        case Throttled():
            return code_pb2.RESOURCE_EXHAUSTED, "THROTTLED", {"what": error.what}
        case Outdone():
            return code_pb2.ABORTED, "OTHER_STREAM_STAYS", {}
        case Stopping():
            return code_pb2.UNAVAILABLE, "STOPPING", {}
        case OwnFault():
            return code_pb2.UNAVAILABLE, "OUT_OF_SERVICE", {}
        case _:
            return code_pb2.UNAVAILABLE, "TRY_AGAIN", {}


def _packed(detail: Any) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


async def abort(context: grpc.aio.ServicerContext[bytes, bytes], error: BaseException, now_ms: int) -> None:
    """End a call with the status of `error`; never returns normally."""
    status = rpc_status.to_status(status_of(error, now_ms))
    await context.abort(status.code, status.details, status.trailing_metadata)


def ended(code: grpc.StatusCode, details: str | None, trailing_metadata: Any) -> Ended:
    """What a peer's status says; details that do not parse are as good as none."""
    rule, retry_after_s = "", 0.0
    for key, value in trailing_metadata or ():
        if key != rpc_status.GRPC_DETAILS_METADATA_KEY:
            continue
        try:
            for detail in status_pb2.Status.FromString(value).details:
                info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
                if detail.Unpack(info):
                    rule = info.reason[:64]
                elif detail.Unpack(retry):
                    retry_after_s = min(max(retry.retry_delay.ToMilliseconds() / 1000, 0.0), limits.BACK_OFF_LAST_S)
        except (DecodeError, ValueError):
            continue
    return Ended(code, (details or "")[:DETAILS_CHARACTERS], rule, retry_after_s)
