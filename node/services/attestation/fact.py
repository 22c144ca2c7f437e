"""Facts: what the region's own system says of a resident besides points. Hours and stars are not points and never move.

A fact is known by its account, kind and words; putting it again replaces it. What was attested of it before is revoked
where what is known now takes it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from gateway.protocol import limits
from gateway.protocol.attestation import Fact, FactKind, RevocationCause
from gateway.protocol.errors import Refused
from gateway.protocol.identity import mentions_number
from gateway.protocol.values import Evidence, Reason
from node.errors import BadInput
from node.services.attestation import ends as attestation_end
from node.services.command import account_of, handles
from node.services.office import Office
from node.store import attestations
from node.store.attestations import Known
from node.store.batch import Batch, Wishes


@dataclass(frozen=True, kw_only=True, slots=True)
class PutFact:
    """What is known now. `value` is minutes of service, or stars; `as_of` 0 = today, `expires` 0 = never (yyyymmdd)."""

    account: str
    kind: int
    words: str = ""
    value: int = 0
    evidence: int = Evidence.SIGNED_IN
    as_of: int = 0
    expires: int = 0
    reference: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class WithdrawFact:
    """This was never so, or is so no more."""

    account: str
    kind: int
    words: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FactAnswer:
    """The fact as it stands, and how many attestations were revoked for it."""

    account: str
    fact: Fact
    withdrawn: bool
    revoked: int


def _put_wishes(command: PutFact, office: Office, wishes: Wishes) -> None:
    wishes.names.add(command.account)


@handles(PutFact, _put_wishes)
def put_fact(command: PutFact, office: Office, batch: Batch) -> FactAnswer:
    """The same again changes nothing. Raises BadInput, or Refused(WRONG_STATE) where something newer is known."""
    fact = Fact(
        int(command.kind), command.words, command.value, int(command.evidence), command.as_of or batch.today,
        command.expires, command.reference,
    )  # fmt: skip
    _check(fact, batch.today)
    account = account_of(batch, command.account)
    before = _known(batch, account.no, fact.kind, fact.words)
    if before is not None and before.fact.as_of > fact.as_of:
        raise Refused(Reason.WRONG_STATE, f"what is known is of {before.fact.as_of}, newer than {fact.as_of}")
    if before is None or before.withdrawn or before.fact != fact:
        attestations.put_fact(batch.conn, account.no, Known(fact, False, batch.now_ms))
    revoked = attestation_end.take_back(batch, office, account.no, fact, RevocationCause.CORRECTED)
    return FactAnswer(account=account.name, fact=fact, withdrawn=False, revoked=revoked)


def _withdraw_wishes(command: WithdrawFact, office: Office, wishes: Wishes) -> None:
    wishes.names.add(command.account)


@handles(WithdrawFact, _withdraw_wishes)
def withdraw_fact(command: WithdrawFact, office: Office, batch: Batch) -> FactAnswer:
    """Once; again changes nothing. Raises Refused(NOT_ATTESTED) where nothing of the kind is known."""
    account = account_of(batch, command.account)
    before = _known(batch, account.no, int(command.kind), command.words)
    if before is None:
        raise Refused(Reason.NOT_ATTESTED, "nothing of this kind, in these words, is known of this account")
    if not before.withdrawn:
        attestations.put_fact(batch.conn, account.no, Known(before.fact, True, batch.now_ms))
    gone = before.fact._replace(value=-1)  # less than whatever was attested
    revoked = attestation_end.take_back(batch, office, account.no, gone, RevocationCause.WITHDRAWN)
    return FactAnswer(account=account.name, fact=before.fact, withdrawn=True, revoked=revoked)


def _known(batch: Batch, account: int, kind: int, words: str) -> Known | None:
    known = attestations.facts(batch.conn, account)
    return next((k for k in known if (k.fact.kind, k.fact.words) == (kind, words)), None)


def _check(fact: Fact, today: int) -> None:
    if fact.kind not in set(FactKind) or fact.evidence not in set(Evidence):
        raise BadInput("this kind of fact, or grade of evidence, is not known here")
    for text, most in ((fact.words, limits.FACT_WORDS_BYTES), (fact.reference, limits.FACT_REFERENCE_BYTES)):
        if len(text.encode("utf-8", "replace")) > most or (text and not text.isprintable()):
            raise BadInput(f"a text of a fact has up to {most} bytes and is printable")
        if mentions_number(text):
            raise BadInput("a fact holds no personal data; what is here looks like an ID-card number")
    if fact.kind not in (FactKind.SERVICE_HOURS, FactKind.STAR_LEVEL) and not fact.words:
        raise BadInput("say in words which honour, certificate or qualification it is")
    if not 0 <= fact.value <= limits.AMOUNT_MAX:
        raise BadInput("a value is between 0 and 2^63-1")
    for number in (fact.as_of, fact.expires or fact.as_of):
        try:
            date(number // 10_000, number // 100 % 100, number % 100)
        except ValueError:
            raise BadInput(f"{number} is no date yyyymmdd") from None
    if fact.as_of > today:
        raise BadInput("a fact is known of today or an earlier date, not of a later one")
