"""A resident is identified: what two regions will compare is kept, sealed, and the number itself is not."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import delete

from gateway.protocol.consent import GivenBy
from node.services import identity, withdrawal
from node.services.command import account_of, handles
from node.services.office import Office
from node.store import bulk, consents, schema
from node.store.batch import Batch, Wishes


@dataclass(frozen=True, kw_only=True, slots=True)
class Identify:
    """Keep the root of a resident's identity, and until when a guardian consents for him; an empty root: forget it."""

    account: str
    root: bytes = field(repr=False)  # protocol.identity.root; 32 bytes
    guarded_until: int = 0  # business date of the 14th birthday


@dataclass(frozen=True, kw_only=True, slots=True)
class Identified:
    """Whether there is something to compare now. What it is, nobody is told."""

    account: str
    kept: bool


def _wishes(command: Identify, office: Office, wishes: Wishes) -> None:
    wishes.names.add(command.account)
    wishes.identified.add(command.account)


@handles(Identify, _wishes)
def identify(command: Identify, office: Office, batch: Batch) -> Identified:
    """Again replaces what was kept. Raises Refused for an account that is unknown or closed.

    Consents that a child under 14 gave for himself end, now that it is known.
    """
    account = account_of(batch, command.account)
    table = schema.identity
    batch.conn.execute(delete(table).where(table.c.account == account.no))
    batch.identities[account.no] = None
    if command.root:
        sealed = identity.seal(account.no, command.root, command.guarded_until, office)
        bulk.insert(batch.conn, table, [(account.no, sealed, batch.now_ms)])
        batch.identities[account.no] = sealed
    if command.guarded_until > batch.today:
        _end_own_consents(account.name, office, batch)
    return Identified(account=account.name, kept=bool(command.root))


def _end_own_consents(name: str, office: Office, batch: Batch) -> None:
    for given in consents.of_account(batch.conn, name, 1_000):
        if given.given_by == GivenBy.SELF and given.withdrawn_ms is None:
            withdrawal.end(given, office, batch)
