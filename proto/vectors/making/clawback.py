"""Clawback: bodies, which blocks are asked for, what a transfer has left to give, and how an answer adds up."""

from __future__ import annotations

from typing import Any

from gateway.protocol import clawback, codec
from gateway.protocol.bodies import clawback as bodies
from gateway.protocol.clawback import Cause, Clawback, ClawedBack, Share, Take
from gateway.protocol.errors import PeerFault, Refused
from gateway.protocol.values import Kind, Provenance, Reason, Slice
from making.ground import HANGZHOU, NINGBO, draft, octets, plain, salted

FRAUD = "fake clean-up day"
_BAD, _GOOD = Provenance(HANGZHOU, 20260301, 2, FRAUD), Provenance(HANGZHOU, 20260105, 2, "blood donation")
#: What the transfer carried: 40 blocks of the activity, one block of two activities, 9 of another.
CARRIED = (Slice(40, 0, (_BAD,)), Slice(1, 0, (_BAD, _GOOD)), Slice(9, 0, (_GOOD,)))


def _asking(*shares: tuple[int, int], **changes: Any) -> Clawback:
    made = Clawback(
        octets("id of a clawed back transfer", 16), int(Cause.ACTIVITY), HANGZHOU, FRAUD, octets("root", 16),
        tuple(Share(*share) for share in shares),
    )  # fmt: skip
    return made._replace(**changes)


def _fields(body: Clawback) -> Any:
    fields = {**body._asdict(), "shares": [{"slice": s.slice, "blocks": str(s.blocks)} for s in body.shares]}
    return plain(fields)


def _bodies() -> list[dict[str, Any]]:
    found: list[tuple[str, Kind, bytes, Any]] = []
    for name, asked in {
        "one slice": _asking((0, 40)),
        "two slices, the largest numbers": _asking((0, 2**63 - 1), (63, 1)),
        "too late to reverse": _asking((0, 1), cause=int(Cause.REVERSAL), issuer=NINGBO, because="发错了人"),
    }.items():
        found.append((name, Kind.CLAWBACK, bodies.encode_clawback(asked, octets(f"redo {name}", 24)), _fields(asked)))
    for name, parts in {"all three parts": (30, 4, 6), "nothing is left": (0, 0, 40)}.items():
        answer = ClawedBack(*parts)
        body = bodies.encode_clawed_back(answer, octets(f"redo {name}", 24))
        fields = {part: str(value) for part, value in answer._asdict().items()}
        found.append((name, Kind.CLAWED_BACK, body, fields))
    made = []
    for name, kind, body, fields in found:
        message = draft(kind, f"clawback {name}", body)
        made.append({
            "name": name, "kind": int(kind), "salted": message.body.hex(),
            "commitment": codec.commitment(message.body).hex(), "fields": fields,
        })  # fmt: skip
    return made


def _refused_bodies() -> list[dict[str, Any]]:
    wrong = {
        "a transfer of 15 bytes": _asking((0, 1), transfer=bytes(15)),
        "no cause": _asking((0, 1), cause=0),
        "a cause from the future": _asking((0, 1), cause=4),
        "an issuer that is no region": _asking((0, 1), issuer=100),
        "a text of 65 characters": _asking((0, 1), because="c" * 65),
        "a zero character": _asking((0, 1), because="a\0b"),
        "a root of 15 bytes": _asking((0, 1), root=bytes(15)),
        "no slice": _asking(),
        "a slice twice": _asking((0, 1), (0, 2)),
        "slice 64": _asking((64, 1)),
        "no blocks": _asking((0, 0)),
        "2^63 blocks": _asking((0, 2**63)),
    }
    made = []
    for name, body in wrong.items():
        bytes_ = salted(name, bodies.encode_clawback(body, b""))
        try:
            bodies.decode_clawback(bytes_)
        except PeerFault:
            made.append({"name": name, "salted": bytes_.hex()})
            continue
        raise AssertionError(f"{name} was taken")
    return made


def _shares() -> list[dict[str, Any]]:
    cases = {
        "one lot, all of it": ([10], 3, [(30, 30)]),
        "the first of two lots, whole blocks": ([4, 6], 3, [(12, 12), (18, 0)]),
        "a block of two lots does not count": ([1, 1, 1], 3, [(4, 4), (5, 0)]),
        "a block of two lots of one activity counts": ([1, 1, 1], 3, [(4, 4), (5, 5)]),
        "a block between, whole blocks on both sides": ([3, 1, 2], 5, [(17, 17), (13, 0)]),
        "nothing of it": ([10], 1, [(10, 0)]),
        "less than a block": ([1], 100, [(99, 99), (1, 0)]),
        "a part of a lot, its beginning": ([10], 1, [(10, 4)]),
        "three lots in one block": ([1], 6, [(2, 2), (2, 2), (2, 2)]),
    }
    made = []
    for name, (slices, rate_q, takes) in cases.items():
        found = clawback.shares_of(slices, rate_q, [Take(*take) for take in takes])
        made.append({
            "name": name, "slices": slices, "rate_q": rate_q,
            "takes": [{"units": units, "asked": asked} for units, asked in takes],
            "shares": [{"slice": s.slice, "blocks": s.blocks} for s in found],
        })  # fmt: skip
    return made


def _requests() -> dict[str, Any]:
    """Requests about one transfer, one after another, and what each is answered."""
    asked = [
        ("a slice of another activity", _asking((2, 1))),
        ("a slice there is not", _asking((3, 1))),
        ("more than the slice has", _asking((0, 41))),
        ("more than the slice has, of another activity", _asking((2, 10))),
        ("the activity of another region", _asking((0, 1), issuer=NINGBO)),
        ("a part", _asking((0, 25))),
        ("more than is left", _asking((0, 16))),
        ("what is left, and the block of two", _asking((0, 15), (1, 1))),
        ("the same again", _asking((0, 15), (1, 1))),
        ("for a reversal that is too late: whatever it came from", _asking((2, 9), cause=int(Cause.REVERSAL))),
    ]
    given: list[tuple[Share, ...]] = []
    made = []
    for name, body in asked:
        answer: Reason | None = None
        try:
            clawback.check_shares(body, CARRIED, clawback.summed(given))
            given.append(body.shares)
        except Refused as refusal:
            answer = refusal.reason
        made.append({"name": name, "asked": _fields(body), "answer": answer.name if answer else "taken up"})
    return {"carried": plain(list(CARRIED)), "requests": made}


def _answers() -> list[dict[str, Any]]:
    """Blocks asked for at rate p; units there; units that came back from further on: units taken, and the answer."""
    made = []
    for blocks, p, there, came_back in [
        (40, 1, 40, 0), (40, 1, 12, 20), (40, 3, 100, 0), (40, 3, 7, 113), (40, 3, 2, 2), (1, 7, 6, 1), (5, 2, 100, 0),
        (2**40, 2**20, 2**61, 0),
    ]:  # fmt: skip
        taken = clawback.to_take(there, 0, blocks * p, p)
        came = min(came_back, blocks * p - taken)
        answer = clawback.result(blocks, p, taken, came)
        clawback.check_answer(blocks, answer)
        numbers = {"blocks": blocks, "rate_p": p, "there": there, "came_back": came, "taken": taken, **answer._asdict()}
        made.append({name: str(number) for name, number in numbers.items()})
    return made


def clawbacks() -> dict[str, Any]:
    """The file."""
    return {
        "about": (
            "SPEC 18. The table; bodies; which blocks a hold's lots make; what a transfer has left, one request after "
            "another; how much is taken of what is there, and what is answered."
        ),
        "moves": [
            {"state": state.name.lower(), "event": event.name.lower(), "then": then.name.lower()}
            for (state, event), then in clawback.TRANSITIONS.items()
        ],
        "bodies": _bodies(),
        "refused_bodies": _refused_bodies(),
        "shares": _shares(),
        "transfer": _requests(),
        "answers": _answers(),
    }
