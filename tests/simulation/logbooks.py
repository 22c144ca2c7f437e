"""What must hold between the logs of all regions at every moment: they only grow, and what is held was said."""

from __future__ import annotations

from gateway.protocol import merkle
from gateway.protocol.channel import Channel, Condition
from gateway.protocol.merkle import Frontier
from gateway.protocol.transfer import State
from tests.simulation.ledgers import LedgerWatch, Row
from tests.simulation.region import SimRegion
from tests.simulation.violation import Violation


class LogWatch:
    """Keeps every log as it was seen: own logs up to what is final, inbound ones whole."""

    def __init__(self, regions: dict[int, SimRegion]) -> None:
        self.regions = regions
        self.out: dict[tuple[int, int], list[bytes]] = {}  # (source, destination) -> frames as their source has them
        self.inn: dict[tuple[int, int], list[bytes]] = {}  # -> frames as their destination has them
        self.final: dict[tuple[int, int], int] = {}
        self._receipts: dict[int, int] = {}
        self._furthest: dict[tuple[int, int], int] = {}  # the most of a log that its destination ever held

    def restored(self, region: SimRegion) -> None:
        """What the region has is read anew: its own logs, and its copies of the others'."""
        code = region.code
        for log in [log for log in {*self.out, *self.inn} if code in log]:
            if log[0] == code:
                self.out.pop(log, None)
                self.final.pop(log, None)
            else:
                self.inn.pop(log, None)
        self._receipts.pop(code, None)

    def check(self) -> None:
        """Raises Violation."""
        # Where the witness failed behind a commit, the region reads what became of it with the next one.
        told = {code: region for code, region in self.regions.items() if not region.is_in_doubt()}
        for code, region in told.items():
            for peer, channel in region.writer.channels.items():
                self._grow(region, code, peer, channel)
                returning = channel.condition is Condition.RESTORED and region.is_behind(peer)
                if channel.condition is not Condition.OPEN and not returning:
                    raise Violation(f"{code} finds its channel to an honest {peer} {channel.condition.name}")
        for (source, destination), held in self.inn.items():
            said = self.out.get((source, destination), [])
            final = self.final.get((source, destination), 0)
            furthest = max(len(held), self._furthest.get((source, destination), 0))
            self._furthest[source, destination] = furthest
            known = min(final, len(held)) if self.regions[source].is_behind(destination) else len(held)
            if said[:known] != held[:known]:
                known = next((i for i, (a, b) in enumerate(zip(said, held, strict=False)) if a != b), len(said))
                raise Violation(
                    f"{destination} holds {len(held)} frames of {source}, who says others from number {known} on"
                )
            if furthest < final:
                raise Violation(f"{source} believes {destination} to hold more than the {furthest} frames it ever had")
        for region in told.values():
            self._check_receipts(region)

    def _grow(self, region: SimRegion, code: int, peer: int, channel: Channel) -> None:
        final = self.final.get((code, peer), 0)
        if channel.final < final:
            raise Violation(f"{code}: what {peer} is known to hold shrinks from {final} to {channel.final}")
        out = self.out.setdefault((code, peer), [])
        del out[final:]
        out += region.frames(code, peer, final)[0]
        self.final[code, peer] = channel.final
        inn = self.inn.setdefault((peer, code), [])
        inn += region.frames(peer, code, len(inn))[0]
        for frames, frontier in ((out, channel.out_frontier), (inn, channel.in_frontier)):
            if len(frames) != frontier.size:
                raise Violation(f"{code}: {len(frames)} frames are stored, the channel to {peer} says {frontier.size}")

    def _check_receipts(self, region: SimRegion) -> None:
        """Every receipt, given or got, is over a prefix that is there."""
        for rowid, source, destination, size, root, signed in region.rows(
            "SELECT r.rowid, l.source, l.destination, r.size, r.root, r.signed FROM receipt r "
            "JOIN log l ON l.no = r.log WHERE r.rowid > ? ORDER BY r.rowid",
            self._receipts.get(region.code, 0),
        ):
            frames = (self.out if signed is not None else self.inn)[source, destination]
            if len(frames) < size or root_of(frames[:size]) != root:
                raise Violation(f"{region.code} keeps a receipt over {size} frames {source}->{destination} that differ")
            self._receipts[region.code] = rowid


def root_of(frames: list[bytes]) -> bytes:
    """The root of a log of these frames."""
    return Frontier().extend(merkle.leaf_hashes(frames)).root()


def check_pairs(ledgers: dict[int, LedgerWatch]) -> None:
    """No two regions may ever have decided a transfer differently, but for one that has lost what it decided and not
    got it back yet. Raises Violation."""
    states = {code: ledger.by_id() for code, ledger in ledgers.items()}
    for code, transfers in states.items():
        for (transfer_id, source), mine in transfers.items():
            if source != code:
                continue
            if ledgers[mine.destination].region.is_behind(source):
                continue
            theirs = states[mine.destination].get((transfer_id, source))
            if not fit(mine, theirs):
                other = theirs.state.name if theirs else "absent"
                raise Violation(f"transfer {transfer_id.hex()}: {mine.state.name} at {source}, {other} at its end")


def fit(mine: Row, theirs: Row | None) -> bool:
    """Whether source and destination can both be as they are."""
    if theirs is None:
        return mine.state in (State.HELD, State.VOIDED)
    if mine.state is State.POSTED:
        return theirs.state is State.ACCEPTED
    if mine.state is State.VOIDED:
        return theirs.state is State.REFUSED
    return True
