"""What a regional system does once its node came back from a backup: all it was told is done, again, and says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gateway.protocol.errors import Refused
from node.ledger.accounts import AccountState
from node.services.account import OpenAccount, SetAccountState
from node.services.recovery.history import Replayed
from tests.simulation.region import Job
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.clients import Client


class Repeating:
    """Accounts first, then every acknowledged command in the order of the answers; at last it says that this is all.

    What is lost on the way is said again: everything under its key, so that it happens once.
    """

    def __init__(self, client: Client, commands: Sequence[Any]) -> None:
        self.client = client
        self.lineage = client.region.writer.history.lineage
        accounts = client.accounts
        self._commands = [
            *(OpenAccount(name=name) for name in accounts),
            *(SetAccountState(name=name, state=AccountState.OPEN) for name in accounts),
            *commands,
            Replayed(by="city"),
        ]
        self._answered = 0
        self._under_way: list[Job] = []

    @property
    def done(self) -> bool:
        """The node knows that this was all."""
        return self._answered == len(self._commands)

    def go_on(self, count: int) -> int:
        """Hand in some more, unless some still wait. Returns how many."""
        region = self.client.region
        if any(job is waiting for job in self._under_way for waiting in region.inbox):
            return 0
        first = self._answered
        self._under_way = [
            Job(command=command, told=self._told(number))
            for number, command in enumerate(self._commands[first : first + count], first)
        ]
        region.inbox += self._under_way
        return len(self._under_way)

    def _told(self, number: int) -> Callable[[Any], None]:
        def told(answer: Any) -> None:
            command = self._commands[number]
            if number != self._answered:
                return  # one before it was lost: both are said again
            if hasattr(command, "key"):
                self.client.hear_again(command, answer)
            elif isinstance(answer, Exception) and not (
                isinstance(command, SetAccountState | OpenAccount) and isinstance(answer, Refused)
            ):
                raise Violation(f"{self.client.region.code}: {command} is answered {answer!r}")
            self._answered += 1

        return told
