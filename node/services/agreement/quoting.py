"""A quote for a resident: decided like the order itself, by the same rules over the same state, and nothing is held."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.protocol.agreement import quote as quotes
from gateway.protocol.agreement.quote import Quote
from gateway.protocol.transfer import Source, convert
from node.ledger.lots import provenance_of
from node.services.command import handles
from node.services.cover import Wanted, cover
from node.services.office import Office
from node.services.recovery import history
from node.services.transfer import agreed_terms, check_destination
from node.store.batch import Batch, Wishes


@dataclass(frozen=True, kw_only=True, slots=True)
class AskQuote:
    """What would become of so many units of an account, today. The resident's consent is taken as given."""

    account: str
    category: str
    amount: int
    destination: int
    purpose: int


def _wishes(command: AskQuote, office: Office, wishes: Wishes) -> None:
    wishes.payers.add(command.account)
    if office.agreements.counting:
        wishes.counted.add(command.account)
    if office.agreements.cooling:
        wishes.cooled.add(command.account)


@handles(AskQuote, _wishes)
def ask_quote(command: AskQuote, office: Office, batch: Batch) -> Quote:
    """Changes nothing. Raises Refused as the order would."""
    history.check_debit(batch, office, 0)
    check_destination(office, command.destination, batch.today)
    terms = agreed_terms(office, command.destination, command.category, command.purpose)
    need = convert(command.amount, terms.rate_p, terms.rate_q).leaving
    wanted = Wanted(command.account, command.category, command.amount, command.purpose, True)
    _, _, lots = cover(wanted, terms, need, office, batch)
    sources = [Source(lot.no, lot.remaining, lot.expires, provenance_of(lot)) for lot in lots]
    return quotes.quote(terms, command.amount, sources, batch.today)
