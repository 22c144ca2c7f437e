"""What the HTTP API needs of the node behind it; :mod:`node.app` offers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.protocol.channel import Channel
from gateway.protocol.values import Standing
from node.services.office import Office
from node.store.engine import Store
from node.store.history import History


@dataclass(frozen=True, kw_only=True, slots=True)
class PeerStatus:
    """How the courier stands with one peer. Times are Unix milliseconds, 0 = never."""

    connected: bool = False
    dialled_by: int = 0  # region code; 0 without a stream
    since_ms: int = 0  # the stream's age
    dialling: bool = False  # a dial is under way, or waits for its back-off
    failures: int = 0
    next_dial_ms: int = 0
    last_contact_ms: int = 0  # the peer's last authenticated contact
    last_error: str = ""
    throttled_since_ms: int = 0  # 0 when it is not throttled
    throttled_for: tuple[str, ...] = ()  # kinds of cost of which it had too much
    over: Mapping[str, int] = field(default_factory=dict)  # per kind, how much too much, since the process began


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing that must be well for the region to be ready."""

    name: str  # lower-case words joined by _
    ok: bool
    detail: str = ""  # what is wrong and what to do
    vital: bool = True  # False: worth an operator's attention, but the region can serve


class NodeLike(Protocol):
    """See the module."""

    @property
    def store(self) -> Store:
        """The database, for reading."""
        ...

    @property
    def office(self) -> Office:
        """Identity, terms and the roster in force; read anew at each use, so that reloads take effect."""
        ...

    @property
    def history(self) -> History:
        """Which history the database is part of and whether it is whole, as the last commit left it."""
        ...

    @property
    def channels(self) -> Mapping[int, Channel]:
        """Per peer the channel, as the last commit left it."""
        ...

    @property
    def seals(self) -> bool:
        """Whether this process numbers messages and talks with peers: of several one does."""
        ...

    @property
    def sealer(self) -> str:
        """The name of the process that does, of several; empty where there is only one, or none does now."""
        ...

    async def submit(self, commands: Sequence[Any]) -> list[Any]:
        """Have the single writer commit these commands.

        Returns, for each, its answer, or the error that refused or failed it (ProtocolError, BadInput, Unavailable or
        any other exception). Raises Unavailable when none was done.
        """
        ...

    def on_commit(self, listen: Callable[[frozenset[int]], None]) -> None:
        """Call `listen` after each commit, from any thread, with the peers whose channel changed."""
        ...

    def on_batch(self, listen: Callable[[int, float], None]) -> None:
        """Call `listen` after each batch, from any thread, with its number of commands and the seconds it took."""
        ...

    def courier_status(self) -> Mapping[int, PeerStatus]:
        """How the courier stands with each peer it knows. Cheap."""
        ...

    async def retry(self, peer: int) -> None:
        """Dial a peer now, whatever its back-off says."""
        ...

    async def standing(self, peer: int) -> Standing | None:
        """How the peer sees this region: asked now. None when it does not answer."""
        ...

    async def give_back(self, peer: int, first: int, holds: int) -> bytes | None:
        """A page, as it travels, of what the peer holds of this region's log from `first` on, for a copy that holds so
        much of the peer's. Asked now; changes nothing. None when it does not answer, or the region itself recovers."""
        ...

    def readiness(self) -> Sequence[Check]:
        """What only the node knows: certificate, roster, clock. The API adds database and channels. Cheap."""
        ...
