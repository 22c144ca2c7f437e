"""Authorisations as the two logs of a channel tell them: the same steps as when they were taken, in the same order."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from gateway.protocol import roaming
from gateway.protocol.bodies import roaming as bodies
from gateway.protocol.errors import ProtocolError
from gateway.protocol.roaming import Event, State
from gateway.protocol.values import Kind
from node.ledger.sources import Message

_ENDING = {Kind.CAPTURE: Event.CAPTURE, Kind.RELEASE: Event.RELEASE}
_KINDS = frozenset({Kind.AUTHORISE, Kind.AUTHORISATION_ASK, *_ENDING})

Key = tuple[bytes, int]
"""The id of an authorisation, and the region of its counter."""


class Row(NamedTuple):
    """An authorisation as its table should have it."""

    id: bytes
    counter: int
    holder: int
    category: str
    amount: int
    becomes: str
    arriving: int
    state: State
    captured: int


class Roamed:
    """What was derived so far. Kept is what is open; what is over waits in `over` to be compared."""

    def __init__(self, me: int) -> None:
        self.over: list[Row] = []
        self.blind = False  # a body that says what it is about was erased
        self._me = me
        self._open: dict[Key, Row] = {}
        self._asked: dict[tuple[int, bool, bytes], deque[Message]] = {}  # (peer, mine, id) -> requests without answer

    def said(self, peer: int, message: Message) -> None:
        """This region's next message to a peer."""
        if message.reply:
            self._answer(peer, message, mine=False)
        elif message.kind in _KINDS:
            self._ask(peer, message, mine=True)
            if message.kind == Kind.AUTHORISE:
                self._put(_row(message, self._me, peer, State.REQUESTED))
            elif message.kind in _ENDING and (found := self._about(message, self._me)) is not None:
                self._step(found._replace(captured=message.amount), _ENDING[Kind(message.kind)])

    def heard(self, peer: int, message: Message) -> None:
        """A peer's next message."""
        if message.reply:
            self._answer(peer, message, mine=True)
        elif message.kind in _KINDS:
            self._ask(peer, message, mine=False)

    def open(self) -> list[Row]:
        """What is not over."""
        return list(self._open.values())

    # -- the steps ---------------------------------------------------------------------------------------------------

    def _ask(self, peer: int, message: Message, *, mine: bool) -> None:
        self._asked.setdefault((peer, mine, message.id), deque()).append(message)

    def _answer(self, peer: int, message: Message, *, mine: bool) -> None:
        """The reply to a request that I asked the peer (`mine`), or it me. Any but an ACCEPT grants nothing."""
        waiting = self._asked.get((peer, mine, message.id))
        if waiting is None:
            return
        request = waiting.popleft()
        if not waiting:
            del self._asked[peer, mine, message.id]
        accepted, counter = message.kind == Kind.ACCEPT, self._counter(request.kind, peer, mine=mine)
        if request.kind == Kind.AUTHORISE:
            self._authorise(request, peer, accepted, mine=mine)
            return
        found = self._about(request, counter)
        if found is None or peer not in (found.holder, found.counter):
            return
        if request.kind == Kind.AUTHORISATION_ASK:
            if accepted:
                self._step(found._replace(captured=0), Event.END)
        elif mine or accepted:  # what the holder refuses changes nothing there
            if not mine:
                captured = request.amount if request.kind == Kind.CAPTURE else 0
                found = self._step(found._replace(captured=captured), _ENDING[Kind(request.kind)])
            self._end(found, request, accepted)

    def _authorise(self, request: Message, peer: int, accepted: bool, *, mine: bool) -> None:
        if mine:
            found = self._open.get((request.id, self._me))
            if found is not None:
                self._step(found, Event.GRANT if accepted else Event.DENY)
        elif accepted:
            self._put(_row(request, peer, self._me, State.AUTHORISED))

    def _end(self, found: Row, request: Message, accepted: bool) -> None:
        if not accepted:
            event = Event.STAND
        elif request.kind == Kind.CAPTURE:
            event = Event.TAKE_ALL if found.captured == found.amount else Event.TAKE_PART
        else:
            event = Event.LET_GO
        self._step(found if accepted else found._replace(captured=0), event)

    def _counter(self, kind: int, peer: int, *, mine: bool) -> int:
        """Whose counter a request is about: who asks, but for the question, which the holder asks."""
        asks = self._me if mine else peer
        answers = peer if mine else self._me
        return answers if kind == Kind.AUTHORISATION_ASK else asks

    def _about(self, message: Message, counter: int) -> Row | None:
        if not message.body:
            self.blind = True
            return None
        try:
            about = bodies.decode_about(Kind(message.kind), message.body).authorisation
        except ProtocolError:
            return None  # refused as malformed
        return self._open.get((about, counter))

    def _step(self, row: Row, event: Event) -> Row:
        after = roaming.TRANSITIONS.get((row.state, event))
        return row if after is None else self._put(row._replace(state=after))

    def _put(self, row: Row) -> Row:
        key = row.id, row.counter
        if roaming.is_over(row.state):
            self._open.pop(key, None)
            self.over.append(row)
        else:
            self._open[key] = row
        return row


def _row(asked: Message, counter: int, holder: int, state: State) -> Row:
    return Row(asked.id, counter, holder, asked.category, asked.amount, asked.becomes, asked.arriving, state, 0)
