"""Transfers: quote, order, follow, cancel, ask back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from gateway.protocol.agreement.quote import Quote
from gateway.protocol.agreement.verdict import Facts, judge
from gateway.protocol.errors import Refused
from gateway.protocol.standing import successors
from gateway.protocol.transfer import State, Terms, convert
from gateway.protocol.values import Reason
from node.services.agreement.quoting import AskQuote
from node.services.reversal import AskReversal
from node.services.transfer import Cancel, Order, agreed_terms, check_destination
from node.services.transfer import Placed as PlacedTransfer
from node.services.void import VoidUndelivered
from node.store import transfers as query
from node.store.transfers import Filter, Listed
from node.web import answers, requests
from node.web.commands import Deed, command_route, missing_key, units, with_key
from node.web.problems import Wrong
from node.web.routes import Call, Route, respond
from node.web.words import (
    PURPOSE,
    PURPOSES,
    REVERSALS,
    STATE,
    STATES,
    day,
    evidence,
    reason,
    time,
    time_or_none,
)


def _order(body: requests.NewTransfer, client: str) -> Order:
    return Order(
        client=client,
        key=body.key or missing_key(),
        account=body.account,
        category=body.category,
        amount=units(body.amount),
        address=body.address,
        purpose=PURPOSE[body.purpose],
        consent=body.consent,
    )


def placed(a: PlacedTransfer) -> answers.Placed:
    """A transfer as a command left it."""
    return answers.Placed(
        a.id, STATES[a.state], reason(a.reason), a.destination, a.category, a.leaving, a.becomes, a.arriving
    )


def _placed_line(n: int, a: PlacedTransfer) -> answers.TransferLine:
    return answers.TransferLine(
        a.id, STATES[a.state], reason(a.reason), a.destination, a.category, a.leaving, a.becomes, a.arriving, line=n
    )


ORDER: Deed[requests.NewTransfer, Order, PlacedTransfer] = Deed(
    body=requests.NewTransfer,
    make=_order,
    answer=PlacedTransfer,
    replayable=True,
    show=placed,
    show_line=_placed_line,
    line=answers.TransferLine,
)


async def moved(call: Call, rows: Iterable[Listed]) -> dict[int, int]:
    """Where the destinations of transfers went that were refused for it, by number: as the refusal says, or else the
    roster."""
    office = call.desk.node.office
    gone = {t.no: t.destination for t in rows if t.reason == Reason.REGION_MOVED and t.source == office.me}
    if not gone:
        return {}
    today = office.today(office.clock())
    listed = {no: successors(office.roster.find(code), today)[:1] for no, code in gone.items()}
    named = await call.desk.read(query.successors, office.me, gone)
    return {no: heirs[0] for no, heirs in listed.items() if heirs} | named


def shown(me: int, t: Listed, moved_to: int | None = None) -> answers.Transfer:
    """A transfer as callers see it."""
    return answers.Transfer(
        id=bytes(t.id).hex(),
        direction="outgoing" if t.source == me else "incoming",
        source=t.source,
        destination=t.destination,
        state=STATES[t.state],
        reason=reason(t.reason),
        account=t.account,
        key=t.client_key,
        category=t.category,
        leaving=t.amount,
        becomes=t.becomes,
        arriving=t.arriving,
        rate=f"{t.rate_p}/{t.rate_q}",
        purpose=PURPOSES.get(t.purpose, str(t.purpose)),
        cites=bytes(t.cites).hex() if t.cites else None,
        at=time(t.at_ms),
        decided=time_or_none(t.decided_ms),
        moved_to=moved_to,
    )


async def _find(call: Call, transfer_id: bytes, source: int | None) -> Listed:
    """The transfer of this id that began in `source`; where that is not said, the own one, or else the only one."""
    found = await call.desk.read(query.by_id, transfer_id)
    if source is not None:
        found = [t for t in found if t.source == source]
    own = [t for t in found if t.source == call.desk.node.office.me]
    if not found:
        raise Wrong("transfer_unknown")
    if len(found) > 1 and not own:
        raise Wrong("ambiguous_id", f"regions {', '.join(str(t.source) for t in found)} chose this id", field="source")
    return (own or found)[0]


async def _shown_when_decided(call: Call, transfer_id: bytes, source: int | None, wait: float) -> web.Response:
    desk = call.desk
    found = await _find(call, transfer_id, source)
    if wait and found.state in query.UNDECIDED:
        await desk.bell.decided(transfer_id, found.source, wait)
        found = await _find(call, transfer_id, found.source)
    # Only what was accepted can be sent back.
    back = await desk.read(query.citing, transfer_id) if found.state in (State.POSTED, State.ACCEPTED) else None
    plain = shown(desk.node.office.me, found, (await moved(call, [found])).get(found.no))
    return respond(
        answers.TransferShown(
            **{name: getattr(plain, name) for name in plain.__struct_fields__},
            reversed_by=bytes(back.id).hex() if back is not None else None,
        )
    )


async def show(call: Call) -> web.Response:
    """One transfer; with `wait`, when it is decided."""
    return await _shown_when_decided(call, bytes.fromhex(call.path["id"]), call.query.source, call.query.wait)


async def show_by_key(call: Call) -> web.Response:
    """One transfer by the key of its order; an order that was refused shows its refusal."""
    office = call.desk.node.office
    transfer_id = office.public_id(call.query.client or call.token.name, call.path["key"])
    refusal = await call.desk.read(query.refusal, transfer_id)
    if refusal is not None:
        raise Refused(Reason(refusal[0]), refusal[1])
    return await _shown_when_decided(call, transfer_id, office.me, call.query.wait)


async def listing(call: Call) -> web.Response:
    """Transfers, newest first."""
    wanted: requests.TransfersWanted = call.query
    me = call.desk.node.office.me
    only = Filter(
        outgoing=None if wanted.direction is None else wanted.direction == "outgoing",
        peer=wanted.peer,
        state=None if wanted.state is None else STATE[wanted.state],
    )
    rows, following = await call.desk.read(query.page, me, only, wanted.cursor, wanted.limit)
    to = await moved(call, rows)
    return respond(answers.Transfers([shown(me, row, to.get(row.no)) for row in rows], following))


async def quote(call: Call) -> web.Response:
    """What an amount would become, now. Nothing is held, nothing is promised."""
    wanted: requests.QuoteWanted = call.query
    if wanted.account is not None:
        return await _quote_of(call, wanted, wanted.account)
    office, purpose = call.desk.node.office, PURPOSE[wanted.purpose]
    check_destination(office, wanted.destination, office.today(office.clock()))
    terms = agreed_terms(office, wanted.destination, wanted.category, purpose)
    found = office.agreements.by(wanted.destination)
    if found is not None:
        judge(found, Facts(office.me, wanted.destination, wanted.category, units(wanted.amount), purpose))
    conversion = convert(units(wanted.amount), terms.rate_p, terms.rate_q)
    return _quoted(wanted, terms, conversion.leaving, conversion.arriving, conversion.remainder)


async def _quote_of(call: Call, wanted: requests.QuoteWanted, account: str) -> web.Response:
    """The same of an account, lot by lot, under everything that counts what its resident has sent."""
    q: Quote = await call.desk.one(
        AskQuote(
            account=account, category=wanted.category, amount=units(wanted.amount), destination=wanted.destination,
            purpose=PURPOSE[wanted.purpose],
        )
    )  # fmt: skip
    lots = [answers.QuotedLot(lot.lot, day(lot.expires), lot.leaves, lot.stays) for lot in q.lots]
    arrivals = [answers.QuotedArrival(a.units, day(a.expires), list(a.lots)) for a in q.arrivals]
    return _quoted(wanted, q.terms, q.leaving, q.arriving, q.stays, lots=lots, arrivals=arrivals)


def _quoted(
    wanted: requests.QuoteWanted, terms: Terms, leaving: int, arriving: int, stays: int, **by_lot: Any
) -> web.Response:  # fmt: skip
    return respond(
        answers.Quote(
            category=wanted.category,
            destination=wanted.destination,
            leaving=leaving,
            becomes=terms.becomes,
            arriving=arriving,
            remaining=stays,
            rate=f"{terms.rate_p}/{terms.rate_q}",
            terms_version=terms.version,
            min_evidence=evidence(terms.min_evidence),
            review=bool(terms.review_from) and arriving >= terms.review_from,
            **by_lot,
        )
    )


async def cancel(call: Call) -> web.Response:
    """Ask the destination to refuse what it has not decided."""
    return respond(placed(await call.desk.one(Cancel(id=bytes.fromhex(call.path["id"])))), 202)


async def void(call: Call) -> web.Response:
    """Two people take back what was never delivered."""
    two: requests.TwoPeople = call.body
    command = VoidUndelivered(id=bytes.fromhex(call.path["id"]), by=two.by, checked_by=two.checked_by)
    return respond(placed(await call.desk.one(command)))


async def ask_back(call: Call) -> web.Response:
    """Ask for an accepted transfer back."""
    body = with_key(call, call.body)
    command = AskReversal(
        client=call.token.name, key=body.key or missing_key(), transfer=bytes.fromhex(call.path["id"])
    )
    asked = await call.desk.one(command)
    return respond(answers.ReversalAsked(asked.id, asked.transfer), 202)


async def reversal(call: Call) -> web.Response:
    """What became of a request to reverse."""
    found = await call.desk.read(query.reversal, bytes.fromhex(call.path["id"]))
    if found is None:
        raise Wrong("transfer_unknown", "no request to reverse has this id")
    return respond(
        answers.Reversal(
            id=bytes(found.id).hex(),
            transfer=bytes(found.transfer).hex(),
            peer=found.peer,
            state=REVERSALS[found.state],
            reason=reason(found.reason),
            at=time(found.at_ms),
        )
    )


_ORDERED: dict[str, Any] = {"scope": "transfer", "status": 202}

ROUTES = (
    command_route(
        ORDER, path="/v1/transfers", name="order_transfer", answer=answers.Placed, **_ORDERED,
        summary="转移积分", summary_en="Transfer points to another region",
    ),
    Route(
        method="GET", path="/v1/transfers", name="list_transfers", handler=listing,
        query=requests.TransfersWanted, answer=answers.Transfers,
        summary="转移列表", summary_en="List transfers",
    ),
    Route(
        method="GET", path="/v1/transfers/by-key/{key}", name="show_transfer_by_key", handler=show_by_key,
        query=requests.ByKey, answer=answers.TransferShown,
        summary="按幂等键查询转移", summary_en="Show a transfer by the key of its order",
    ),
    Route(
        method="GET", path="/v1/transfers/{id}", name="show_transfer", handler=show,
        query=requests.OneTransfer, answer=answers.TransferShown,
        summary="查询转移，可等到有结果", summary_en="Show a transfer, or wait until it is decided",
    ),
    Route(
        method="POST", path="/v1/transfers/{id}/cancel", name="cancel_transfer", handler=cancel,
        body=requests.Nothing, answer=answers.Placed, **_ORDERED,
        summary="请求撤销", summary_en="Ask the destination to refuse a transfer it has not decided",
    ),
    Route(
        method="POST", path="/v1/transfers/{id}/void", name="void_transfer", handler=void, scope="review",
        body=requests.TwoPeople, answer=answers.Placed,
        summary="收回从未送达的转移（两人）",
        summary_en="Take back, by two people, a transfer that was never delivered",
    ),
    Route(
        method="POST", path="/v1/transfers/{id}/reversal", name="reverse_transfer", handler=ask_back,
        body=requests.NewReversal, answer=answers.ReversalAsked, **_ORDERED,
        summary="请求冲正", summary_en="Ask for an accepted transfer back",
    ),
    Route(
        method="GET", path="/v1/reversals/{id}", name="show_reversal", handler=reversal, answer=answers.Reversal,
        summary="查询冲正请求", summary_en="Show a request to reverse",
    ),
    Route(
        method="GET", path="/v1/quotes", name="quote", handler=quote, query=requests.QuoteWanted,
        answer=answers.Quote,
        summary="试算", summary_en="What an amount would become",
    ),
)  # fmt: skip
