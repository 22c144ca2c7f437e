"""Take one safeguard of agreements, purchases, clawbacks or disputes away, and a promise is broken: as
:mod:`tests.simulation.test_ablation` for the rest. Each is missed in a play, which ends well as long as it is there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.protocol import dispute, roaming
from gateway.protocol.agreement import life as agreement_life
from gateway.protocol.agreement import rules as agreement_rules
from gateway.protocol.agreement.life import State
from gateway.protocol.values import Kind, Reason
from node.services import consent
from node.services.agreement import judging
from node.services.dispute import frozen
from node.store import authorisations
from tests.simulation import plays_of_agreements as agreeing
from tests.simulation import plays_of_dealings as dealing
from tests.simulation import removals_of_dealings as removals
from tests.simulation.removals import always, instead, nothing
from tests.simulation.test_ablation import Ablation
from tests.simulation.violation import Violation

pytestmark = pytest.mark.simulation

# fmt: off
ABLATIONS = [
    # Agreements.
    Ablation("pinned", "what was held under the version before is honoured",
             removals.held_reason(State.REPLACED, int(Reason.AGREEMENT_NOT_IN_FORCE)),
             agreeing.offer_that_crosses_an_amendment),
    Ablation("suspended", "nothing moves once one of the two has suspended, whoever has not heard of it",
             removals.held_reason(State.SUSPENDED, 0), agreeing.offer_that_crosses_a_suspension),
    Ablation("caps_counted", "what is held counts at once against the caps",
             instead(judging, "count_held", nothing), agreeing.two_orders_at_once_against_one_cap),
    Ablation("caps_given_back", "what comes back counts no longer",
             instead(judging, "count_settled", nothing), agreeing.order_behind_a_refusal),
    Ablation("consent", "nothing leaves without a consent that covers it",
             instead(consent, "consent_for", removals.any_consent),
             agreeing.consent_withdrawn_and_for_somebody_else),
    Ablation("predecessor", "an amendment follows the newest version, by its hash",
             instead(agreement_rules, "_check_predecessor", nothing), agreeing.amendment_of_an_unknown_predecessor),
    Ablation("both_sign", "only what both regions signed is agreed",
             instead(agreement_life, "signers", always), agreeing.amendment_signed_by_one_side),
    # Purchases away from home.
    Ablation("code_once", "a code pays for one purchase",
             instead(authorisations, "use_code", nothing), dealing.code_shown_twice),
    Ablation("above", "no more is captured than was authorised",
             instead(roaming, "heard_capture", removals.capture_whatever), dealing.capture_above_what_was_authorised),
    Ablation("silence", "a hold ends when the counter says so, and never by the clock at home",
             removals.end_by_the_clock, dealing.captured_in_time_and_heard_late),
    Ablation("request_once", "a request has one answer, whatever else comes under its id",
             removals.answer_every_time, dealing.request_said_twice),
    Ablation("hold_again", "what was held for a counter is held again after a restore",
             removals.forget(Kind.AUTHORISE, "answered_again"), dealing.purchase_that_home_forgot),
    Ablation("capture_again", "what a counter captured has left again after a restore",
             removals.forget(Kind.CAPTURE, "answered_again"), dealing.purchase_that_home_forgot),
    Ablation("ask_again", "a counter knows after a restore what it asked for",
             removals.forget(Kind.AUTHORISE, "asked_again"), dealing.purchase_that_the_counter_forgot),
    # Clawbacks.
    Ablation("answered_last", "a clawback is answered when everything further on is",
             removals.wait_for_nobody, dealing.fraud_that_came_home_again),
    Ablation("claims", "whoever owes keeps the claim as well as whoever is owed",
             removals.claim_one_sided, dealing.fraud_that_came_home_again),
    Ablation("taken_again", "what was taken back is taken back again after a restore",
             removals.forget(Kind.CLAWBACK, "answered_again"), dealing.clawback_that_the_asked_region_forgot),
    # Disputes.
    Ablation("frozen", "what is disputed is not spent",
             instead(frozen, "freeze", removals.leave_as_it_is), dealing.spending_what_is_disputed),
    Ablation("ruling", "only the arbitrator's own signature makes a ruling",
             instead(dispute, "check_signed", nothing), dealing.ruling_that_the_arbitrator_did_not_sign),
]
# fmt: on

PLAYS = [
    *sorted({a.play for a in ABLATIONS if a.play is not None}, key=lambda p: p.__name__),
    dealing.fraud_taken_back_twice,
    dealing.settled_for_less_than_can_go_back,
    dealing.claim_of_what_is_disputed,
]


@pytest.mark.parametrize("by_hand", PLAYS, ids=lambda p: p.__name__)
def test_with_every_safeguard_of_dealings_the_same_play_ends_well(by_hand: Callable[[], None]) -> None:
    by_hand()


@pytest.mark.parametrize("ablation", ABLATIONS, ids=lambda a: a.rule)
def test_without_a_safeguard_of_dealings_a_promise_is_broken(
    ablation: Ablation, monkeypatch: pytest.MonkeyPatch
) -> None:
    ablation.remove(monkeypatch)
    assert ablation.play is not None
    with pytest.raises(Violation):
        ablation.play()
