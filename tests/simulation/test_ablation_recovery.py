"""Take one safeguard of a restore away, and a promise is broken: as :mod:`tests.simulation.test_ablation` for the rest.

Where no play is named, random histories with restores miss the safeguard.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.protocol import handshake, recovery
from node import witness
from node.services.recovery import advance, history, merge, redo
from tests.simulation import plays_of_restores as plays
from tests.simulation import removals_of_recovery as removals
from tests.simulation.removals import always, instead, never, nothing
from tests.simulation.replay import play
from tests.simulation.test_ablation import Ablation
from tests.simulation.violation import Violation

HISTORIES = 150
"""Random histories within which a missing safeguard must have shown."""

pytestmark = pytest.mark.simulation

# fmt: off
ABLATIONS = [
    # What is noticed.
    Ablation("witness", "a restore is noticed", instead(witness, "judge", removals.noticed_never)),
    Ablation("lineage", "a backup of a history that was left is refused", removals.any_lineage),
    Ablation("forgetful", "a peer that was restored itself says nothing about my history",
             instead(handshake, "is_forgetful", never), plays.peer_that_was_restored_itself),
    # What comes back.
    Ablation("pull_own", "own lost messages come back before new ones are said",
             instead(handshake, "holds_prefix", always)),
    Ablation("redo", "what comes back is done again, not only known again", removals.append_only),
    Ablation("merge_seen", "both logs come back in the order in which they happened",
             instead(recovery, "true_order", removals.mine_first)),
    Ablation("both_logs", "own messages come back with what they had seen", removals.mine_alone),
    Ablation("page_fits", "a page that comes twice is taken once", instead(recovery, "fits", removals.any_page)),
    Ablation("local_ref", "a message says to its own region whose points it moves",
             instead(redo, "read", removals.no_record)),
    Ablation("undecided", "a request that nobody has answered is decided in the end",
             instead(merge, "_keep_undecided", nothing), plays.request_before_a_clerk),
    Ablation("keep_log", "what was receipted is sent again to a peer that has lost it", removals.only_what_is_new),
    # What waits.
    Ablation("gate_peer", "nobody is debited before all peers have given back what they hold",
             instead(history, "outstanding", removals.nobody_outstanding)),
    Ablation("gate_local", "nobody is debited before what was acknowledged is repeated",
             removals.whole_without_replay),
    Ablation("gate", "nobody is debited while it may have been before", instead(history, "check_debit", nothing)),
    Ablation("decided_once", "what was decided and comes back is not decided anew",
             instead(history, "check_known", nothing)),
    # What is repeated.
    Ablation("forced", "what was acknowledged is done again whatever is there", instead(history, "forces", never)),
    Ablation("repaid", "what was advanced comes back from later credits", instead(advance, "_repay", nothing)),
]
# fmt: on


PLAYS = [plays.peer_that_was_restored_itself, plays.request_before_a_clerk, plays.two_that_give_back_to_each_other]


@pytest.mark.parametrize("by_hand", PLAYS, ids=lambda p: p.__name__)
def test_with_every_safeguard_of_a_restore_the_same_play_ends_well(by_hand: Callable[[], None]) -> None:
    by_hand()


@pytest.mark.parametrize("ablation", ABLATIONS, ids=lambda a: a.rule)
def test_without_a_safeguard_of_a_restore_a_promise_is_broken(
    ablation: Ablation, monkeypatch: pytest.MonkeyPatch
) -> None:
    ablation.remove(monkeypatch)
    if ablation.play is None:
        failures = (play(seed, restores=True)[1] for seed in range(HISTORIES))
        assert any(f is not None and f.is_broken_promise for f in failures), f"nobody misses it: {ablation.keeps}"
    else:
        with pytest.raises(Violation):
            ablation.play()
