"""Every start of a node: fence what older incarnations of it may still have under way (SPEC section 5).

Pure, like :mod:`gateway.protocol.channel`. A node proposes a fresh epoch to each peer (Resume); the peer fences the
older ones and says what it holds (Fenced), or that the proposal is too low (Behind). Ask and Standing tell when the
other side has finished its own start, and where to send on from after a stream broke.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.protocol import limits
from gateway.protocol.channel import Channel, raise_final, rewind, root_at
from gateway.protocol.errors import Malformed, Restored
from gateway.protocol.merkle import Frontier, Nodes
from gateway.protocol.values import Ask, Behind, Epoch, Fenced, Gap, Resume, Stale, Standing


def fresh_number(channel: Channel, known: int, now_ms: int) -> int:
    """A number above every epoch either side remembers, and, by the clock, above those both have forgotten."""
    return max(channel.epoch.number, channel.proposal.number, known, now_ms) + 1


def propose(channel: Channel, now_ms: int, nonce: int, known: int = 0) -> tuple[Channel, Resume]:
    """Begin, or begin again, with an epoch nobody has used. Nothing is sealed or applied until it is fenced."""
    proposal = Epoch(fresh_number(channel, known, now_ms), nonce)
    channel = replace(channel, proposal=proposal, ready=False, peer_open=False)
    return channel, resume(channel)


def resume(channel: Channel) -> Resume:
    """The proposal under way, said again where its answer did not come."""
    return Resume(
        log=channel.out,
        epoch=channel.proposal,
        holds_size=channel.held,
        holds_root=channel.in_frontier.root(),
        peer_epoch=channel.peer_epoch,
    )


def is_newer(channel: Channel, epoch: Epoch) -> bool:
    """A proposal must be above every epoch of the peer that I have fenced."""
    return epoch.number > channel.peer_epoch.number


def hear_resume(channel: Channel, resume: Resume, nodes: Nodes) -> tuple[Channel, Fenced | Behind]:
    """Fence the peer's older epochs (durably, before the answer leaves). `nodes` are of my own log.

    Raises Restored when the peer holds what I do not know I said.
    """
    _check_number(resume.epoch)
    if not is_newer(channel, resume.epoch):
        return channel, Behind(log=channel.out, echo=resume.epoch, known=channel.peer_epoch)
    _check_holds(channel, resume.holds_size, resume.holds_root, nodes)
    channel = raise_final(rewind(replace(channel, peer_epoch=resume.epoch), resume.holds_size), resume.holds_size)
    return channel, Fenced(
        log=channel.out,
        echo=resume.epoch,
        holds_size=channel.held,
        holds_root=channel.in_frontier.root(),
        holds_epoch=channel.in_epoch,
        epoch=channel.epoch,
        size=channel.size,
        root=channel.out_frontier.root(),
        ready=channel.ready,
        credit_size=channel.granted,
    )


def hear_behind(channel: Channel, behind: Behind, now_ms: int, nonce: int) -> tuple[Channel, Resume | None]:
    """Propose a higher epoch, if it was the current proposal that is behind."""
    if channel.ready or behind.echo != channel.proposal:
        return channel, None
    _check_number(behind.known)
    return propose(channel, now_ms, nonce, known=behind.known.number)


def answers(channel: Channel, echo: Epoch) -> bool:
    """Only an answer to this incarnation's own question is believed."""
    return echo == channel.proposal


def hear_fenced(channel: Channel, fenced: Fenced, nodes: Nodes) -> tuple[Channel, int | None]:
    """My epoch is fenced: I am ready. `nodes` are of my own log.

    Returns the number from which my frames must be sealed again under the new epoch (what the peer never held), or
    None if this Fenced answers an older question. Raises Restored when the peer's copy of my log is longer than mine
    or another history: this node came back from a backup.
    """
    if channel.ready or not answers(channel, fenced.echo):
        return channel, None
    _check_number(fenced.epoch)
    _check_holds(channel, fenced.holds_size, fenced.holds_root, nodes)
    channel = replace(
        channel,
        epoch=channel.proposal,
        ready=True,
        peer_open=fenced.ready,
        peer_epoch=max(channel.peer_epoch, fenced.epoch) if fenced.ready else channel.peer_epoch,
        credit=fenced.credit_size,
    )
    channel = raise_final(rewind(channel, fenced.holds_size), fenced.holds_size)
    return channel, channel.final


def _check_number(epoch: Epoch) -> None:
    if epoch.number > limits.EPOCH_MAX:
        raise Malformed(f"an epoch has a number up to {limits.EPOCH_MAX}")


def _check_holds(channel: Channel, size: int, root: bytes, nodes: Nodes) -> None:
    if size > channel.size:
        raise Restored(f"region {channel.peer} holds {size} frames of this node's log, which has {channel.size}")
    if root_at(channel.out_frontier, nodes, size) != root:
        raise Restored(f"region {channel.peer} holds another history of this node's first {size} frames")


def unsealed(channel: Channel, frontier: Frontier) -> Channel:
    """The channel once its frames from `frontier.size` on went back to the outbox. Never below `final`."""
    if frontier.size < channel.final:
        raise ValueError(f"frames below {channel.final} are final and cannot be unsealed from {frontier.size}")
    return replace(channel, out_frontier=frontier)


def ask(channel: Channel) -> Ask:
    """How do you see me, and are you ready?"""
    return Ask(log=channel.out, echo=channel.proposal)


def hear_ask(channel: Channel, question: Ask, *, back_off_ms: int, status: str) -> Standing:
    """How I see the asker."""
    return Standing(
        log=channel.out,
        echo=question.echo,
        ready=channel.sealing,  # not in quarantine: whoever is told "ready" sends again at once
        epoch=channel.epoch,
        holds_size=channel.held,
        holds_root=channel.in_frontier.root(),
        credit_size=channel.granted,
        backlog=channel.size - channel.final,
        back_off_ms=back_off_ms,
        last_verified_size=channel.held,
        status=status,
        channel=channel.condition.name.lower(),
    )


def hear_standing(channel: Channel, standing: Standing, nodes: Nodes) -> Channel:
    """The peer is ready: adopt its epoch and open. Also where to send on from after a stream broke.

    `nodes` are of my own log. Raises Restored as :func:`hear_fenced` does.
    """
    if not answers(channel, standing.echo) or not standing.ready or not channel.ready:
        return channel
    _check_number(standing.epoch)
    _check_holds(channel, standing.holds_size, standing.holds_root, nodes)
    newer = max(channel.peer_epoch, standing.epoch)
    channel = replace(channel, peer_open=True, peer_epoch=newer, credit=standing.credit_size)
    return raise_final(rewind(channel, standing.holds_size), standing.holds_size)


def hear_gap(channel: Channel, gap: Gap) -> Channel:
    """Send on from what the peer holds."""
    return rewind(channel, min(gap.size, channel.size))


def hear_stale(channel: Channel, stale: Stale, now_ms: int, nonce: int) -> tuple[Channel, Resume | None]:
    """The peer knows another incarnation of me: begin again, above it, if it spoke of the one that is running."""
    if not channel.ready or stale.echo != channel.epoch:
        return channel, None
    _check_number(stale.known)
    return propose(channel, now_ms, nonce, known=stale.known.number)
