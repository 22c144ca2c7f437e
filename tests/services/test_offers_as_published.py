"""The published verdicts on offers, given by a whole region to a stranger that knows only the wire."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from gateway.protocol import codec
from gateway.protocol.transfer import Terms
from gateway.protocol.values import Draft, Kind, Reason
from node.ledger.accounts import AccountState
from node.services.account import OpenAccount, SetAccountState
from node.store import schema
from tests.federation import TestRegion, found_federation
from tests.services.neighbour import Neighbour

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "proto" / "vectors" / "offers.json").read_text("utf-8")
)
SOURCE, DESTINATION = VECTORS["source"], VECTORS["destination"]


def published_terms() -> dict[tuple[int, int, str], Terms]:
    given = VECTORS["terms"]
    numbers = {name: int(given[name]) for name in ("rate_p", "rate_q", "review_from", "version", "min_evidence")}
    terms = Terms(
        source=SOURCE,
        destination=DESTINATION,
        category=given["category"],
        becomes=given["becomes"],
        purposes=frozenset(given["purposes"]),
        grace_days=given["grace_days"],
        **numbers,
    )
    return {(SOURCE, DESTINATION, given["category"]): terms}


def published_region() -> TestRegion:
    """A region with the accounts and addresses of the vectors."""
    region = TestRegion(DESTINATION, found_federation([SOURCE, DESTINATION, 330300]), published_terms())
    assert region.clock() == int(VECTORS["clock_ms"])
    states = ["open", "frozen", "closed"]
    for state in states:
        region.one(OpenAccount(name=state))
    region.one(SetAccountState(name="frozen", state=AccountState.FROZEN))
    region.one(SetAccountState(name="closed", state=AccountState.CLOSED))
    with region.store.write() as conn:
        numbers = {
            name: conn.scalar(select(schema.account.c.no).where(schema.account.c.name == name)) for name in states
        }
        for given in VECTORS["addresses"]:
            row = {
                "alias": bytes.fromhex(given["alias"]),
                "account": numbers[given["account"]],
                "sender": given["sender"],
                "purpose": given["purpose"],
                "expires_ms": int(given["expires_ms"]),
                "created_ms": 0,
            }
            conn.execute(insert(schema.address), [row])
    return region


def test_every_published_verdict_is_what_a_region_says() -> None:
    neighbour = Neighbour(SOURCE, published_region())
    said = {}
    for case in VECTORS["offers"]:
        header = case["header"]
        message = Draft(
            case["kind"],
            False,
            bytes.fromhex(case["id"]),
            bytes.fromhex(case["salted"]),
            header["category"],
            int(header["amount"]),
            header["becomes"],
            int(header["arriving"]),
        )
        answers = neighbour.say(message)
        assert all(frame.id == message.id and frame.reply for frame, _ in answers)
        said[case["name"]] = [(Kind(f.kind).name, reason_of(f.kind, body)) for f, body in answers]
    wanted = {"accepted": [("ACCEPT", None)], "in_review": []}
    assert said == {
        case["name"]: wanted.get(case["verdict"], [("REFUSE", case["reason"])]) for case in VECTORS["offers"]
    }


def reason_of(kind: int, body: bytes) -> str | None:
    return Reason(codec.decode_refuse(body)).name if kind == Kind.REFUSE else None
