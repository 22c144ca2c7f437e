"""Every start of a node: fence what older incarnations of it may still have under way (SPEC section 5).

Pure, like :mod:`gateway.protocol.channel`. A node proposes a fresh epoch to each peer (Resume); the peer fences the
older ones and says what it holds (Fenced), or that the proposal is too low (Behind). Ask and Standing tell when the
other side has finished its own start, and where to send on from after a stream broke.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.protocol import limits
from gateway.protocol.channel import Channel, Condition, raise_final, rewind, root_at
from gateway.protocol.errors import Abandoned, Doubled, Malformed, Restored
from gateway.protocol.merkle import Frontier, Nodes
from gateway.protocol.values import Ask, Behind, Epoch, Fenced, Gap, Resume, Stale, Standing


def fresh_number(channel: Channel, known: int, now_ms: int) -> int:
    """A number above every epoch either side remembers, and, by the clock, above those both have forgotten."""
    return max(channel.epoch.number, channel.proposal.number, known, now_ms) + 1


def propose(channel: Channel, now_ms: int, nonce: int, known: int = 0) -> tuple[Channel, Resume]:
    """Begin, or begin again, with an epoch nobody has used. Nothing is sealed or applied until it is fenced."""
    proposal = Epoch(fresh_number(channel, known, now_ms), nonce)
    channel = replace(channel, proposal=proposal, ready=False, peer_open=False, fenced=None)
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


def holds_prefix(channel: Channel, size: int, root: bytes, nodes: Nodes) -> bool:
    """Whether what the peer holds of my log is a prefix of what I have. `nodes` are of my own log."""
    return size <= channel.size and root_at(channel.out_frontier, nodes, size) == root


def gives_back(channel: Channel, resume: Resume) -> bool:
    """Whether a peer that begins anew while it gives back what I lost holds what it held, and knows that I asked."""
    fenced = channel.fenced
    return (
        fenced is not None
        and resume.peer_epoch == channel.proposal
        and (resume.holds_size, resume.holds_root) == (fenced.holds_size, fenced.holds_root)
    )


def hear_resume(channel: Channel, resume: Resume, nodes: Nodes) -> tuple[Channel, Fenced | Behind]:
    """Fence the peer's older epochs (durably, before the answer leaves). `nodes` are of my own log.

    Who starts judges, by the answer: a copy of my log that is not a prefix of mine moves nothing here.
    """
    _check_number(resume.epoch)
    if not is_newer(channel, resume.epoch):
        return channel, Behind(log=channel.out, echo=resume.epoch, known=channel.peer_epoch)
    # Whoever was giving back what I lost has begun anew: I ask again, unless it still is where it was. Two that give
    # back to each other would otherwise begin anew for ever. And it is not ready before it asks.
    fenced = channel.fenced if gives_back(channel, resume) else None
    channel = replace(channel, peer_epoch=resume.epoch, peer_open=False, fenced=fenced)
    if holds_prefix(channel, resume.holds_size, resume.holds_root, nodes):
        channel = raise_final(rewind(channel, resume.holds_size), resume.holds_size)
    else:
        channel = rewind(channel, channel.final)
    common = min(channel.size, resume.holds_size)
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
        common_root=root_at(channel.out_frontier, nodes, common),
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


def is_common(channel: Channel, fenced: Fenced, into: Nodes) -> bool:
    """Whether my copy of the peer's log and the log itself agree as far as both go. `into` are of my copy."""
    return root_at(channel.in_frontier, into, min(channel.held, fenced.size)) == fenced.common_root


def is_forgetful(channel: Channel, fenced: Fenced) -> bool:
    """Whether the peer runs under an older epoch than frames of it that I hold: it is the peer that was restored, and
    it will get them back from me."""
    return fenced.epoch.number < channel.in_epoch


def hear_fenced(channel: Channel, fenced: Fenced, nodes: Nodes, into: Nodes) -> tuple[Channel, int | None]:
    """My epoch is fenced: I am ready. `nodes` are of my own log, `into` of my copy of the peer's.

    Returns the number from which my frames must be sealed again under the new epoch (what the peer never held), or
    None if this Fenced answers an older question, or if the peer's copy of my log is not a prefix of mine: then this
    node came from a backup, and the channel waits for what the peer gives back (SPEC section 5, recovery). Raises
    Abandoned where the two histories of the peer's log differ.
    """
    if channel.ready or not answers(channel, fenced.echo):
        return channel, None
    _check_number(fenced.epoch)
    # Once: what came back since is not what was compared.
    if channel.fenced is None and not is_common(channel, fenced, into) and not is_forgetful(channel, fenced):
        raise Abandoned(
            f"this node holds another history of region {channel.peer}'s log than that region itself: the database is "
            "a backup of a history that was left, and an older one is needed; or that region contradicts itself"
        )
    if not holds_prefix(channel, fenced.holds_size, fenced.holds_root, nodes):
        if fenced.holds_size <= channel.final:
            raise Abandoned(f"region {channel.peer} holds another history of what it has receipted")
        return replace(channel, condition=Condition.RESTORED, fenced=fenced), None
    channel = replace(
        channel,
        condition=Condition.OPEN,
        epoch=channel.proposal,
        ready=True,
        fenced=None,
        peer_open=fenced.ready,
        peer_epoch=max(channel.peer_epoch, fenced.epoch) if fenced.ready else channel.peer_epoch,
        credit=fenced.credit_size,
    )
    channel = raise_final(rewind(channel, fenced.holds_size), fenced.holds_size)
    return channel, channel.final


def _check_number(epoch: Epoch) -> None:
    if epoch.number > limits.EPOCH_MAX:
        raise Malformed(f"an epoch has a number up to {limits.EPOCH_MAX}")


def knows_more(channel: Channel, holds_size: int) -> bool:
    """Whether the peer says it holds more of my log than I have, though I am running: I begin again and let it show."""
    return channel.ready and holds_size > channel.size


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

    `nodes` are of my own log. A copy that is not a prefix of mine opens nothing; one that is longer raises Restored.
    """
    if not answers(channel, standing.echo) or not standing.ready or not channel.ready:
        return channel
    _check_number(standing.epoch)
    if knows_more(channel, standing.holds_size):
        raise Restored(
            f"region {channel.peer} holds {standing.holds_size} frames of this log, which has {channel.size}"
        )
    if not holds_prefix(channel, standing.holds_size, standing.holds_root, nodes):
        return channel
    newer = max(channel.peer_epoch, standing.epoch)
    channel = replace(channel, peer_open=True, peer_epoch=newer, credit=standing.credit_size)
    return raise_final(rewind(channel, standing.holds_size), standing.holds_size)


def hear_asker(channel: Channel, question: Ask) -> Channel:
    """Whoever asks is ready: what it sends may be taken at once. Where to send on from it says when it is asked."""
    if channel.ready and question.echo == channel.peer_epoch:
        return replace(channel, peer_open=True)
    return channel


def hear_gap(channel: Channel, gap: Gap) -> Channel:
    """Send on from what the peer holds."""
    return rewind(channel, min(gap.size, channel.size))


def is_fenced_asker(channel: Channel, question: Ask) -> bool:
    """Whether whoever asks runs under an epoch of the peer that a later one has fenced: it must hear that, too."""
    return question.echo != channel.peer_epoch and question.echo.number <= channel.peer_epoch.number


def stale(channel: Channel, echo: Epoch) -> Stale:
    """What an instance of the peer is told that a later one has fenced."""
    return Stale(log=channel.out, echo=echo, known=channel.peer_epoch)


def is_doubled(channel: Channel, proof: Resume | None) -> bool:
    """Whether somebody else has started as me: this process never proposes below what it runs under."""
    return proof is not None and proof.log == channel.out and proof.epoch.number >= channel.epoch.number


def hear_stale(
    channel: Channel, stale: Stale, now_ms: int, nonce: int, proof: Resume | None = None
) -> tuple[Channel, Resume | None]:
    """The peer knows another incarnation of me than the one that is running.

    `proof`: the Resume in it, if a key of mine did sign it. Begin again if the peer has forgotten this incarnation, as
    one does that came back from a backup, and if it only says that there is another: a lie costs this channel alone.
    What it says of an incarnation that is over is ignored. Raises Doubled when it has fenced this one and proves it.
    """
    if not channel.ready or stale.echo != channel.epoch:
        return channel, None
    _check_number(stale.known)
    if is_doubled(channel, proof):
        me = channel.out.source
        raise Doubled(f"region {channel.peer} has fenced this instance: another one has started as region {me}")
    return propose(channel, now_ms, nonce, known=stale.known.number)
