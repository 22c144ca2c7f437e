"""Take one safeguard away, and a promise is broken: what nobody would miss is dead code.

Where no play is named, random histories miss the safeguard. The plays themselves hold as long as nothing is taken away;
so do the random histories, in test_simulation.py. There is one writer per region, so no rule about two of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from gateway.protocol import channel, handshake, limits, standing, suite
from node.services import offer, receive, reversal, seal, sending, transfer
from node.services.exchange import Exchange
from node.store.books import Books
from tests.simulation import plays_of_channels as wire
from tests.simulation import plays_of_points as points
from tests.simulation import removals
from tests.simulation.removals import always, instead, never, nothing
from tests.simulation.replay import play
from tests.simulation.violation import Violation

HISTORIES = 120
"""Random histories within which a missing safeguard must have shown."""

pytestmark = pytest.mark.simulation


class Ablation(NamedTuple):
    """One safeguard."""

    rule: str
    keeps: str  # what it is there for
    remove: Callable[[pytest.MonkeyPatch], None]
    play: Callable[[], None] | None = None  # where it is missed; None: in random histories


# fmt: off
ABLATIONS = [
    # What is written.
    Ablation("atomic", "log, ledger and answers commit in one transaction", removals.torn),
    Ablation("seal_durable", "a head leaves only when what it signs is committed", removals.sign_before_commit),
    Ablation("books_anew", "what a failed transaction left in memory is thrown away", removals.keep_dirty_books),
    Ablation("books_in_doubt", "a commit in doubt is read, not remembered",
             removals.trust_memory, wire.commit_whose_end_is_in_doubt),
    Ablation("numbers", "what waited learns its number when it is sealed", instead(seal, "_tell_number", nothing)),
    Ablation("middle", "what the peer holds of a batch is not sealed again",
             removals.seal_whole_segments, wire.start_in_the_middle_of_a_batch),
    # The channel.
    Ablation("order", "a gap is refused", instead(channel, "is_gap", never)),
    Ablation("duplicate", "what is held is not appended again", instead(channel, "is_duplicate", never)),
    Ablation("any_batching", "an envelope may begin anywhere below what is held",
             instead(channel, "is_gap", removals.not_where_i_stand), wire.envelopes_cut_anew),
    Ablation("epoch", "envelopes of fenced incarnations are stale",
             instead(channel, "is_fenced", never), wire.envelope_from_before_the_fence),
    Ablation("fresh", "only an answer to this incarnation's proposal is believed",
             instead(handshake, "answers", always), wire.answer_to_an_earlier_start),
    Ablation("newer", "a fence only moves up",
             instead(handshake, "is_newer", always), wire.proposal_overtaken_by_its_successor),
    Ablation("epoch_known", "a proposal goes above what the peer has fenced",
             instead(handshake, "fresh_number", removals.number_by_itself), wire.start_with_a_clock_that_was_ahead),
    Ablation("epoch_unique", "a number is not used again, also when both sides forget it",
             instead(handshake, "fresh_number", removals.number_without_clock), wire.number_that_both_have_forgotten),
    Ablation("epoch_both", "the handshake tells the starting side the peer's epoch too",
             removals.forget_peer_epoch, wire.peer_whose_epoch_was_forgotten),
    Ablation("peer_open", "nothing is applied from a peer that is itself starting",
             instead(channel, "is_open", removals.open_alone), wire.peer_that_is_itself_starting),
    Ablation("sealed_anew", "no head under an old epoch over frames of a newer one",
             instead(sending, "is_sealed_anew", never), wire.sender_who_looked_too_early),
    Ablation("seen_final", "a frame that has seen mine makes it final, as a receipt does",
             instead(channel, "hear_seen", removals.as_it_is), points.reversal_right_after_the_answer),
    Ablation("in_step", "nobody has seen what was not said",
             instead(channel, "is_in_step", always), wire.answer_to_what_was_never_said),
    # What is believed.
    Ablation("root", "frames lead to the signed root",
             instead(channel, "leads_to", always), wire.frames_under_somebody_elses_head),
    Ablation("commitment", "a body is the one its frame commits to",
             instead(channel, "_check_frames", nothing), wire.body_of_another_message),
    Ablation("signature", "only a key of the sender signs for it",
             instead(suite, "verify", removals.believe), wire.head_signed_by_a_stranger),
    Ablation("log_named", "what is signed for one log counts in no other",
             instead(Exchange, "_check_log", nothing), wire.head_of_another_log),
    Ablation("skew", "a head is good for ten minutes",
             instead(limits, "CLOCK_SKEW_MS", 1 << 60), wire.message_from_eleven_minutes_ago),
    # What the regional systems ask.
    Ablation("client_key", "an id follows from the caller's key", removals.random_ids),
    Ablation("key_conflict", "a key stands for one content", removals.blind_digests),
    Ablation("one_key", "a key is used for one kind of command", removals.wish_outcomes, points.key_of_an_order),
    Ablation("refusal_frozen", "a refusal is for ever", instead(transfer, "freeze", nothing)),
    Ablation("cancel_asks", "a cancel is a question; wishes and silence void nothing", removals.void_on_cancel),
    # Offers and their answers.
    Ablation("conflict", "an id offered twice has one answer",
             instead(offer, "_conflict", removals.answer_conflict_alone),
             points.offer_under_review_and_another_of_its_name),
    Ablation("one_answer", "an id under review has one answer, whatever else has that id",
             instead(receive, "_under_review", nothing), points.offer_under_review_and_a_riddle_of_its_name),
    Ablation("cancel_order", "a cancel wins only if it comes before the decision",
             instead(offer, "hear_cancel", removals.cancel_whatever)),
    Ablation("reply_unanswered", "a reply is never answered", removals.answer_replies),
    Ablation("first_answer", "only the first answer counts", instead(receive, "is_waiting_for", always)),
    Ablation("transfer_step", "a decided transfer is not decided again", removals.any_step),
    Ablation("conversion", "conversion is exact, and checked at the other side", removals.inexact),
    Ablation("status", "a suspended region makes no offers",
             instead(standing, "passes", always), points.offer_of_a_suspended_region),
    Ablation("terms", "both sides read the same terms",
             instead(offer, "check_terms", nothing), points.offer_under_other_terms),
    Ablation("evidence", "weakly recorded hours stay where they are",
             instead(offer, "check_evidence", nothing), points.offer_of_weak_evidence),
    Ablation("review_again", "a clerk's yes is checked against the account as it is then",
             removals.receiver_in_any_state, points.closing_under_review),
    # Points.
    Ablation("provisional", "points are spendable once the source holds the answer", removals.all_clear),
    Ablation("enough", "nobody spends more than there is, holds counted", removals.choose_anything),
    Ablation("expired", "what has expired is not spent", removals.choose_expired),
    Ablation("held_lives", "what is held does not expire",
             instead(transfer, "is_return", always), points.expiry_of_what_is_held),
    Ablation("room", "no counter overflows", instead(Books, "has_room", always), points.more_than_can_be_counted),
    Ablation("close_empty", "an account closes only when nothing is on its way to it",
             removals.no_counters, points.closing_while_points_are_coming_back),
    Ablation("all_lots", "one lot that is known does not hide the others",
             removals.forget_other_lots, points.refusal_and_reversal_in_one_envelope),
    # Reversals.
    Ablation("unspent", "only what is whole is sent back",
             instead(reversal, "unspent", removals.whatever_is_left), points.reversal_of_what_is_partly_spent),
    Ablation("return_to_closed", "nothing comes back to a closed account",
             removals.holder_open, points.reversal_to_an_account_closed_meanwhile),
    Ablation("reversal_ends", "a request to reverse ends", instead(reversal, "set_state", nothing)),
]
# fmt: on

PLAYS = [
    *sorted({a.play for a in ABLATIONS if a.play is not None}, key=lambda p: p.__name__),
    wire.start_with_a_large_backlog,
    points.return_from_a_suspended_region,
    points.request_to_reverse_said_twice,
]


@pytest.mark.parametrize("ablation", ABLATIONS, ids=lambda a: a.rule)
def test_without_a_safeguard_a_promise_is_broken(ablation: Ablation, monkeypatch: pytest.MonkeyPatch) -> None:
    ablation.remove(monkeypatch)
    if ablation.play is None:
        failures = (play(seed)[1] for seed in range(HISTORIES))
        assert any(f is not None and f.is_broken_promise for f in failures), f"nobody misses it: {ablation.keeps}"
    else:
        with pytest.raises(Violation):
            ablation.play()


@pytest.mark.parametrize("by_hand", PLAYS, ids=lambda p: p.__name__)
def test_with_every_safeguard_the_same_play_ends_well(by_hand: Callable[[], None]) -> None:
    by_hand()
