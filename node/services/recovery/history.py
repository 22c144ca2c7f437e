"""After a restore: what a region may do before it is whole again, and who says that it is (SPEC, recovering).

A restored database lacks the newest of what its residents did. Until every peer has given back what it holds of this
region's log, and the regional system has repeated what it was told is done, no resident is debited: the points may be
gone already. For a peer that cannot be reached two people may accept the risk, up to an amount.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from gateway.protocol import limits
from gateway.protocol.errors import Refused
from gateway.protocol.values import Reason, Status
from node.errors import BadInput, Recovering, SamePerson
from node.ledger import journal
from node.services.command import handles
from node.services.office import Office
from node.services.recovery.advance import repay
from node.store import history as store
from node.store import processes, schema
from node.store.batch import Batch, Wishes
from node.store.history import History, Risk


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """The regional system has repeated every command that it was told is done."""

    by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AcceptRisk:
    """Let residents spend up to `amount` before a peer has given back what it holds. Two people say so alike."""

    peer: int
    amount: int
    by: str


def _nothing(command: object, office: Office, wishes: Wishes) -> None:
    """Looks at no account."""


# -- entering and leaving -------------------------------------------------------------------------------------------


def enter(batch: Batch, office: Office, cause: str) -> None:
    """The database turned out not to be whole: a new lineage begins, and with it the recovery.

    May be called by whoever learns of it, a peer's answer for instance; again while it lasts changes nothing. Every
    channel has to be resumed, which is the caller's part. The writer keeps the new lineage in the witness before this
    batch commits, so that a crash in between is noticed, too.
    """
    before = batch.books.history
    if before.recovering:
        return
    begin_lineage(batch, office, cause)


def begin_lineage(batch: Batch, office: Office, cause: str) -> None:
    """As :func:`enter`, also while the region recovers already: a restore during a restore begins anew."""
    before, lineage = batch.books.history, office.random(16)
    batch.branched = (before.lineage, before.commits)
    store.enter(batch.conn, lineage, cause, batch.now_ms)
    processes.descend(batch.conn, lineage, before.lineage, before.commits)
    batch.books.history = History(
        lineage=lineage, commits=before.commits, recovering=True, cause=cause, since_ms=batch.now_ms, owed=before.owed
    )
    _record(batch, "entered", because=cause)


def mark_merged(batch: Batch, peer: int) -> None:
    """The peer has given back all it holds of this region's log, and all of it is redone."""
    before = batch.books.history
    if peer in before.merged or not (before.recovering or peer in before.risks):
        return
    store.add_merged(batch.conn, peer)
    risks = {code: risk for code, risk in before.risks.items() if code != peer}
    batch.books.history = replace(before, merged=before.merged | {peer}, risks=MappingProxyType(risks))
    _record(batch, "merged", peer=peer)


def outstanding(history: History, office: Office) -> list[int]:
    """The peers that have neither given back what they hold nor had their risk accepted by two people."""
    return [
        region.code
        for region in office.roster.regions
        if region.code not in (office.me, *history.merged)
        and region.status is not Status.WITHDRAWN
        and not _is_accepted(history.risks, region.code)
    ]


def _is_accepted(risks: Mapping[int, Risk], peer: int) -> bool:
    risk = risks.get(peer)
    return risk is not None and risk.accepted


def missing(history: History, office: Office) -> str:
    """What still has to happen, in words; empty when the region is whole."""
    if not history.recovering:
        return ""
    peers = outstanding(history, office)
    parts = []
    if peers:
        named = ", ".join(map(str, peers[:8])) + (f" and {len(peers) - 8} more" if len(peers) > 8 else "")
        parts.append(f"regions {named} have not given back what they hold")
    if not history.replayed:
        parts.append("the regional system has not said that it repeated its acknowledged commands")
    return "; ".join(parts) or "the next commit ends it"


def settle(batch: Batch, office: Office) -> None:
    """At the end of every batch: what was advanced is repaid from what came in, and a region that is whole says so."""
    if batch.books.owed:
        repay(batch)
    settle_if_whole(batch, office)


def settle_if_whole(batch: Batch, office: Office) -> None:
    """End the recovery once nothing is outstanding."""
    history = batch.books.history
    if history.recovering and history.replayed and not outstanding(history, office):
        store.leave(batch.conn)
        batch.books.history = replace(history, recovering=False, cause="")
        _record(batch, "whole")


# -- the gate ---------------------------------------------------------------------------------------------------------


def check_debit(batch: Batch, office: Office, amount: int, *, forced: bool = False) -> None:
    """Whether a resident may be debited so much now. Raises Recovering, before anything was changed.

    `forced`: the debit was acknowledged before the restore and only repeats what happened.
    """
    history = batch.books.history
    if forced or not (history.recovering or history.risks):
        return
    if history.recovering:
        raise Recovering(f"this region was restored and is not whole: {missing(history, office)}")
    for risk in history.open_risks:
        if amount > risk.amount - risk.used:
            raise Recovering(
                f"region {risk.peer} has not given back what it holds, and of the risk of {risk.amount} that two "
                f"people accepted {risk.amount - risk.used} is left"
            )


def debited(batch: Batch, amount: int) -> None:
    """A resident was debited so much: it counts against every risk that is open."""
    history = batch.books.history
    if not history.risks or history.recovering:
        return
    risks = dict(history.risks)
    for risk in history.open_risks:
        risks[risk.peer] = replace(risk, used=risk.used + amount)
        store.put_risk(batch.conn, risks[risk.peer], new=False)
    batch.books.history = replace(history, risks=MappingProxyType(risks))


def check_known(batch: Batch, peer: int | None) -> None:
    """Whether this region knows all that it has said to a peer, or to anybody. Raises Recovering.

    Until then it decides nothing about it anew: it may have decided otherwise.
    """
    history = batch.books.history
    if history.recovering and (peer is None or peer not in history.merged):
        of = "its peers" if peer is None else f"region {peer}"
        raise Recovering(f"this region was restored and does not know yet what it has said to {of}: ask again later")


def may_sweep(batch: Batch) -> bool:
    """Whether what has expired may be booked: not while lots may be missing."""
    return not (batch.books.history.recovering or batch.books.history.open_risks)


def forces(batch: Batch, replayed: bool) -> bool:
    """Whether a command that the regional system repeats is done whatever the resident has."""
    return replayed and batch.books.history.recovering


# -- commands ---------------------------------------------------------------------------------------------------------


@handles(Replayed, _nothing)
def replayed(command: Replayed, office: Office, batch: Batch) -> History:
    """Said again, or of a region that is whole, it changes nothing."""
    before = batch.books.history
    if before.recovering and not before.replayed:
        store.set_replayed(batch.conn)
        batch.books.history = replace(before, replayed=True)
        _record(batch, "replayed", maker=command.by)
        _act(batch, "replayed", command.by, "")
        settle_if_whole(batch, office)
    return batch.books.history


@handles(AcceptRisk, _nothing)
def accept_risk(command: AcceptRisk, office: Office, batch: Batch) -> History:
    """The first person states a risk, a second one accepts the same; the first may state another amount before that.

    Raises Refused (REGION_UNKNOWN, AMOUNT_OUT_OF_RANGE, WRONG_STATE), SamePerson, or BadInput for another amount.
    """
    before = batch.books.history
    risk = before.risks.get(command.peer)
    _check_risk(command, before, risk, office)
    if risk is None or (risk.maker == command.by and risk.amount != command.amount):
        stated = Risk(
            peer=command.peer, amount=command.amount, used=0, maker=command.by, checker="", at_ms=batch.now_ms
        )
    elif risk.accepted:
        return before
    elif risk.maker == command.by:
        raise SamePerson(f"{command.by} has stated this risk: a second person has to accept it")
    elif risk.amount != command.amount:
        raise BadInput(f"{risk.maker} stated a risk of {risk.amount}: accept that amount, or ask for another one")
    else:
        stated = replace(risk, checker=command.by, at_ms=batch.now_ms)
    store.put_risk(batch.conn, stated, new=risk is None)
    risks = MappingProxyType({**before.risks, command.peer: stated})
    batch.books.history = replace(before, risks=risks)
    _record(batch, "risk", peer=stated.peer, amount=stated.amount, maker=stated.maker, checker=stated.checker)
    _act(batch, "accept_risk", stated.maker, stated.checker, peer=stated.peer, amount=stated.amount)
    settle_if_whole(batch, office)
    return batch.books.history


def _check_risk(command: AcceptRisk, history: History, risk: Risk | None, office: Office) -> None:
    if office.roster.find(command.peer) is None or command.peer == office.me:
        raise Refused(Reason.REGION_UNKNOWN, f"no other region {command.peer} in the roster")
    if not 1 <= command.amount <= limits.AMOUNT_MAX:
        raise Refused(Reason.AMOUNT_OUT_OF_RANGE, "a risk is between 1 and 2^63-1 units")
    if not history.recovering:
        raise Refused(Reason.WRONG_STATE, "this region is not recovering: there is no risk to accept")
    if command.peer in history.merged:
        raise Refused(Reason.WRONG_STATE, f"region {command.peer} has given back what it holds")
    if risk is not None and risk.accepted and risk.amount != command.amount:
        raise Refused(Reason.WRONG_STATE, f"{risk.maker} and {risk.checker} have accepted a risk of {risk.amount}")


def _record(batch: Batch, what: str, *, peer: int = 0, amount: int = 0, **said: str) -> None:
    lineage = batch.books.history.lineage.hex()
    batch.record(journal.Recovery(at=batch.now_ms, what=what, lineage=lineage, peer=peer, amount=amount, **said))


def _act(batch: Batch, what: str, maker: str, checker: str, **about: object) -> None:
    row = (batch.books.next("act"), what, store.about(**about), maker, checker, batch.now_ms)
    batch.insert(schema.act, row)
