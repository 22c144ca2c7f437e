"""Where a clawback begins and goes on: what a person orders, what waits until something is decided.

Two people order it. An activity is looked for among the lots this region awarded; from there on every region does the
same with what reached it.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.protocol import clawback
from gateway.protocol.bodies import clawback as bodies
from gateway.protocol.channel import Condition
from gateway.protocol.clawback import OPEN, Cause, Clawback, Event, Share, State, step
from gateway.protocol.dispute import Matter as Disputed
from gateway.protocol.dispute import State as DisputeState
from gateway.protocol.errors import Refused
from gateway.protocol.standing import Matter
from gateway.protocol.transfer import State as TransferState
from gateway.protocol.values import Kind, Purpose, Reason
from node.errors import BadInput
from node.ledger.lots import Lot
from node.ledger.transfers import Transfer
from node.services import reversal, topics
from node.services.clawback import again as clawback_again
from node.services.clawback import hop as hops
from node.services.clawback import tracing
from node.services.command import category_of, handles, once, wish_once
from node.services.dispute import frozen
from node.services.office import Office, digest_of
from node.services.recovery import history
from node.services.transfer import check_status
from node.store import bulk, disputes, logs, schema
from node.store import clawbacks as store
from node.store import history as counting
from node.store.batch import Batch, Wishes
from node.store.clawbacks import Origin, Stored


@dataclass(frozen=True, kw_only=True, slots=True)
class StartClawback:
    """Take back what this region awarded in a category for a fraudulent activity, wherever it is."""

    client: str
    key: str
    activity: str  # as the awards name it in `because`
    category: str
    by: str
    checked_by: str
    lots: tuple[int, ...] | None = None  # those awarded for it, looked for beforehand; None: they are looked for here


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimTransfer:
    """Claim a transfer that should not have been made, once it is too late to reverse it. Nobody is debited for it."""

    client: str
    key: str
    transfer: bytes
    because: str
    by: str
    checked_by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class GoOn:
    """Look again at every clawback that waits for something."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """A clawback was begun; what comes of it is read by its id."""

    id: str
    blocks: int  # of the transfer; of an activity: units


@dataclass(frozen=True, kw_only=True, slots=True)
class Continued:
    """How many were looked at, and how many still wait."""

    looked_at: int
    waiting: int


def _wishes(command: StartClawback | ClaimTransfer, office: Office, wishes: Wishes) -> None:
    wish_once(wishes, office.public_id(command.client, command.key))


def _check_people(command: StartClawback | ClaimTransfer) -> None:
    if not command.by or not command.checked_by or command.by == command.checked_by:
        raise BadInput("two people take points back: name who decided it and who checked it")


# -- an activity ------------------------------------------------------------------------------------------------------


@handles(StartClawback, _wishes)
def start(command: StartClawback, office: Office, batch: Batch) -> Started:
    """Raises BadInput where nothing was awarded for it, or unless two people order it; Refused: CATEGORY_UNKNOWN,
    WRONG_STATE while an earlier one about the same lots is under way."""
    _check_people(command)
    root = office.public_id(command.client, command.key)
    digest = digest_of("clawback", command.activity, command.category)
    once(batch, root, "clawback", digest, lambda: _begin(command, root, office, batch))
    row = store.find(batch.conn, root, office.me, mine=False)
    return Started(id=root.hex(), blocks=row.blocks if row is not None else 0)


def _begin(command: StartClawback, root: bytes, office: Office, batch: Batch) -> str:
    category_of(batch, command.category)
    origin, units = _origin(command, office, batch)
    row = Stored(
        root, office.me, False, root, None, b"", int(Cause.ACTIVITY), office.me, command.activity, command.category,
        store.pack(origin), 0 if origin.again else units, 0, 0, 0, State.GATHERING, 0, batch.now_ms, None,
    )  # fmt: skip
    store.add(batch.conn, row)
    _act(batch, command.by, command.checked_by, clawback=root.hex(), activity=command.activity, amount=units)
    gather(row, office, batch)
    return ""


def _origin(command: StartClawback, office: Office, batch: Batch) -> tuple[Origin, int]:
    """The lots that no earlier clawback was about; if there are none, all of them once more."""
    given = command.lots
    if given is None:
        given = tuple(store.lots_of_activity(batch.conn, office.me, command.activity, command.category))
    category = category_of(batch, command.category)
    columns = ("no", "balance", "issuer", "because", "transfer", "amount")
    rows = bulk.select_in(batch.conn, schema.lot, columns, "no", given)
    own = {r[0]: r for r in rows if (r[2], r[3], r[4]) == (office.me, command.activity, None)}
    balances = bulk.select_in(batch.conn, schema.balance, ("no", "category"), "no", {r[1] for r in own.values()})
    here = {no for no, of in balances if of == category}
    lots = {no: r[5] for no, r in own.items() if r[1] in here}
    if not lots:
        raise BadInput(f"nothing was awarded here in {command.category!r} for the activity {command.activity!r}")
    before = store.began(batch.conn, office.me, command.activity, command.category)
    known = {no for row in before for no in row.origin.lots}
    fresh = sorted(lots.keys() - known)
    if not fresh and any(row.state is State.GATHERING for row in before):
        raise Refused(Reason.WRONG_STATE, "a clawback of this activity is under way: its answers are awaited")
    chosen = fresh or sorted(lots)
    return Origin(not fresh, chosen), sum(lots[no] for no in chosen)


def gather(row: Stored, office: Office, batch: Batch) -> None:
    """Take back what is here, ask where the rest moved on to, and count what came of that."""
    if not hops.knows_all(batch):
        return
    origin = row.origin
    of: dict[int, int] = dict(bulk.select_in(batch.conn, schema.lot, ("no", "balance"), "no", origin.lots))
    seen = tracing.view(batch, sorted(set(of.values())))
    traced = tracing.trace(seen, of, batch)
    there: dict[int, list[Lot]] = {}
    for lot in traced.here:
        there.setdefault(lot.balance, []).append(lot)
    recovered = 0
    for balance, lots in sorted(there.items()):
        units = sum(lot.remaining for lot in lots)
        hops.take(row, balance, lots, units, batch)
        recovered += units
    asked = hops.ask_further(row, seen, traced.moved, office, batch)
    further = hops.further_on(row, office, batch)
    done = traced.settled and not further.waiting
    changed = row._replace(
        blocks=row.blocks + (recovered + asked if origin.again else 0), recovered=row.recovered + recovered,
        further=further.came_back, owed=further.owed, state=step(row.state, Event.COMPLETE) if done else row.state,
        answered_ms=batch.now_ms if done else None, settled=traced.settled,
    )  # fmt: skip
    store.change(batch.conn, changed)


# -- one transfer -----------------------------------------------------------------------------------------------------


@handles(ClaimTransfer, _wishes)
def claim_transfer(command: ClaimTransfer, office: Office, batch: Batch) -> Started:
    """Raises BadInput unless two people order it, Refused: TRANSFER_UNKNOWN, WRONG_STATE where it can still be
    reversed, or was asked back before."""
    _check_people(command)
    id_ = office.public_id(command.client, command.key)
    digest = digest_of("claim", command.transfer.hex(), command.because)
    once(batch, id_, "claim", digest, lambda: _claim(command, id_, office, batch))
    original = _outgoing(command.transfer, office, batch)
    row = store.find(batch.conn, id_, original.destination, mine=True)
    return Started(id=id_.hex(), blocks=row.blocks if row is not None else 0)


def _outgoing(id_: bytes, office: Office, batch: Batch) -> Transfer:
    batch.load(Wishes(transfers={id_}))
    original = batch.transfers.get((id_, office.me))
    if original is None:
        raise Refused(Reason.TRANSFER_UNKNOWN, "no outgoing transfer has this id")
    return original


def _claim(command: ClaimTransfer, id_: bytes, office: Office, batch: Batch) -> str:
    original = _outgoing(command.transfer, office, batch)
    history.check_known(batch, original.destination)
    if original.state != TransferState.POSTED or original.purpose == Purpose.REVERSAL:
        raise Refused(Reason.WRONG_STATE, "only an accepted transfer that is no reversal itself can be claimed")
    check_status(office, original.destination, Matter.CLAWBACK)
    reversal.check_past(original, office, batch)
    frozen.check_free(original, office, batch)
    left = _left(original, office, batch)
    if not left:
        raise Refused(Reason.WRONG_STATE, "all of this transfer was clawed back or claimed before")
    body = Clawback(original.id, int(Cause.REVERSAL), office.me, command.because, id_, left)
    hops.ask(body, original, id_, None, office, batch)
    _act(batch, command.by, command.checked_by, claim=id_.hex(), transfer=original.id.hex())
    return ""


def ask_for_dispute(original: Transfer, id_: bytes, office: Office, batch: Batch) -> bool:
    """Ask back, under this id, as much as disputes about a transfer have ended with. False where nothing is left."""
    left = _first(_left(original, office, batch), _settled(original, batch))
    if left:
        body = Clawback(original.id, int(Cause.DISPUTE), office.me, "", id_, left)
        hops.ask(body, original, id_, None, office, batch)
    return bool(left)


def _left(original: Transfer, office: Office, batch: Batch) -> tuple[Share, ...]:
    """All blocks of a transfer that were not asked for before."""
    seen = tracing.view(batch, [original.balance or 0])
    reader = logs.Reader(batch.conn, batch.books.logs[office.me, original.destination])
    every = [Share(number, blocks) for number, blocks in enumerate(tracing.slices_of(seen, original, reader))]
    before = store.of_transfer(batch.conn, original.id, original.destination, mine=True)
    return clawback.less(every, clawback.summed(row.shares for row in before))


def _settled(original: Transfer, batch: Batch) -> int:
    """Blocks for which disputes about it have ended, less those asked for them already."""
    ended = disputes.about(batch.conn, Disputed.TRANSFER, original.id, original.source)
    settled = sum(row.settled for row in ended if row.state in (DisputeState.UPHELD, DisputeState.SETTLED))
    before = store.of_transfer(batch.conn, original.id, original.destination, mine=True)
    return settled // original.rate_q - sum(row.blocks for row in before if row.cause == Cause.DISPUTE)


def _first(shares: tuple[Share, ...], blocks: int) -> tuple[Share, ...]:
    """The first so many blocks of these."""
    found = []
    for number, each in shares:
        if (part := min(each, blocks)) > 0:
            found.append(Share(number, part))
            blocks -= part
    return tuple(found)


# -- going on ---------------------------------------------------------------------------------------------------------


def go_on(row: Stored, office: Office, batch: Batch) -> None:
    """Look at one again."""
    if row.state is State.GATHERING:
        gather(row, office, batch)
        return
    if row.state is not State.TRACING:
        return
    channel = batch.books.channels.get(row.peer)
    if channel is not None and channel.condition is Condition.CLOSED:  # nobody is there to be answered
        hops.refuse(row, int(Reason.REGION_NOT_ACTIVE), batch)
        return
    original = hops.transfer_of(row, office, batch)
    if original is None:
        return
    found = hops.pursue(row, original, office, batch)
    if found is not None:
        hops.answer(row, found, original, office, batch)


def _nothing(command: GoOn, office: Office, wishes: Wishes) -> None:
    """Finds by itself what it looks at."""


@handles(GoOn, _nothing)
def look_again(command: GoOn, office: Office, batch: Batch) -> Continued:
    """What a region that is gone was asked will not be answered: it counts as refused."""
    rows = store.to_pursue(batch.conn)
    keys = [row.key for row in rows if row.state in OPEN]
    for row in rows:
        if row.state is State.ASKED:
            hops.refuse(row, int(Reason.REGION_NOT_ACTIVE), batch)
            keys += [row.parent] if row.parent is not None else []
    for key in dict.fromkeys(keys):
        now = store.by_key(batch.conn, key)  # as another of these may have left it
        if now is not None:
            go_on(now, office, batch)
    return Continued(looked_at=len(rows), waiting=len(store.to_pursue(batch.conn)))


def _answered(asked: topics.Asked, heard: topics.Heard, office: Office, batch: Batch) -> None:
    waiting = hops.hear_answer(asked, heard, office, batch)
    if waiting is not None:
        go_on(waiting, office, batch)


topics.register(
    Kind.CLAWBACK,
    topics.Topic(
        parse=bodies.decode_clawback,
        hear=hops.hear,
        answered=_answered,
        asked_again=clawback_again.asked_again,
        answered_again=clawback_again.answered_again,
        subject=lambda _frame, parsed: parsed.transfer,
    ),
)


def _act(batch: Batch, maker: str, checker: str, **about: object) -> None:
    row = (batch.books.next("act"), "clawback", counting.about(**about), maker, checker, batch.now_ms)
    batch.insert(schema.act, row)
