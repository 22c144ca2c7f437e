"""Commands over HTTP: one as JSON, or up to 1,000 as lines of JSON, which the writer then decides together.

The path of the lines is the hot one: a line costs one decode and one value in, one value and one encode out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, NoReturn, TypeVar

import msgspec
from aiohttp import web

from gateway.protocol.identity import bytes_mention_number
from gateway.protocol.limits import AMOUNT_MAX
from node.web import limits
from node.web.problems import Wrong, undecodable, wrong
from node.web.routes import NDJSON, Call, Route, read_all, read_body, respond

B = TypeVar("B", bound=msgspec.Struct)  # what callers send
C = TypeVar("C")  # the command it becomes
A = TypeVar("A")  # what the writer answers

HEADER = "Idempotency-Key"
REPLAYED = "Hutong-Replayed"
"""`true`: the caller was told before a restore that this is done. Needs the scope `recovery`."""

_encode_lines = msgspec.json.Encoder().encode_lines


@dataclass(frozen=True, kw_only=True)
class Deed(Generic[B, C, A]):
    """How one kind of command is read and answered."""

    body: type[B]
    make: Callable[[B, str], C]  # of a body and the client's name; raises Wrong
    answer: type[A]
    show: Callable[[A], msgspec.Struct]
    show_line: Callable[[int, A], msgspec.Struct]
    line: type[msgspec.Struct]
    replayable: bool = False  # the command has a field `replayed`
    decode: Callable[[bytes], B] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "decode", msgspec.json.Decoder(self.body).decode)

    @property
    def keyed(self) -> bool:
        """Whether the command needs a key of the caller's."""
        return "key" in self.body.__struct_fields__


def command_route(deed: Deed[Any, Any, Any], *, path: str, **more: Any) -> Route:
    """The route at which a command is given, one or many."""
    status: int = more.get("status", 201)

    async def handler(call: Call) -> web.Response:
        if call.request.content_type == NDJSON:
            return await _bulk(call, deed, path)
        body = await read_body(call.request, deed.body)
        command = deed.make(with_key(call, body) if deed.keyed else body, call.token.name)
        (command,) = as_replayed(call, deed, [command])
        return respond(deed.show(await call.desk.one(command)), status)

    return Route(method="POST", path=path, handler=handler, deed=deed, **{**more, "status": status})


def with_key(call: Call, body: Any) -> Any:
    """The body with the key of the header, where there is one. Raises Wrong where the two differ."""
    key = call.request.headers.get(HEADER)
    if key is None:
        return body
    if body.key and body.key != key:
        raise Wrong("bad_field", f"the header {HEADER} and the field `key` differ", field="key")
    try:
        return msgspec.convert({**msgspec.to_builtins(body), "key": key}, type(body))
    except msgspec.ValidationError as error:
        raise Wrong("bad_field", f"{HEADER}: {error}", field="key") from None


def as_replayed(call: Call, deed: Deed[Any, C, Any], commands: list[C]) -> list[C]:
    """The commands as what the caller was told is done, where it says so. Raises Wrong."""
    said = call.request.headers.get(REPLAYED)
    if said is None or not deed.replayable:
        return commands
    if said != "true":
        raise Wrong("bad_field", f"{REPLAYED}: true, or nothing", field=REPLAYED)
    if not call.token.allows("recovery"):
        raise Wrong("scope_missing", f"{REPLAYED} needs the scope `recovery`")
    return [replace(command, replayed=True) for command in commands]  # type: ignore[type-var]


def missing_key() -> NoReturn:
    """A command needs a key."""
    raise Wrong("key_missing", field="key")


def units(amount: int | str) -> int:
    """An amount as a number. Raises Wrong(amount_out_of_range)."""
    number = amount if amount.__class__ is int else int(amount)
    if 0 < number <= AMOUNT_MAX:
        return number
    raise Wrong("amount_out_of_range", "an amount is a whole number from 1 to 2^63-1", field="amount")


# -- in bulk ----------------------------------------------------------------------------------------------------------


async def _bulk(call: Call, deed: Deed[Any, Any, Any], where: str) -> web.Response:
    if HEADER in call.request.headers:
        raise Wrong("bad_field", f"in bulk every line has its own `key`, and {HEADER} is not used", field="key")
    data = await read_all(call.request)
    lines, suspect = split(data), bytes_mention_number(data)
    commands, failed = prepare(lines, deed, call.token.name, where, suspect=suspect)
    commands = as_replayed(call, deed, commands)
    answers = await call.desk.submit(commands) if commands else []
    return web.Response(body=_encode_lines(lay_out(answers, failed, deed, where)), content_type=NDJSON)


def split(data: bytes) -> list[bytes]:
    """The lines of a body; the last may or may not end. Raises Wrong for none, or too many."""
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    if not lines:
        raise Wrong("bad_field", "there are no lines: send one JSON object a line")
    if len(lines) > limits.LINES_PER_CALL:
        raise Wrong("too_many_lines", f"{len(lines)} lines")
    return lines


def prepare(
    lines: Sequence[bytes], deed: Deed[B, C, Any], client: str, where: str, *, suspect: bool = False
) -> tuple[list[C], dict[int, Wrong]]:
    """The commands of the lines that are well, and what is wrong with the others, by number from 1.

    `suspect`: there is an identity number somewhere.
    """
    decode, make = deed.decode, deed.make
    if not suspect and max(map(len, lines)) <= limits.LINE_BYTES:
        try:
            return [make(decode(line), client) for line in lines], {}
        except Exception:  # noqa: S110 -- looked at below, line by line
            pass
    commands, failed = [], {}
    for number, line in enumerate(lines, 1):
        try:
            commands.append(_read_line(line, deed, client))
        except Exception as error:
            failed[number] = wrong(error, where)
    return commands, failed


def _read_line(line: bytes, deed: Deed[B, C, Any], client: str) -> C:
    if len(line) > limits.LINE_BYTES:
        raise Wrong("too_large", f"a line has at most {limits.LINE_BYTES} bytes")
    if bytes_mention_number(line):
        raise Wrong("identity_number")
    try:
        body = deed.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise undecodable(error, line, one_line=True) from None
    return deed.make(body, client)


def lay_out(
    answers: Sequence[Any], failed: dict[int, Wrong], deed: Deed[Any, Any, A], where: str
) -> list[msgspec.Struct]:
    """The answer's lines, in the order of the request's."""
    kind, show = deed.answer, deed.show_line
    if not failed:
        return [
            show(number, answer) if answer.__class__ is kind else wrong(answer, where).on_line(number)
            for number, answer in enumerate(answers, 1)
        ]
    rest = iter(answers)
    out: list[msgspec.Struct] = []
    for number in range(1, len(answers) + len(failed) + 1):
        if number in failed:
            out.append(failed[number].on_line(number))
        else:
            answer = next(rest)
            fits = answer.__class__ is kind
            out.append(show(number, answer) if fits else wrong(answer, where).on_line(number))
    return out
