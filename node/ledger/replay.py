"""Everything that a region's tables say, derived again from its journal and the logs of its channels alone.

Reads once, in the order of the journal. Kept whole is only what is still open: holds without an answer, offers before
a clerk. Of an account, a balance and a lot a few machine words stay, of a decided transfer nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gateway.protocol import codec
from gateway.protocol.errors import ProtocolError
from gateway.protocol.transfer import State, evidence_of
from gateway.protocol.values import Kind, Offer
from node.ledger import journal
from node.ledger.accounts import RECOVERY, REDEEMED, clearing
from node.ledger.derived import UNKNOWN, transfer_row
from node.ledger.lots import UNSEALED, pack_further
from node.ledger.papers import Papers
from node.ledger.postings import Phase
from node.ledger.rebooked import Rebooked
from node.ledger.roamed import Roamed
from node.ledger.sources import Logs, Message
from node.ledger.spoken import Spoken


class _Sent(NamedTuple):
    """A hold whose answer has not come."""

    held: journal.Held
    offer: Message | None
    number: int | None


class _Offered(NamedTuple):
    """An offer of a peer."""

    peer: int
    number: int
    message: Message
    at: int
    offer: Offer | None  # None: erased, or not to be read
    balance: int | None  # whose address it was, once a clerk has it


class Replay(Rebooked):
    """See the module. `codes` names the categories by number."""

    def __init__(self, me: int, codes: Mapping[int, str], logs: Logs) -> None:
        super().__init__(me)
        self.heard: dict[int, int] = {}  # peer -> frames of its log decided so far
        self.returning: dict[int, int] = {}  # balance -> units on their way back into its lots
        self.roamed = Roamed(me)
        self.papers = Papers(me)
        self.gone: set[int] = set()  # regions whose channels were closed
        self._codes, self._logs = codes, logs
        self._spoken = Spoken(logs)
        self._restored = False
        self._held: dict[int, _Sent] = {}
        self._held_ids: dict[bytes, int] = {}
        self._promised: dict[bytes, journal.Held] = {}  # request to reverse -> the hold that grants it
        self._unanswered: set[bytes] = set()  # requests that came back after a restore, before their answers
        self._reviewed: dict[int, _Offered] = {}
        self._taken_back: set[int] = set()  # transfers in the place of whose offer stands a cancel

    @property
    def said(self) -> Mapping[int, int]:
        """Peer -> messages said to it so far."""
        return self._spoken.said

    def apply(self, entry: journal.AnyEntry) -> None:
        """What one entry of the journal did."""
        match entry:
            case journal.Opened():
                self._open(entry)
            case journal.Balanced():
                self._balance(entry)
            case journal.Awarded():
                self._award(entry)
            case journal.Spent():
                redeemed = self._book(REDEEMED, entry.category)
                id_ = bytes.fromhex(entry.id)
                self._post(entry, entry.posting, Phase.SINGLE, entry.balance, redeemed, entry.amount, command=id_)
                self._take(entry.posting, entry.balance, entry.amount, entry.lots)
            case journal.Held():
                self._hold(entry)
            case journal.Asked():
                kind = Kind.REVERSE_REQUEST if entry.what == "reversal" else Kind[entry.what.upper()]
                self._say(entry.peer, kind, False, bytes.fromhex(entry.id))
            case journal.Applied():
                self._apply(entry)
            case journal.Answered():
                self._unanswered.discard(bytes.fromhex(entry.id))
                self._say(entry.peer, Kind(entry.kind), True, bytes.fromhex(entry.id), entry.reason)
            case journal.Reviewed():
                self._review(entry)
            case journal.Voided():
                self._void(entry)
            case journal.Claimed():
                id_ = bytes.fromhex(entry.id)
                self.rows.claims.append(
                    (entry.no, entry.peer, entry.cause, id_, entry.category, entry.amount, entry.because, entry.at,
                     entry.mine)
                )  # fmt: skip
            case journal.Ended():
                self.gone.add(entry.peer)
                said = self.said.get(entry.peer, 0)
                ends = (said, self._logs.owned(entry.peer, said))  # what a repair disowned may stand at the end
                if entry.size not in ends or self.heard.get(entry.peer, 0) != entry.held:
                    self._fault("channels", f"the channel with {entry.peer} was closed at another size")
            case journal.Booked():
                self._move(entry)
            case journal.Expired():
                self._expire(entry)
            case journal.Advanced():
                self._advance(entry)
            case journal.Repaid():
                self._owe(entry.balance, -entry.amount)
                recovery = self._book(RECOVERY, entry.category)
                self._post(
                    entry, entry.posting, Phase.SINGLE, entry.balance, recovery, entry.amount, resident=entry.balance
                )
                self._take(entry.posting, entry.balance, entry.amount, entry.lots)
            case journal.Recovery():
                self._restored |= entry.what == "entered"

    def finish(self) -> None:
        """The journal has ended: what is still open is as it stands."""
        for what in [*(() if self._restored else self._spoken.overtaking), *self._spoken.undecided()]:
            self._fault("said", what)
        for sent in self._held.values():
            self._outgoing(sent, State.HELD, 0, None, None)
        for no, offered in self._reviewed.items():
            self._incoming(no, offered, State.IN_REVIEW, 0, balance=offered.balance)
        for no in self._taken_back:
            self._fault("said", f"a cancel stands in the place of the offer of transfer {no}, which was not voided")
        for request in self._promised:
            self._fault("said", f"points were held for the request {request.hex()}, which was never heard")

    # -- what is said ------------------------------------------------------------------------------------------------

    def _say(
        self, peer: int, kind: Kind, reply: bool, id_: bytes, reason: int = 0
    ) -> tuple[int | None, Message | None]:
        """The next message to a peer must be this one. Returns its number, None while it waits, and the message."""
        at, message = self._spoken.next(peer, kind, reply, id_)
        number = at if at < self._logs.numbered(peer) else None
        if message is not None:
            self.roamed.said(peer, message)
            self.papers.said(peer, message)
        if message is None:
            self._fault("said", f"{kind.name} {id_.hex()} was to be number {at} to {peer} and is not there")
        elif reason and message.kind == kind and message.body and codec.decode_refuse(message.body) != reason:
            self._fault("said", f"number {at} to {peer} refuses {id_.hex()} for another reason than was decided")
        return number, message

    def _hold(self, e: journal.Held) -> None:
        faces = self._book(clearing(e.destination), e.category)
        self._post(e, e.posting, Phase.HOLD, e.balance, faces, e.amount, transfer=e.transfer, resident=e.balance)
        self._take(e.posting, e.balance, e.amount, e.lots)
        request = bytes.fromhex(e.request)
        if request and request not in self._unanswered:
            self._promised[request] = e
        else:
            self._offer(e)

    def _offer(self, e: journal.Held) -> None:
        id_ = bytes.fromhex(e.id)
        number, message = self._say(e.destination, Kind.OFFER, False, id_)
        if message is not None and message.kind == Kind.CANCEL:
            self._taken_back.add(e.transfer)
            number = message = None
        if message is not None:
            said = (message.category, message.amount, message.arriving)
            if said != (self._codes.get(e.category), e.amount, e.arriving):
                self._fault("said", f"the offer {e.id} is not of what was held for it")
        self._held[e.transfer] = _Sent(e, message, number)
        self._held_ids[id_] = e.transfer

    # -- what is heard -----------------------------------------------------------------------------------------------

    def _apply(self, e: journal.Applied) -> None:
        first = self.heard.get(e.peer, 0)
        self.heard[e.peer] = e.size
        numbers = [d.number for d in e.decisions]
        if e.first != first or numbers != list(range(first, e.size)):
            self._fault("heard", f"frames {e.first} to {e.size} of {e.peer} were decided where {first} was next")
            return
        for d in e.decisions:
            message = self._logs.heard(e.peer, d.number)
            if message is not None:
                self.roamed.heard(e.peer, message)
                self.papers.heard(e.peer, message)
            if message is None:
                self._fault("heard", f"frame {d.number} of {e.peer} was decided and is not in its log")
            elif message.reply:
                self._hear_reply(e, d, message)
            else:
                self._hear_request(e, d, message)

    def _hear_reply(self, e: journal.Applied, d: journal.Decision, message: Message) -> None:
        waiting = self._held.get(self._held_ids.get(message.id, 0))
        answers = waiting is not None and waiting.held.destination == e.peer
        if not answers or message.kind not in (Kind.ACCEPT, Kind.REFUSE):
            if d.transfer:
                self._fault("heard", f"frame {d.number} of {e.peer} decided transfer {d.transfer}, which it does not")
            return
        assert waiting is not None
        held = waiting.held
        accepted = message.kind == Kind.ACCEPT
        state = State.POSTED if accepted else State.VOIDED
        if (d.transfer, d.state, d.amount, d.balance) != (held.transfer, state, held.amount, held.balance):
            self._fault("heard", f"frame {d.number} of {e.peer} answers transfer {held.transfer} otherwise than booked")
        del self._held[held.transfer], self._held_ids[message.id]
        faces = self._book(clearing(e.peer), held.category)
        phase = Phase.POST if accepted else Phase.VOID
        self._post(e, d.posting, phase, held.balance, faces, held.amount, transfer=held.transfer)
        if not accepted:
            self._check_reason(e.peer, d, message)
            self._give_back(held, d)
        self._outgoing(waiting, state, 0 if accepted else d.reason, d.number, e.at)

    def _void(self, e: journal.Voided) -> None:
        for d in e.decisions:
            waiting = self._held.pop(d.transfer, None)
            if waiting is None or waiting.held.destination != e.peer:
                self._fault("heard", f"transfer {d.transfer} was voided and was not held for {e.peer}")
                continue
            held = waiting.held
            del self._held_ids[bytes.fromhex(held.id)]
            if e.undelivered != (held.transfer in self._taken_back):
                self._fault("said", f"transfer {d.transfer} was voided; its offer does not stand as that says")
            self._taken_back.discard(held.transfer)
            if (d.state, d.amount, d.balance) != (State.VOIDED, held.amount, held.balance):
                self._fault("heard", f"transfer {d.transfer} was voided otherwise than it was held")
            faces = self._book(clearing(e.peer), held.category)
            self._post(e, d.posting, Phase.VOID, held.balance, faces, held.amount, transfer=held.transfer)
            self._give_back(held, d)
            self._outgoing(waiting, State.VOIDED, d.reason, None, e.at)

    def _check_reason(self, peer: int, d: journal.Decision, message: Message) -> None:
        try:
            reason = codec.decode_refuse(message.body) if message.body else d.reason
        except ProtocolError:
            return  # the header decides; a reason that cannot be read was booked as unreadable
        if reason != d.reason:
            self._fault("heard", f"frame {d.number} of {peer} gives reason {reason}, booked as {d.reason}")

    def _give_back(self, held: journal.Held, d: journal.Decision) -> None:
        taken = sorted(held.lots)
        if [units for _, units in taken] != [units for _, units in d.lots] or len(d.expires) != len(taken):
            self._fault("lot_entries", f"transfer {held.transfer} gave back other units than it took")
            return
        for (lot, units), (no, _), expires in zip(taken, d.lots, d.expires, strict=True):
            if expires:
                brought = (held.transfer, None, None)
                self._grant(no, held.balance, units, expires, [UNKNOWN] * 5, brought, like=lot)
            else:
                self.derived.change_lot(no, units)
                self.rows.lot_entries.append((d.posting, no, units))

    def _hear_request(self, e: journal.Applied, d: journal.Decision, message: Message) -> None:
        if d.transfer in self._reviewed:
            self._refuse(e, d, self._reviewed.pop(d.transfer))
        elif d.transfer:
            offered = _Offered(e.peer, d.number, message, e.at, _read_offer(message.body), d.balance or None)
            if message.kind != Kind.OFFER:
                self._fault("heard", f"frame {d.number} of {e.peer} is no offer, and made transfer {d.transfer}")
            elif d.state == State.ACCEPTED:
                self._accept(e, d, offered)
            elif d.state == State.IN_REVIEW:
                self._reviewed[d.transfer] = offered
            else:
                self._refuse(e, d, offered)
        elif message.kind == Kind.REVERSE_REQUEST and message.id in self._promised:
            self._offer(self._promised.pop(message.id))
        elif e.recovered:
            self._unanswered.add(message.id)
        elif d.said > 0:
            self._say(e.peer, Kind(d.said), True, message.id)
        elif d.reason:
            self._say(e.peer, Kind.REFUSE, True, message.id, d.reason)
        elif d.said != journal.LATER and message.kind not in (Kind.CANCEL, Kind.CUT_OFF):
            self._fault("heard", f"frame {d.number} of {e.peer}, a request, was not answered")

    def _review(self, e: journal.Reviewed) -> None:
        offered = self._reviewed.pop(e.decision.transfer, None)
        if offered is None:
            self._fault("heard", f"transfer {e.decision.transfer} was reviewed and was not in review")
        elif e.decision.state == State.ACCEPTED:
            self._accept(e, e.decision, offered)
        else:
            self._refuse(e, e.decision, offered)

    def _refuse(self, e: journal.AnyEntry, d: journal.Decision, offered: _Offered) -> None:
        answered, _ = self._say(offered.peer, Kind.REFUSE, True, offered.message.id, d.reason)
        self._incoming(
            d.transfer, offered, State.REFUSED, d.reason, balance=offered.balance, answered=answered, decided=e.at
        )

    def _accept(self, e: journal.AnyEntry, d: journal.Decision, offered: _Offered) -> None:
        message, peer = offered.message, offered.peer
        category = self.derived.category_of(d.balance)
        if self._codes.get(category) != message.becomes or d.amount != message.arriving:
            self._fault("heard", f"transfer {d.transfer} from {peer} was credited otherwise than offered")
        faces = self._book(clearing(peer), category)
        self._post(e, d.posting, Phase.PROVISIONAL, faces, d.balance, d.amount, transfer=d.transfer, resident=d.balance)
        answered, _ = self._say(peer, Kind.ACCEPT, True, message.id)
        clear = answered is not None and answered < self._logs.final(peer)
        if clear:
            self.derived.post(Phase.CLEAR, faces, d.balance, d.amount)
        if sum(units for _, units in d.lots) != d.amount:
            self._fault("lots", f"transfer {d.transfer} of {d.amount} brought another amount in its lots")
        if d.expires:
            self._bring(d, offered, UNSEALED if answered is None else answered)
        else:
            for lot, units in d.lots:
                self.rows.lot_entries.append((d.posting, lot, units))
                if clear:
                    self.derived.change_lot(lot, units)
                else:
                    self.returning[d.balance] = self.returning.get(d.balance, 0) + units
        self._incoming(
            d.transfer, offered, State.ACCEPTED, 0,
            balance=d.balance, hold=d.posting, answered=answered, decided=e.at,
        )  # fmt: skip

    def _bring(self, d: journal.Decision, offered: _Offered, clears: int) -> None:
        brought = (d.transfer, offered.peer, clears)
        offer = offered.offer
        slices = [None] * len(d.lots) if offer is None else list(offer.slices)
        if len(slices) != len(d.lots) or len(d.expires) != len(d.lots):
            self._fault("lots", f"transfer {d.transfer} brought {len(d.lots)} lots in {len(slices)} slices")
            return
        for (no, units), expires, part in zip(d.lots, d.expires, slices, strict=True):
            origin: Sequence[Any] = [UNKNOWN] * 5
            if offer is not None and part is not None:
                if part.blocks * offer.rate_p != units:
                    self._fault("lots", f"lot {no} has {units} units; its slice brought {part.blocks * offer.rate_p}")
                first = part.provenance[0]
                further = pack_further(part.provenance)
                origin = (first.granted, first.issuer, evidence_of(part.provenance), first.because, further)
            self._grant(no, d.balance, units, expires, origin, brought)

    # -- transfers ---------------------------------------------------------------------------------------------------

    def _outgoing(self, sent: _Sent, state: State, reason: int, answered: int | None, decided: int | None) -> None:
        held, message = sent.held, sent.offer
        becomes = message.becomes if message else UNKNOWN
        offer = _read_offer(message.body) if message else None
        row = transfer_row(
            held.transfer, bytes.fromhex(held.id), self._me, held.destination, state, reason, held.balance,
            self._codes.get(held.category), held.amount, becomes, held.arriving, offer, held.posting, sent.number,
            answered, held.at, decided, outgoing=True,
        )  # fmt: skip
        self.rows.transfers.append(row)

    def _incoming(
        self, no: int, offered: _Offered, state: State, reason: int, *, balance: int | None, hold: int | None = None,
        answered: int | None = None, decided: int | None = None,
    ) -> None:  # fmt: skip
        m = offered.message
        row = transfer_row(
            no, m.id, offered.peer, self._me, state, reason, balance, m.category, m.amount, m.becomes, m.arriving,
            offered.offer, hold, offered.number, answered, offered.at, decided, outgoing=False, digest=m.commitment,
        )  # fmt: skip
        self.rows.transfers.append(row)


def _read_offer(body: bytes) -> Offer | None:
    """The body of an offer, where there is one that can be read."""
    try:
        return codec.decode_offer(body) if body else None
    except ProtocolError:
        return None
