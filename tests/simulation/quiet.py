"""What must hold once everything is quiet: nothing is open, both sides agree, and the sums come out to the unit."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from typing import TYPE_CHECKING

from gateway.protocol.errors import Refused
from gateway.protocol.transfer import State
from gateway.protocol.values import Purpose
from node.services.award import Award
from node.services.reversal import AskReversal, ReversalState
from node.services.spend import Spend
from node.services.transfer import Order
from node.services.verify.run import verify
from tests.federation import CATEGORIES
from tests.simulation import dealt
from tests.simulation.clients import Client
from tests.simulation.ledgers import LedgerWatch
from tests.simulation.logbooks import root_of
from tests.simulation.quiet_dealings import check_dealings
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

OPEN = (State.HELD, State.OFFERED, State.IN_REVIEW)


def check_everything(world: World) -> None:
    """Raises Violation."""
    check_channels(world)
    for code, ledger in world.ledgers.items():
        check_nothing_open(code, ledger)
        check_whole(world, code)
        check_commands(world.clients[code], ledger, world.invented)
    check_transfers(world)
    check_value(world)
    if world.dealers:
        check_dealings(world)
    check_derivation(world)


def check_whole(world: World, code: int) -> None:
    """Nothing recovers any more, and nobody owes anything, unless two regions lost the same at once."""
    history = world.regions[code].writer.history
    if history.recovering:
        raise Violation(f"{code} is still recovering")
    world.count["owed by a region"] += history.owed > 0
    if history.owed and not world.overlap:
        raise Violation(f"{code} is owed {history.owed} that nobody covers")


def check_derivation(world: World) -> None:
    """Everything that the tables say follows from journal and logs, ids that no service sent apart."""
    for code, region in world.regions.items():
        if region.odd:
            continue  # what it was made to say is in no journal
        for check in verify(region.disk.store):
            if not check.ok:
                raise Violation(f"{code}: {check.en}: {check.detail}")


def check_channels(world: World) -> None:
    """Both sides of every pair hold equal logs, and each has the other's receipt for all of its own."""
    for a, b in permutations(world.codes, 2):
        mine, theirs = world.regions[a].channel(b), world.regions[b].channel(a)
        if mine is None and theirs is None:
            continue
        if mine is None or theirs is None or not (mine.ready and mine.peer_open):
            raise Violation(f"the channel {a}-{b} is not open: {world.backlog()}")
        if not mine.size == mine.final == mine.receipted == theirs.held:
            raise Violation(f"{a} said {mine.size}, knows {mine.final} held, {mine.receipted} receipted: {theirs.held}")
        frames = world.logs.out.get((a, b), [])
        if frames != world.logs.inn.get((a, b), []):
            raise Violation(f"the logs {a}->{b} differ")
        roots = {mine.out_frontier.root(), theirs.in_frontier.root(), root_of(frames)}
        if len(roots) > 1:
            raise Violation(f"the roots of {a}->{b} differ")
        if world.regions[a].rows("SELECT 1 FROM outbox"):
            raise Violation(f"messages wait in the outbox of {a}")


def check_nothing_open(code: int, ledger: LedgerWatch) -> None:
    """No hold, no review, no provisional credit, no reversal without an answer."""
    for t in ledger.transfers.values():
        if t.state in OPEN:
            raise Violation(f"{code}: transfer {t.id.hex()} is still {t.state.name}")
    for account, category, _, c in ledger.balances.values():
        if c.debits_pending or c.credits_pending:
            raise Violation(f"{code}: {account} has {c} of {category} still pending")
    closed = ledger.region.rows(
        "SELECT a.name FROM account a JOIN balance b ON b.account = a.no JOIN lot l ON l.balance = b.no "
        "WHERE a.state = 3 AND l.remaining > 0"
    )
    if closed:
        raise Violation(f"{code}: the closed account {closed[0][0]} has points")
    if ledger.restored and ledger.region.odd:
        return  # what it was made to ask came back to it behind the answer that it had refused
    if ledger.region.rows("SELECT 1 FROM reversal WHERE state = ? AND asked_by_me", int(ReversalState.ASKED)):
        raise Violation(f"{code}: a request to reverse has got no answer")


def check_transfers(world: World) -> None:
    """Posted here is accepted there, under the same terms; refused there is voided here; nothing came from nowhere."""
    ledgers = {code: ledger.by_id() for code, ledger in world.ledgers.items()}
    for code, transfers in ledgers.items():
        for (transfer_id, source), mine in transfers.items():
            other = ledgers[mine.destination if source == code else source].get((transfer_id, source))
            name = transfer_id.hex()
            world.count[mine.state.name.lower()] += 1
            if other is None:
                if mine.state is State.VOIDED or (mine.state is State.REFUSED and transfer_id in world.invented):
                    continue
                raise Violation(f"transfer {name} is {mine.state.name} at {code} and unknown at the other side")
            same = ("amount", "arriving", "category", "becomes", "rate_p", "rate_q", "purpose")
            if any(getattr(mine, field) != getattr(other, field) for field in same):
                raise Violation(f"transfer {name} is {mine} here and {other} there")
            if {mine.state, other.state} not in ({State.POSTED, State.ACCEPTED}, {State.VOIDED, State.REFUSED}):
                raise Violation(f"transfer {name} is {mine.state.name} at {code} and {other.state.name} there")
            if mine.amount * mine.rate_p != mine.arriving * mine.rate_q:
                raise Violation(f"transfer {name} turns {mine.amount} into {mine.arriving}")


def check_value(world: World) -> None:
    """Per category: residents have what was issued, less redeemed, expired, taken back and deducted, plus what came,
    less what left."""
    for category in CATEGORIES:
        residents = issued = crossed = 0
        for ledger in world.ledgers.values():
            residents += ledger.total("", category, resident=True)
            issued -= ledger.total("#issuer", category) + ledger.total("#recovery", category)
            issued -= ledger.total("#redeemed", category) + ledger.total("#breakage", category)
            issued -= ledger.total("#clawback", category) + ledger.total("#penalty", category)
            crossed += dealt.crossed(ledger, category)
            for t in ledger.transfers.values():
                if t.source == ledger.region.code and t.state is State.POSTED:
                    crossed -= t.amount * (t.category == category)
                    crossed += t.amount // t.rate_q * t.rate_p * (t.becomes == category)
        if residents != issued + crossed:
            raise Violation(f"{category}: residents have {residents}, {issued} issued and {crossed} by conversion")


def check_commands(client: Client, ledger: LedgerWatch, invented: set[bytes]) -> None:
    """Everything acknowledged happened exactly once, everything refused not at all, and nothing else happened."""
    code = client.region.code
    expected: Counter[tuple[str, str]] = Counter()
    orders = 0
    for key, asked in client.keys.items():
        if asked.done is None:
            raise Violation(f"{code}: nobody knows what became of {asked.contents}")
        if isinstance(asked.answer, Refused):
            continue
        match asked.done:
            case Award(category=category, amount=amount):
                expected["#issuer", category] -= amount
            case Spend(category=category, amount=amount):
                expected["#redeemed", category] += amount
            case Order():
                orders += 1
            case AskReversal():
                pass
        found = ledger.region.rows(
            "SELECT (SELECT count(*) FROM posting WHERE command = ?1), (SELECT count(*) FROM transfer WHERE id = ?1 "
            "AND source = ?2), (SELECT count(*) FROM reversal WHERE id = ?1)",
            client.region.office.public_id(asked.done.client, key), code,
        )  # fmt: skip
        wanted = tuple(int(isinstance(asked.done, kind)) for kind in (Award | Spend, Order, AskReversal))
        if found[0] != wanted:
            raise Violation(f"{code}: {asked.done} was done {found[0]} times as posting, transfer, reversal")
    for category in CATEGORIES:
        for book in ("#issuer", "#redeemed"):
            stands, due = ledger.total(book, category), expected[book, category]
            due += dealt.spent_here(ledger, category) if book == "#redeemed" else 0
            if stands != due:
                raise Violation(f"{code}: {book} of {category} is {stands}, not {due}")
    # What a region was made to say comes back to it after a restore like anything else, and is done.
    ordered = {client.region.office.public_id(asked.contents[0].client, key) for key, asked in client.keys.items()}
    mine = [t for t in ledger.transfers.values() if t.source == code and t.id not in invented - ordered]
    own = [t for t in mine if t.purpose != Purpose.REVERSAL]
    if len(own) != orders:
        raise Violation(f"{code}: {orders} orders were acknowledged and {len(own)} made")
