"""Rosters on a stream: each side says which one it holds; whoever holds a newer one hands it over in parts.

So a new roster crosses every stream that stands within a few seconds, whoever dialled it. It is worth what its
signatures are worth: a page is taken in only if this side asked for it, and then verified version by version.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.ports import Region
from gateway.protocol.errors import Malformed
from gateway.protocol.values import RosterHeld, RosterPart
from gateway.transport import messages
from gateway.transport.messages import ROSTER_PAGE_BYTES, ROSTER_PART_BYTES

Said = Sequence[RosterHeld | RosterPart]


class RosterTalk:
    """What one stream has to do with rosters."""

    def __init__(self, region: Region, peer: int) -> None:
        self._region, self._peer = region, peer
        self._told = -1  # the version last named to the peer
        self._given = (-1, -1)  # one's own version, and the newest after which the peer has been given rosters
        self._parts: bytearray | None = None  # of the page asked for; None: none was

    def tick(self) -> Said:
        """Name one's own version when the peer does not know it: at the beginning, and after each change."""
        have = self._have()
        return [self._tell(have)] if have != self._told else []

    async def hear(self, message: RosterHeld | RosterPart) -> Said:
        """Hand over what the peer lacks, ask for what this side lacks, take in what was asked for.

        Raises PeerFault for rosters that are not what their signatures must make them.
        """
        if isinstance(message, RosterPart):
            return await self._take(message)
        have = self._have()
        if message.version < have:
            if (have, message.version) <= self._given:
                return []  # it was given them: whoever asks again and again costs no reading
            self._given = have, message.version
            return await self._page(message.version)
        if message.version > have and self._parts is None:
            self._parts = bytearray()
            return [self._tell(have)]
        return []

    def _have(self) -> int:
        return self._region.hello(self._peer).roster_version

    def _tell(self, have: int) -> RosterHeld:
        self._told = have
        return RosterHeld(version=have)

    async def _page(self, after: int) -> Said:
        data = messages.encode_roster_page(*await self._region.rosters_after(after))
        cuts = range(0, max(len(data), 1), ROSTER_PART_BYTES)
        return [
            RosterPart(data=data[at : at + ROSTER_PART_BYTES], last=at + ROSTER_PART_BYTES >= len(data)) for at in cuts
        ]

    async def _take(self, part: RosterPart) -> Said:
        if self._parts is None:
            return []  # nobody asked for it
        self._parts += part.data
        if len(self._parts) > ROSTER_PAGE_BYTES:
            raise Malformed(f"a page of rosters has more than {ROSTER_PAGE_BYTES} bytes")
        if not part.last:
            return []
        rosters, more = messages.decode_roster_page(bytes(self._parts))
        self._parts = None
        before = self._have()
        if rosters:
            await self._region.hear_rosters(rosters)
        if more and self._have() > before:
            self._parts = bytearray()
            return [self._tell(self._have())]
        return []
