"""What the people of one region do besides moving points: they agree, travel, take back, dispute, attest and penalise.

They look into the database of their node for what there is, so that nothing they forgot after a restore misleads them;
whether what is answered is right is told by what must hold, not by them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from node.services.office import Office
from tests.simulation.bargains import Bargains
from tests.simulation.clients import Client
from tests.simulation.region import Job, SimRegion

REMEMBERED = 12
"""Commands that may be given again."""


@dataclass
class Dealer:
    """See the module. `codes`: what residents anywhere show at counters; shared by all dealers."""

    region: SimRegion
    client: Client
    chance: random.Random
    bargains: Bargains
    fellows: dict[int, Dealer]  # those of all regions
    codes: list[tuple[int, str]]  # and whose
    shares: list[tuple[int, Any]]  # what residents take along to be attested, and to whom
    made: int = 0
    said: list[Any] = field(default_factory=list)

    @property
    def office(self) -> Office:
        """Of the region."""
        return self.region.office

    @property
    def today(self) -> int:
        """The business date there."""
        return self.office.today(self.region.clock())

    def key(self) -> dict[str, str]:
        """A fresh key."""
        self.made += 1
        return {"client": "people", "key": f"{self.region.code} {self.made:06x}"}

    def peer(self) -> int:
        """Any other region."""
        return self.chance.choice(self.client.peers)

    def rows(self, sql: str, *parameters: Any) -> list[Any]:
        """What a query finds in the committed database."""
        return self.region.rows(sql, *parameters)

    def say(self, command: Any, told: Callable[[Any], None] | None = None) -> Job:
        """The command waits for the writer."""
        job = Job(command=command, told=told)
        self.region.inbox.append(job)
        self.said = [*self.said[1 - REMEMBERED :], command]
        return job

    def something(self) -> Job | None:
        """Anything anybody may think of."""
        if self.said and self.chance.random() < 0.08:
            return self.say(self.chance.choice(self.said))
        return self.chance.choices([act for act, _ in ACTS], [weight for _, weight in ACTS])[0](self)

    def tidy(self) -> None:
        """Bring to an end whatever waits for somebody here."""
        for end in ENDS:
            end(self)


Act = Callable[[Dealer], Job | None]
ACTS: list[tuple[Act, int]] = []
"""What they do, and how often against each other; filled by the modules of the nouns."""
ENDS: list[Callable[[Dealer], None]] = []
"""What brings everything to its end."""
