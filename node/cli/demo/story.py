"""Everything that was seen on the way, chapter by chapter."""

from __future__ import annotations

from dataclasses import dataclass

from node.cli.demo.agreeing import Agreed
from node.cli.demo.attesting import Attested
from node.cli.demo.redeeming import Trips
from node.cli.demo.restored import Restore
from node.cli.demo.swindle import TakenBack


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """What the checks and the report take from it."""

    agreed: Agreed
    trips: Trips
    attested: Attested
    restore: Restore
    taken_back: TakenBack
