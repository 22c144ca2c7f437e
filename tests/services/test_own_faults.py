"""A fault of this region's own in the middle of a command: nothing of that command stays, and the others stand."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from gateway.protocol.errors import OwnFault
from node.ledger.accounts import AccountKind
from node.services.account import OpenAccount
from node.services.command import HANDLERS, Handler
from node.services.office import Office
from node.store.batch import Batch, Wishes
from tests.services.conftest import Regions
from tests.services.delivery import A
from tests.services.ledger import rows


@dataclass(frozen=True)
class Halfway:
    """A command that finds a contradiction after its first change."""

    error: Exception


def _wishes(command: Halfway, office: Office, wishes: Wishes) -> None:
    """Looks at nothing."""


def _decide(command: Halfway, office: Office, batch: Batch) -> None:
    batch.open_account("half", AccountKind.RESIDENT)
    raise command.error


@pytest.mark.parametrize("error", [OwnFault("a contradiction"), KeyError("a resident")])
def test_half_a_command_is_not_committed(regions: Regions, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setitem(HANDLERS, Halfway, Handler(_wishes, _decide))
    a = regions().regions[A]
    answers = a.do(OpenAccount(name="before"), Halfway(error), OpenAccount(name="after"))
    assert answers[1] is error
    assert [row[1] for row in rows(a, "account")["account"]] == ["before", "after"]
    with pytest.raises(type(error)):
        a.exchange.answers(None, answers[1])
    with pytest.raises(type(error)):
        a.do(Halfway(error))
