"""What the two yardsticks send: one 283-byte protobuf message per transfer, and the signed things around it.

The messages are declared here, not in ``proto/``, so that a change to the product's wire cannot move a yardstick.
"""

from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_BYTES = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
_STRING = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
_NUMBER = descriptor_pb2.FieldDescriptorProto.TYPE_UINT64

_MESSAGES: dict[str, dict[str, int]] = {
    "Transfer": {
        "id": _BYTES,
        "seen": _NUMBER,
        "amount": _NUMBER,
        "category": _STRING,
        "payer": _STRING,
        "payee": _STRING,
        "commitment": _BYTES,
        "salt": _BYTES,
        "redo": _BYTES,
    },
    "Head": {"first": _NUMBER, "size": _NUMBER, "previous": _BYTES, "root": _BYTES},
    "Envelope": {"head": _BYTES, "signature": _BYTES, "frames": _BYTES},
    "Receipt": {"size": _NUMBER, "root": _BYTES, "signature": _BYTES},
    "Call": {"frame": _BYTES, "signature": _BYTES},
    "Answer": {"id": _BYTES, "accepted": _NUMBER, "signature": _BYTES},
}
_REPEATED = {("Envelope", "frames")}
_REDO_BYTES = 144


@cache
def message(name: str) -> Any:
    """The protobuf class called `name`; built once, and as fast as a generated one."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"yardstick.{name}"))


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="yardstick.proto", package="yardstick", syntax="proto3")
    for name, fields in _MESSAGES.items():
        declared = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), 1):
            many = (name, field) in _REPEATED
            label = (
                descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
                if many
                else descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
            )
            declared.field.add(name=field, number=number, type=kind, label=label)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def address(region: str, account: int) -> str:
    """The receiving address of an account: 24 characters."""
    return f"{region}-{account:017d}"


def filler(account: int) -> dict[str, bytes]:
    """The fields that neither side reads, of the size a real message needs: commitment, salt, redo record."""
    seed = sha256(b"filler %d" % account).digest()
    return {"commitment": seed, "salt": seed[:16], "redo": (seed * 5)[:_REDO_BYTES]}


def batch_root(frames: Iterable[bytes]) -> bytes:
    """Merkle root over one batch; an odd node moves up alone."""
    digest = sha256
    row = [digest(b"\x00" + frame).digest() for frame in frames]
    while len(row) > 1:
        odd = row[-1:] if len(row) & 1 else []
        pairs = iter(row)
        row = [digest(b"\x01" + a + b).digest() for a, b in zip(pairs, pairs, strict=False)] + odd
    return row[0]
