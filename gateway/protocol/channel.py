"""One channel: the two logs between a pair of regions, as one of them sees it.

Decides and does no I/O: every function takes the channel, what was heard, and the few facts of history it needs, and
returns the channel as it will be once the caller has committed. Committing, signing and sending are the caller's.
The rules are numbered as in proto/SPEC.md. Each safeguard is a function of its own, so that a test can take it away
and show the damage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from gateway.protocol import codec, limits, merkle
from gateway.protocol.errors import Contradicted, Malformed, Restored, TooLarge
from gateway.protocol.merkle import Frontier, Nodes
from gateway.protocol.values import NO_EPOCH, Draft, Epoch, Fenced, Frame, Gap, Head, Log, NotReady, Receipt, Stale

EMPTY = Frontier()


class Condition(IntEnum):
    """Whether a channel may be used."""

    OPEN = 1
    QUARANTINED = 2  # the peer contradicted itself; evidence is stored
    RESTORED = 3  # the peer holds more of my log than I do, and gives it back: this node came from a backup
    ABANDONED = 4  # this node runs on a history that was left: it needs an older backup
    CLOSED = 5  # the peer will not answer again, and what was open with it is ended


STOPPED = frozenset({Condition.QUARANTINED, Condition.ABANDONED, Condition.CLOSED})
"""What a channel does not get out of by itself: nothing is asked, and questions alone are answered."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """State of one channel. What is durable is committed with the transaction that changes it."""

    out: Log  # the log from me
    # -- durable
    condition: Condition = Condition.OPEN
    epoch: Epoch = NO_EPOCH  # mine, once the peer has fenced it
    out_frontier: Frontier = EMPTY
    final: int = 0  # prefix of `out` the peer is known to hold: never sealed again
    in_frontier: Frontier = EMPTY
    in_epoch: int = 0  # of the last frame held
    in_seen: int = 0  # of the last frame held
    peer_epoch: Epoch = NO_EPOCH  # the newest of the peer's epochs; older ones are fenced
    receipt: Receipt | None = None  # my latest over `into`
    receipted: int = 0  # prefix of `out` for which the peer's signed receipt is stored
    # -- volatile: gone with the process
    proposal: Epoch = NO_EPOCH  # of this incarnation, until the peer has fenced it
    ready: bool = False  # my epoch is fenced: I may seal and apply
    fenced: Fenced | None = None  # the answer to the proposal, while the peer gives back what I lost
    peer_open: bool = False  # the peer has said, since its own start, that it is ready
    cursor: int = 0  # where the peer said it stands: send on from here
    rewinds: int = 0  # how often it said so
    credit: int = 0  # the size my log may grow to at the peer

    @property
    def into(self) -> Log:
        """The log from the peer."""
        return self.out.opposite()

    @property
    def peer(self) -> int:
        """The other region's code."""
        return self.out.destination

    @property
    def size(self) -> int:
        """Frames in the log from me."""
        return self.out_frontier.size

    @property
    def held(self) -> int:
        """Frames of the peer's log that I hold."""
        return self.in_frontier.size

    @property
    def granted(self) -> int:
        """The size I let the peer's log grow to before my next receipt."""
        return self.held + limits.CREDIT_FRAMES

    @property
    def sealing(self) -> bool:
        """Whether rows may be numbered now."""
        return self.ready and self.condition is Condition.OPEN

    def with_volatile_of(self, other: Channel) -> Channel:
        """What is durable of this channel, read anew, with what this process remembers of it."""
        return replace(
            self,
            proposal=other.proposal,
            ready=other.ready,
            fenced=other.fenced,
            peer_open=other.peer_open,
            cursor=other.cursor,
            rewinds=other.rewinds,
            credit=other.credit,
        )


# -- 2. sealing -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Sealed:
    """Frames that got their numbers: `first` on, with the tree nodes to keep. The head may be signed after commit."""

    first: int
    epoch: int
    frames: list[bytes]
    bodies: list[bytes]
    frontier: Frontier
    nodes: list[merkle.Node]


def seal(channel: Channel, drafts: Sequence[Draft]) -> tuple[Channel, Sealed]:
    """Number `drafts` at the end of my log. All of them have seen what I hold of the peer's log now."""
    seen, epoch = channel.held, channel.epoch.number
    frames = [codec.encode_frame(draft, seen, epoch) for draft in drafts]
    frontier, nodes = channel.out_frontier.extend_with_nodes(merkle.leaf_hashes(frames))
    sealed = Sealed(
        first=channel.size,
        epoch=epoch,
        frames=frames,
        bodies=[draft.body for draft in drafts],
        frontier=frontier,
        nodes=nodes,
    )
    return replace(channel, out_frontier=frontier), sealed


def raise_final(channel: Channel, size: int) -> Channel:
    """The peer is known to hold my first `size` frames."""
    return replace(channel, final=size) if size > channel.final else channel


def rewind(channel: Channel, size: int) -> Channel:
    """The peer holds `size` frames: send on from there."""
    return replace(channel, cursor=size, rewinds=channel.rewinds + 1)


# -- 4. receiving -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Append:
    """The suffix to append and apply in one transaction: frames from number `held` on."""

    skip: int  # frames of the envelope that I hold already
    frontier: Frontier
    nodes: list[merkle.Node]


@dataclass(frozen=True, kw_only=True, slots=True)
class Duplicate:
    """Nothing new: answer with the latest receipt."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutOfStep:
    """The frames have seen messages I do not know of: commit nothing, ask, then resume."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fork:
    """The head contradicts an earlier one at `size`: what it names there, and what I hold."""

    size: int
    theirs: bytes
    mine: bytes
    consistency: tuple[bytes, ...]  # from (size, theirs) to the head, where the head does not name it itself


Verdict = NotReady | Stale | Gap | Duplicate | OutOfStep | Fork | Append


def is_open(channel: Channel) -> bool:
    """Both sides have been fenced since their own starts."""
    return channel.ready and channel.peer_open and channel.condition is Condition.OPEN


def is_fenced(channel: Channel, head: Head) -> bool:
    """The head is of another incarnation of the peer than the one I know."""
    return head.epoch != channel.peer_epoch


def is_gap(channel: Channel, head: Head) -> bool:
    """The envelope begins after what I hold."""
    return head.first > channel.held


def is_duplicate(channel: Channel, head: Head) -> bool:
    """I hold everything the envelope leads to, whatever batches it once came in."""
    return head.size <= channel.held


def leads_to(frontier: Frontier, head: Head) -> bool:
    """The frames lead from what I hold to the very root that is signed."""
    return frontier.root() == head.root


def overlap_leads_to(head: Head, raw: Sequence[bytes], nodes: Nodes) -> bool:
    """What the envelope repeats is covered by the head too: all its frames lead to the root, not the new ones only."""
    return merkle.frontier_at(nodes, head.first).extend(merkle.leaf_hashes(raw)).root() == head.root


def is_in_step(channel: Channel, frames: Sequence[Frame]) -> bool:
    """`seen` never falls and never names messages of mine that do not exist."""
    seen = channel.in_seen
    for frame in frames:
        if frame.seen < seen:
            return False
        seen = frame.seen
    return seen <= channel.size


def judge(
    channel: Channel, head: Head, raw: Sequence[bytes], frames: Sequence[Frame], bodies: Sequence[bytes], nodes: Nodes
) -> Verdict:
    """What to do with an authentic envelope (SPEC section 4). `nodes` are of my copy of the peer's log.

    `frames` are `raw` parsed. Raises Malformed or TooLarge where the envelope breaks a rule: nothing is committed.
    """
    if not is_open(channel):
        return NotReady()
    if is_fenced(channel, head):
        return Stale(log=channel.out, echo=head.epoch, known=channel.peer_epoch)
    if head.first + len(raw) != head.size or len(raw) != len(bodies):
        raise Malformed(f"{len(raw)} frames and {len(bodies)} bodies cannot reach from {head.first} to {head.size}")
    if is_gap(channel, head):
        return Gap(size=channel.held)
    if head.size > channel.granted:
        raise TooLarge(f"the log may grow to {channel.granted}, not {head.size}, before the next receipt")
    first_root = root_at(channel.in_frontier, nodes, head.first)
    if head.first_root != first_root:  # also where first is 0: such a head contradicts the tree itself
        return Fork(size=head.first, theirs=head.first_root, mine=first_root, consistency=())
    if is_duplicate(channel, head):
        root = root_at(channel.in_frontier, nodes, head.size)
        return Duplicate() if root == head.root else Fork(size=head.size, theirs=head.root, mine=root, consistency=())
    skip = channel.held - head.first
    frontier, new_nodes = channel.in_frontier.extend_with_nodes(merkle.leaf_hashes(raw[skip:]))
    if not leads_to(frontier, head):
        return _fork_below(channel, head, raw, nodes)
    if skip and not overlap_leads_to(head, raw, nodes):
        raise Malformed("the frames do not lead to the signed root: those held already are not what was sent before")
    _check_frames(channel, head, frames[skip:], bodies[skip:])
    if not is_in_step(channel, frames[skip:]):
        return OutOfStep()
    return Append(skip=skip, frontier=frontier, nodes=new_nodes)


def _check_frames(channel: Channel, head: Head, frames: Sequence[Frame], bodies: Sequence[bytes]) -> None:
    epoch = channel.in_epoch
    for frame, body in zip(frames, bodies, strict=True):
        if frame.epoch < epoch or frame.epoch > head.epoch.number:
            raise Malformed("Frame.epoch must not fall along the log nor exceed the head's")
        epoch = frame.epoch
        if body and codec.commitment(body) != frame.commitment:
            raise Malformed("a body is not the one its frame commits to")


def _fork_below(channel: Channel, head: Head, raw: Sequence[bytes], nodes: Nodes) -> Fork:
    """The suffix does not lead to the signed root. A fork if the peer's own frames do; otherwise it is malformed."""
    skip = channel.held - head.first
    leaves = merkle.leaf_hashes(raw)
    whole = merkle.frontier_at(nodes, head.first).extend(leaves)
    if skip == 0 or whole.root() != head.root:
        raise Malformed("the frames do not lead to the signed root")
    theirs = _Overlay(nodes, head.first, leaves)
    return Fork(
        size=channel.held,
        theirs=merkle.root_at(theirs, channel.held),
        mine=channel.in_frontier.root(),
        consistency=tuple(merkle.consistency_proof(theirs, channel.held, head.size)),
    )


class _Overlay:
    """Nodes of a stored tree whose leaves from `first` on are replaced."""

    def __init__(self, nodes: Nodes, first: int, leaves: Sequence[bytes]) -> None:
        self._nodes, self._first, self._leaves = nodes, first, leaves

    def node(self, level: int, index: int) -> bytes:
        if (index + 1) << level <= self._first:
            return self._nodes.node(level, index)
        if level == 0:
            return self._leaves[index - self._first]
        return merkle.node_hash(self.node(level - 1, 2 * index), self.node(level - 1, 2 * index + 1))


def root_at(frontier: Frontier, nodes: Nodes, size: int) -> bytes:
    """The root a log had at `size`, from its frontier where that suffices."""
    return frontier.root() if size == frontier.size else merkle.root_at(nodes, size)


def append(channel: Channel, verdict: Append, head: Head, frames: Sequence[Frame], now_ms: int) -> Channel:
    """The channel once the suffix is committed: with my receipt over it, and `final` raised from what it had seen."""
    last = frames[-1]
    receipt = Receipt(
        log=channel.into,
        epoch=head.epoch,
        size=verdict.frontier.size,
        root=verdict.frontier.root(),
        received_at_ms=now_ms,
    )
    channel = replace(channel, in_frontier=verdict.frontier, in_epoch=last.epoch, in_seen=last.seen, receipt=receipt)
    return hear_seen(channel, last.seen)


def hear_seen(channel: Channel, seen: int) -> Channel:
    """A frame that has seen so many of mine makes them final, as a receipt does."""
    return raise_final(channel, seen)


def hear_receipt(channel: Channel, receipt: Receipt, nodes: Nodes) -> Channel:
    """The peer has committed a prefix of my log. `nodes` are of my own log.

    Raises Restored when it receipts what I never sealed, Contradicted when it receipts another prefix than mine in the
    epoch that runs, Malformed when it does so for one that I never had.
    """
    running = channel.ready and receipt.epoch == channel.epoch  # in one epoch a log only grows
    if receipt.size > channel.size:  # proves nothing to others: I may have lost what I signed
        raise Restored(f"region {channel.peer} has receipted {receipt.size} frames; this node knows {channel.size}")
    if root_at(channel.out_frontier, nodes, receipt.size) != receipt.root:
        if running:
            raise Contradicted(f"region {channel.peer} has receipted another history of {receipt.size} frames")
        if receipt.epoch.number < channel.epoch.number or receipt.size <= channel.receipted:
            return channel  # what an older incarnation sent and the fence took back
        if not channel.ready:
            return channel  # what a later one sent, of which this database knows nothing yet
        raise Malformed(f"region {channel.peer} has receipted {receipt.size} frames under an epoch that never was")
    if receipt.size <= channel.receipted:
        return channel
    return raise_final(replace(channel, receipted=receipt.size), receipt.size)
