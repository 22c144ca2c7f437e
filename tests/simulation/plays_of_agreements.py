"""Histories of agreements, written by hand, for safeguards whose absence chance seldom punishes. Each ends well."""

from __future__ import annotations

from dataclasses import replace

from gateway.protocol.agreement import life
from gateway.protocol.agreement.document import Cap, CapScope
from gateway.protocol.bodies import agreement as bodies
from gateway.protocol.errors import Refused
from gateway.protocol.transfer import State
from gateway.protocol.values import Draft, Kind, Reason
from node.services.consent import GiveConsent
from node.services.transfer import Order, Placed
from node.services.withdrawal import WithdrawConsent
from tests.federation import signing_key
from tests.simulation.deals import Deal

DAY_CAP = (Cap(scope=CapScope.RESIDENT_DAY, amount=10),)


def state_of(s: Deal, placed: Placed) -> State:
    """Of one of A's transfers, at A."""
    s.world.ledgers[s.a.code].check()
    return s.world.ledgers[s.a.code].by_id()[bytes.fromhex(placed.id), s.a.code].state


def refused(s: Deal, answer: object, reason: Reason) -> None:
    """Raises Violation."""
    s.expect(isinstance(answer, Refused) and answer.reason is reason, f"{reason.name} was to be said, not {answer}")


def offer_that_crosses_an_amendment() -> None:
    """B countersigns before it hears what A had held meanwhile."""
    s = Deal()
    s.award(s.a, 12)
    shown = s.propose(s.draft((1, 2), whole={"id": s.versions(s.a)[0].agreement.id}))
    s.push(s.a)
    s.countersign(shown)
    placed = s.order(s.a, 4)
    s.push(s.a)
    s.push(s.b)
    s.expect(state_of(s, placed) is State.POSTED, "an offer held under the version before was refused")
    s.expect(s.order(s.a, 4).arriving == 2, "what is held now is not held under the new version")
    s.finish()


def offer_that_crosses_a_suspension() -> None:
    """B suspends, and A offers without having heard of it."""
    s = Deal()
    s.award(s.a, 12)
    s.suspend(s.b)
    placed = s.order(s.a, 4)
    s.push(s.a)
    s.exchange()
    s.expect(state_of(s, placed) is State.VOIDED, "an offer was accepted while the agreement was suspended")
    refused(s, s.order(s.a, 4), Reason.AGREEMENT_SUSPENDED)
    s.finish()


def two_orders_at_once_against_one_cap() -> None:
    """Each fits by itself."""
    s = Deal(caps=DAY_CAP)
    s.award(s.a, 20)
    s.orders(s.a, 6, 6)
    s.expect(s.points(s.a) == 14, f"12 units left for another region on a day that allows 10: {s.points(s.a)} stayed")
    s.finish()


def order_behind_a_refusal() -> None:
    """What came back counts no longer: the same may go again."""
    s = Deal(caps=DAY_CAP, review_from=5)
    s.award(s.a, 20)
    placed = s.order(s.a, 6)
    s.push(s.a)
    s.review(s.b, placed, accept=False)
    s.exchange()
    s.expect(isinstance(s.order(s.a, 6), Placed), "what had come back still counted")
    s.finish()


def consent_withdrawn_and_for_somebody_else() -> None:
    """An order names a consent to another region, one that was withdrawn, and one that is good."""
    s = Deal(whole={"consent_required": True, "consent_basis": "PIPL 23"})
    s.award(s.a, 20)
    refused(s, s.order(s.a, 2), Reason.CONSENT_MISSING)
    given = GiveConsent(
        **s._key(), account="x", recipient=s.b.code, contact="0571-1", purpose="relocation", method="message",
        kinds=("points",), expires=20990101,
    )  # type: ignore[arg-type]  # fmt: skip
    withdrawn = s.tell(s.a, given).reference
    s.tell(s.a, WithdrawConsent(id=bytes.fromhex(withdrawn)))
    donation = s.tell(s.a, replace(given, **s._key(), purpose="donation")).reference
    good = s.tell(s.a, replace(given, **s._key())).reference

    def under(consent: str) -> object:
        order = s._order(s.a, 2)
        assert isinstance(order, Order)
        return s.do(s.a, replace(order, consent=consent))

    for reference in (withdrawn, donation, "00" * 16):
        refused(s, under(reference), Reason.CONSENT_NOT_VALID)
    s.expect(isinstance(under(good), Placed), "a good consent was not enough")
    s.finish()


def amendment_of_an_unknown_predecessor() -> None:
    """B signs and sends a version 2 that follows nothing that was ever agreed; and version 2 twice."""
    s = Deal()
    first = s.versions(s.a)[0]
    for number, predecessor in ((2, b"?" * 32), (3, first.digest)):
        forged = replace(first.agreement, version=number, predecessor=predecessor)
        signed = life.sign(forged, signing_key(s.b.code))
        s.forge_request(s.b, Kind.PROPOSE, b"proposal %7d" % number, bodies.encode_propose(signed, b""))
        dealings = s.a.office.agreements.dealings(s.b.code)
        found = next(v for v in dealings.versions if v.digest == life.digest_of(signed))
        s.expect(found.reason == Reason.PREDECESSOR_UNKNOWN, f"an amendment of nothing is {found.state.name}")
    s.finish()


def amendment_signed_by_one_side() -> None:
    """B's answer carries a signature of somebody else; another of B's proposals is signed by nobody who may."""
    s = Deal()
    first = s.versions(s.a)[0]
    shown = s.propose(s.draft((1, 2), whole={"id": first.agreement.id}))
    s.push(s.a)
    forged = life.countersign(shown.version.signed, signing_key("a stranger"))
    body = b"s" * 16 + bodies.encode_countersign(forged, b"")
    s.say(s.b, Draft(Kind.COUNTERSIGN, True, shown.version.request, body))
    s.exchange()
    s.expect([v.agreement.version for v in s.versions(s.a)] == [1], "what one side signed counts as agreed")
    signed = life.sign(replace(first.agreement, version=2, predecessor=first.digest), signing_key("a stranger"))
    s.forge_request(s.b, Kind.PROPOSE, b"signed by nobody", bodies.encode_propose(signed, b""))
    found = s.a.office.agreements.dealings(s.b.code).versions[-1]
    s.expect(found.reason == Reason.DOCUMENT_INVALID, "what nobody signed waits for a countersignature")
