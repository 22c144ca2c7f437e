"""A stage on which two regions have agreed, and whose people do more than move points. Nothing here is by chance."""

from __future__ import annotations

from typing import Any

from gateway.protocol.agreement.document import Agreement, Direction, NoticeKind
from gateway.protocol.agreement.life import Version
from gateway.protocol.values import Draft, Kind
from node.services.agreement.signing import Countersign, GiveNotice, Propose, Shown
from node.services.clawback.orders import GoOn, StartClawback
from node.services.dispute.steps import Open, Say
from node.services.roaming.counter import AskToHold, Capture
from node.services.roaming.home import NewCode
from tests.federation import CATEGORIES
from tests.simulation import dealt, quiet_dealings
from tests.simulation.bargains import agreed_rates, listed
from tests.simulation.dealt import Purchase
from tests.simulation.region import Job, SimRegion
from tests.simulation.stage import Stage

MINUTE_MS = 60_000
FRAUD = "虚假活动"
THIRD = 330400
TWO = {"by": "Li", "checked_by": "Wang"}


class Deal(Stage):
    """See the module. Everything goes one for one, unless a direction is changed; `caps`, say, of A's."""

    def __init__(self, *, restores: bool = False, agreed: bool = True, **changes: Any) -> None:
        super().__init__(restores=restores)
        self.exchange()
        if agreed:
            self.agree(**changes)

    # -- agreements --------------------------------------------------------------------------------------------------

    def draft(self, rate: tuple[int, int] = (1, 1), *, whole: dict[str, Any] | None = None, **a_to_b: Any) -> Agreement:
        """From today on; `a_to_b` changes that direction, `whole` the rest."""
        given: dict[str, Any] = {
            "federation": b"", "environment": "", "id": b"", "region_a": self.a.code, "region_b": self.b.code,
            "valid_from": self.a.office.today(self.a.clock()), "categories_a": listed(), "categories_b": listed(),
            "a_to_b": Direction(**{"rates": agreed_rates(*rate), **a_to_b}),
            "b_to_a": Direction(rates=agreed_rates(*rate[::-1])), "pinned_days": 3,
        }  # fmt: skip
        return Agreement(**given | (whole or {}))

    def propose(self, agreement: Agreement) -> Any:
        """A signs; nothing is delivered yet."""
        return self.tell(self.a, Propose(**self._key(), **TWO, agreement=agreement))

    def countersign(self, shown: Shown) -> Any:
        """B signs the same."""
        return self.tell(
            self.b, Countersign(peer=self.a.code, digest=shown.version.digest, by="Zhao", checked_by="Qian")
        )

    def agree(self, rate: tuple[int, int] = (1, 1), *, amends: Version | None = None, **changes: Any) -> Version:
        """Both sign, and know it."""
        whole = changes.pop("whole", {}) | ({"id": amends.agreement.id} if amends is not None else {})
        shown = self.propose(self.draft(rate, whole=whole, **changes))
        self.push(self.a)
        self.countersign(shown)
        self.push(self.b)
        self.exchange()
        self.expect(self.versions(self.a)[-1] == self.versions(self.b)[-1], "the two did not agree")
        return self.versions(self.a)[-1]

    def versions(self, region: SimRegion) -> list[Version]:
        """What is signed by both, as a region holds it."""
        peer = self.b if region is self.a else self.a
        return region.office.agreements.dealings(peer.code).agreed()

    def suspend(self, region: SimRegion) -> Any:
        """From today on."""
        said = GiveNotice(**self._key(), **TWO, agreement=self.versions(region)[-1].agreement.id,
                          what=NoticeKind.SUSPEND)  # fmt: skip
        return self.tell(region, said)

    # -- visitors of B -----------------------------------------------------------------------------------------------

    def code(self) -> str:
        """A's resident sets out."""
        text: str = self.tell(self.a, NewCode(account="x")).code
        return text

    def buy(self, code: str, amount: int) -> bytes:
        """A counter of B asks A; its id. Nothing is delivered yet."""
        asked = AskToHold(**self._key(), code=code, category=CATEGORIES[0], amount=amount, minutes=5)
        return bytes.fromhex(self.tell(self.b, asked).id)

    def capture(self, purchase: bytes, amount: int = 0) -> Any:
        """The goods went over the counter."""
        return self.tell(self.b, Capture(**self._key(), authorisation=purchase, amount=amount))

    def purchase(self, region: SimRegion, id_: bytes) -> Purchase | None:
        """As a region has it."""
        return next((p for p in dealt.purchases(self.world.ledgers[region.code]) if p.id == id_), None)

    # -- frauds of A, and disputes -----------------------------------------------------------------------------------

    def take_back(self) -> Any:
        """What A awarded for it."""
        return self.tell(self.a, StartClawback(**self._key(), **TWO, activity=FRAUD, category=CATEGORIES[0]))

    def look_again(self) -> None:
        """Both regions, until nothing waits."""
        for _ in range(3):
            for region in (self.a, self.b):
                self.tell(region, GoOn())
            self.exchange()

    def dispute(self, transfer: Any, **more: Any) -> Any:
        """A disputes one of its transfers to B."""
        said = Open(**self._key(), peer=self.b.code, matter=1, id=bytes.fromhex(transfer.id), **more)  # type: ignore[arg-type]
        row = self.tell(self.a, said)
        self.exchange()
        return row

    def step(self, region: SimRegion, dispute: bytes, act: int, **more: Any) -> Any:
        """The next step of it."""
        row = self.tell(region, Say(**self._key(), dispute=dispute, act=act, **more))  # type: ignore[arg-type]
        self.exchange()
        return row

    # -- the rest ----------------------------------------------------------------------------------------------------

    def tell(self, region: SimRegion, command: Any) -> Any:
        """One command that is no business of the regional system; its answer."""
        answers: list[Any] = []
        region.inbox.append(Job(command=command, told=answers.append))
        self.world.commit(region)
        return answers[0] if answers else None

    def forge_request(self, region: SimRegion, kind: Kind, id_: bytes, body: bytes, *amounts: Any) -> None:
        """Let the region say what no service would, and deliver it."""
        self.say(region, Draft(kind, False, id_, b"s" * 16 + body, *amounts))
        self.exchange()

    def finish(self) -> None:
        """As on every stage; and both sides hold the same of every dealing."""
        super().finish()
        quiet_dealings.check_both_sides(self.world)
