"""Two regions with a history in which everything has happened once."""

from __future__ import annotations

from collections.abc import Sequence

from node.ledger.accounts import AccountState
from node.services.expiry import Sweep
from node.services.offer import Review
from node.services.reversal import AskReversal
from node.services.spend import Spend
from node.services.transfer import Cancel
from node.store import logs
from node.store.engine import Store
from tests.federation import Pair, pair
from tests.services.delivery import A, B
from tests.services.ledger import address, order, resident, rows, set_state

DAY_MS = 86_400_000


def eventful(stores: Sequence[Store | None] = (), transfers: int = 300) -> Pair:
    """A (with the longer history) and B: accepted, refused, reviewed, cancelled, reversed, expired, under way."""
    made = pair((A, B), stores=stores, rate=(2, 3), review_from=500)
    a, b = made.regions[A], made.regions[B]
    for i in range(3):
        resident(a, "A", 400 + i, expires=20261201 + i, because=f"activity {i}")
    resident(a, "A", 5_000)
    resident(a, "other", 70, "culture", expires=20261119)
    resident(b, "B", 30)
    resident(b, "closed")
    to, nowhere = address(b, "B"), address(b, "closed")
    set_state(b, "closed", AccountState.CLOSED)
    a.do(*(order(to, 7) for _ in range(transfers)))
    back = a.one(order(to, 30))
    a.do(order(nowhere, 9), Spend(client="c", key="tea", account="A", category="moral", amount=11))
    reviewed = [a.one(order(to, 750)) for _ in range(4)]
    made.pump()
    _decide(made, [bytes.fromhex(placed.id) for placed in reviewed])
    a.one(AskReversal(client="c", key="back", transfer=bytes.fromhex(back.id)))
    b.one(order(address(a, "A"), 20, account="B"))
    made.pump()
    resident(a, "A", 50, expires=20261125)
    a.one(order(nowhere, 40))  # comes back when its lot has expired
    a.clock.now_ms += 14 * DAY_MS
    made.restart(B)
    a.one(Sweep())
    made.restart(A)
    with b.store.write() as conn:
        logs.erase_body(conn, logs.number_of(conn, A, B, 1), 3)
    _leave_under_way(made, to)
    return made


def _decide(made: Pair, reviewed: Sequence[bytes]) -> None:
    """One is accepted, one refused, one cancelled, one stays before the clerk."""
    b = made.regions[B]
    b.one(Review(source=A, id=reviewed[0], accept=True, by="clerk"))
    b.one(Review(source=A, id=reviewed[1], accept=False, by="clerk"))
    made.regions[A].one(Cancel(id=reviewed[2]))


def _leave_under_way(made: Pair, to: str) -> None:
    """An offer that was sent and not answered, an answer that was not heard, and, last, offers without a number."""
    a, b = made.regions[A], made.regions[B]
    a.one(order(to, 3))
    made.collect()
    made.deliver()
    made.wire.clear()
    b.one(order(address(a, "A"), 2, account="B"))
    a.start()
    a.do(order(to, 3), order(to, 6))
    assert len(rows(a, "outbox")["outbox"]) == 2
