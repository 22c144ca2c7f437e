"""What it costs to decide one transfer under an agreement of 12 categories and 8 caps, out of 20 lots, on each side.

python -m benchmarks.deciding --runs 25
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.figures import Figure, figure, machine, print_table
from benchmarks.gates import GATES
from gateway.protocol.agreement.document import Agreement, Cap, CapScope, Category, Direction, Rate
from gateway.protocol.agreement.in_force import InForce, in_force
from gateway.protocol.agreement.life import Dealings, Said, countersign, hear, sign
from gateway.protocol.agreement.verdict import Consent, Facts, judge
from gateway.protocol.suite import SigningKey
from gateway.protocol.transfer import Source, cut_blocks
from gateway.protocol.values import Kind, Provenance

CATEGORIES, LOTS, DECISIONS = 12, 20, 5_000
TODAY = 20260601
_SOURCE, _DESTINATION = 330100, 330200


def agreed() -> InForce:
    """What two regions have agreed, compiled for one day, with every rule in use."""
    listed = tuple(Category(code=f"category_{n:02}", points=n + 1, hours=1) for n in range(CATEGORIES))
    way = Direction(
        rates=tuple(Rate(category=c.code, becomes=c.code, p=1, q=1) for c in listed),
        smallest=1,
        caps=tuple(Cap(scope=scope, amount=10**15) for scope in CapScope),
        cooling_off_hours=24,
        relocation_months=12,
        review_from=10**12,
    )
    agreement = Agreement(
        federation=bytes(32), environment="benchmark", id=bytes(16), region_a=_SOURCE, region_b=_DESTINATION,
        valid_from=20260101, categories_a=listed, categories_b=listed, a_to_b=way, b_to_a=way, consent_required=True,
        consent_basis="benchmark", identity_required=True, pseudonym_key_a=bytes(32), pseudonym_key_b=b"1" * 32,
    )  # fmt: skip
    keys = {code: SigningKey.from_seed(code.to_bytes(32, "big")) for code in agreement.regions}
    signed = sign(agreement, keys[_SOURCE])
    dealings = Dealings()
    for said in (
        Said(Kind.PROPOSE, _SOURCE, bytes(16), signed),
        Said(Kind.COUNTERSIGN, _DESTINATION, bytes(16), countersign(signed, keys[_DESTINATION])),
    ):
        dealings = hear(dealings, said, lambda code: [keys[code].verify_key])
    found = in_force(dealings, TODAY)
    assert found is not None
    return found


def lots() -> list[Source]:
    """What a resident has, first expiring first."""
    return [Source(n, 50, 20270101 + n, (Provenance(_SOURCE, 20260101, 2, f"activity {n}"),)) for n in range(LOTS)]


def orders(chance: random.Random) -> list[tuple[str, int]]:
    """Categories and amounts; every one takes from all the lots."""
    return [(f"category_{chance.randrange(CATEGORIES):02}", chance.randint(960, 1000)) for _ in range(DECISIONS)]


def at_source(found: InForce, wanted: Sequence[tuple[str, int]]) -> float:
    """CPU microseconds for one decision of an order by all that its source knows."""
    backing = lots()
    begun = time.process_time()
    for category, amount in wanted:
        judge(
            found,
            Facts(
                _SOURCE, _DESTINATION, category, amount, 1, backing, pair_day=amount, pair_month=amount, net=amount,
                sent_day=amount, sent_month=amount, sent_year=amount, sent_ever=amount, relocated=20240101,
                rested_hours=48, consent=Consent.GIVEN,
            ),
        )  # fmt: skip
    return (time.process_time() - begun) / len(wanted) * 1e6


def at_destination(found: InForce, wanted: Sequence[tuple[str, int]]) -> float:
    """CPU microseconds for one decision of an offer by all that its destination knows."""
    slices, _ = cut_blocks(lots(), LOTS * 50, 1)
    begun = time.process_time()
    for category, amount in wanted:
        judge(
            found,
            Facts(
                _SOURCE, _DESTINATION, category, amount, 1, slices, pinned=True, becomes=category, rate=(1, 1),
                version=1, pair_day=amount, pair_month=amount, net=amount, consent=Consent.GIVEN, identity=True,
            ),
        )  # fmt: skip
    return (time.process_time() - begun) / len(wanted) * 1e6


def measure(runs: int = 25) -> list[Figure]:
    """CPU microseconds for one decision, at the source of a transfer and at its destination."""
    found, wanted = agreed(), orders(random.Random(runs))
    source, destination = [], []
    for _ in range(runs):
        source.append(at_source(found, wanted))
        destination.append(at_destination(found, wanted))
    return [
        figure("deciding_cpu_us_source", "µs", source),
        figure("deciding_cpu_us_destination", "µs", destination),
    ]


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deciding", description=__doc__)
    parser.add_argument("--runs", type=int, default=25, help=f"how often {DECISIONS:,} decisions are timed")
    chosen = parser.parse_args()
    print_table(Console(), machine(Path(tempfile.gettempdir())), measure(chosen.runs), GATES)


if __name__ == "__main__":
    main()
