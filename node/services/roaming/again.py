"""Which messages of roaming redemption are dealt with where, and what a counter does again after a restore."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import gcd

import msgspec

from gateway.protocol.bodies import roaming as bodies
from gateway.protocol.errors import PeerFault
from gateway.protocol.roaming import About, Authorise, Event, State
from gateway.protocol.values import Frame, Kind
from node.services import topics
from node.services.command import freeze
from node.services.office import Office
from node.services.roaming import home
from node.services.roaming.counter import (
    asked_by,
    authorise_answered,
    capture_answered,
    hear_ask,
    move,
    release_answered,
)
from node.store import authorisations as store
from node.store.authorisations import Stored
from node.store.batch import Batch

_read_digest = msgspec.msgpack.Decoder(bytes).decode


def _authorise_again(said: topics.Said, office: Office, batch: Batch) -> None:
    frame = said.frame
    try:
        body = bodies.decode_authorise(said.body)
    except PeerFault:  # erased: the header has the amounts, and with them a rate
        common = gcd(frame.arriving, frame.amount) or 1
        body = Authorise(b"", frame.arriving // common, frame.amount // common, 0, 1, "")
    if store.find(batch.conn, frame.id, office.me) is None:
        store.insert(batch.conn, home.asked(frame, body, said.peer, office.me, State.REQUESTED, batch))
    _remember(said, "authorise", batch)


def _capture_again(said: topics.Said, office: Office, batch: Batch) -> None:
    found = _about(said, office, batch)
    if found is not None:
        move(found._replace(captured=said.frame.amount), Event.CAPTURE, batch)
    _remember(said, "capture", batch)


def _release_again(said: topics.Said, office: Office, batch: Batch) -> None:
    found = _about(said, office, batch)
    if found is not None:
        move(found, Event.RELEASE, batch)
    _remember(said, "release", batch)


def _ask_answered_again(heard: topics.Heard, said: topics.Said, office: Office, batch: Batch) -> None:
    found = asked_by(heard, office, batch)
    if said.frame.kind == Kind.ACCEPT and found is not None:
        move(found, Event.END, batch)


def _about(said: topics.Said, office: Office, batch: Batch) -> Stored | None:
    try:
        about = bodies.decode_about(Kind(said.frame.kind), said.body)
    except PeerFault:
        return None
    return store.find(batch.conn, about.authorisation, office.me)


def _remember(said: topics.Said, command: str, batch: Batch) -> None:
    """The caller's key has its answer again. What a sweep said has none."""
    try:
        digest = _read_digest(said.redo)
    except msgspec.MsgspecError:
        return
    if said.frame.id not in batch.outcomes:
        freeze(batch, said.frame.id, command, digest, 0, "")


def _parse_about(kind: Kind) -> Callable[[bytes], About]:
    return partial(bodies.decode_about, kind)


def _subject(_frame: Frame, about: About) -> bytes:
    return about.authorisation


topics.register(
    Kind.AUTHORISE,
    topics.Topic(
        parse=bodies.decode_authorise, hear=home.hear_authorise, answered=authorise_answered,
        asked_again=_authorise_again, answered_again=home.authorise_again,
    ),
)  # fmt: skip
topics.register(
    Kind.CAPTURE,
    topics.Topic(
        parse=_parse_about(Kind.CAPTURE), hear=home.hear_capture, answered=capture_answered,
        asked_again=_capture_again, answered_again=home.capture_again, subject=_subject,
    ),
)  # fmt: skip
topics.register(
    Kind.RELEASE,
    topics.Topic(
        parse=_parse_about(Kind.RELEASE), hear=home.hear_release, answered=release_answered,
        asked_again=_release_again, answered_again=home.release_again, subject=_subject,
    ),
)  # fmt: skip
topics.register(
    Kind.AUTHORISATION_ASK,
    topics.Topic(
        parse=_parse_about(Kind.AUTHORISATION_ASK), hear=hear_ask, answered=home.ask_answered,
        answered_again=_ask_answered_again, subject=_subject,
    ),
)  # fmt: skip
