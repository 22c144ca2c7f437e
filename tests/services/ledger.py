"""Everyday work of a region for tests, short to write, and what its tables hold."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

from sqlalchemy import select

from gateway.protocol import channel as channels
from gateway.protocol import codec, merkle
from gateway.protocol.values import Draft, Envelope, Head, Kind, Offer, Provenance, Purpose, Slice
from node.ledger.accounts import AccountState
from node.services.account import OpenAccount, SetAccountState
from node.services.address import NewAddress
from node.services.award import Award
from node.services.transfer import Order, Placed
from node.store import schema
from tests.federation import TestRegion

LEDGER = ("account", "balance", "posting", "lot", "lot_entry", "transfer", "outcome", "event", "outbox", "reversal")
"""The tables in which something moves when points do."""

_keys = count()

Tables = dict[str, list[tuple[Any, ...]]]


def rows(region: TestRegion, *names: str) -> Tables:
    """The tables of a region as they are; without names all but the one that counts transactions."""
    with region.store.read() as conn:
        everything = [table for table in schema.metadata.sorted_tables if table is not schema.history]
        tables = [schema.metadata.tables[name] for name in names] or everything
        return {table.name: sorted(map(tuple, conn.execute(select(table))), key=repr) for table in tables}


def ledger(region: TestRegion) -> Tables:
    """Everything that could have moved."""
    return rows(region, *LEDGER)


def column(region: TestRegion, table: str, name: str) -> list[Any]:
    """One column of a table, in the order of the numbers."""
    found = schema.metadata.tables[table]
    with region.store.read() as conn:
        return list(conn.scalars(select(found.c[name]).order_by(found.c.no)))


def points(region: TestRegion, name: str, category: str = "moral") -> tuple[int, int, int]:
    """What an account has in a category: available, held, provisional."""
    a, b, c = schema.account, schema.balance, schema.category
    with region.store.read() as conn:
        row = conn.execute(
            select(b)
            .join(a, a.c.no == b.c.account)
            .join(c, c.c.no == b.c.category)
            .where(a.c.name == name, c.c.code == category)
        ).first()
    if row is None:
        return (0, 0, 0)
    available = row.credits_posted - row.debits_posted - row.debits_pending
    return (available, row.debits_pending, row.credits_pending)


def resident(region: TestRegion, name: str, amount: int = 0, category: str = "moral", **more: Any) -> None:
    """An account, and points in it."""
    region.one(OpenAccount(name=name))
    if amount:
        award = Award(client="c", key=f"award {next(_keys)}", account=name, category=category, amount=amount, **more)
        region.one(award)


def set_state(region: TestRegion, name: str, state: AccountState) -> None:
    """Freeze, close, or open an account again."""
    region.one(SetAccountState(name=name, state=state))


def address(region: TestRegion, name: str, **more: Any) -> str:
    """A fresh receiving address."""
    text: str = region.one(NewAddress(account=name, **more)).address
    return text


def order(to: str, amount: int, *, account: str = "A", category: str = "moral", key: str = "", **more: Any) -> Order:
    """An order to move points to an address."""
    key = key or f"order {next(_keys)}"
    return Order(client="c", key=key, account=account, category=category, amount=amount, address=to, **more)


def state_of(region: TestRegion, placed: Placed, source: int) -> tuple[int, int]:
    """State and reason of a transfer in a region's table."""
    t = schema.transfer
    with region.store.read() as conn:
        row = conn.execute(
            select(t.c.state, t.c.reason).where(t.c.id == bytes.fromhex(placed.id), t.c.source == source)
        ).one()
    return row.state, row.reason


# -- messages of one's own making -------------------------------------------------------------------------------------

SALT = bytes(16)


def forge(source: TestRegion, destination: int, drafts: list[Draft], *, signer: Any = None, **head: Any) -> Envelope:
    """The envelope in which `source` would send these messages next. Its own database knows nothing of them."""
    channel = source.writer.channels[destination]
    _after, sealed = channels.seal(channel, drafts)
    return envelope(source, destination, sealed.frames, sealed.bodies, channel.out_frontier, signer=signer, **head)


def envelope(
    source: TestRegion, destination: int, frames: list[bytes], bodies: list[bytes], before: merkle.Frontier, *,
    signer: Any = None, **head: Any,
) -> Envelope:  # fmt: skip
    """Frames after a prefix, under a head that `head` may change."""
    after = before.extend(merkle.leaf_hashes(frames))
    made = Head(
        log=source.office.log_to(destination),
        epoch=source.writer.channels[destination].epoch,
        first=before.size,
        first_root=before.root(),
        size=after.size,
        root=after.root(),
        suite=source.office.signing_key.suite,
        roster_version=source.office.roster.version,
        signed_at_ms=source.office.clock(),
    )
    signed = (signer or source.office.signing_key).sign(codec.HEAD, codec.encode_payload(replace(made, **head)))
    return Envelope(head=signed, frames=tuple(frames), bodies=tuple(bodies))


def offer(
    to: bytes, amount: int = 10, *, id_: bytes = b"forged transfer!", category: str = "moral", becomes: str = "",
    arriving: int | None = None, body: bytes | None = None, kind: int = Kind.OFFER, **changes: Any,
) -> Draft:  # fmt: skip
    """An offer as a peer might send it: good, but for what is changed in its header or its body."""
    content = Offer(
        to, int(Purpose.RELOCATION), 1, 1, 1, (Slice(amount, 0, (Provenance(330100, 20260101, 2, ""),)),), "", b"",
        b"", b"",
    )._replace(**changes)  # fmt: skip
    salted = SALT + (codec.encode_offer(content) if body is None else body)
    there = amount if arriving is None else arriving
    return Draft(kind, False, id_, salted, category, amount, becomes or category, there)
