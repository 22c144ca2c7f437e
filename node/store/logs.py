"""Logs as they are stored: segments of frames, their bodies apart, and the perfect subtrees worth keeping."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, delete, select, update

from gateway.protocol import codec, merkle
from gateway.protocol.merkle import NODE_LEVEL, Frontier, Node
from node.store import bulk, schema


class Segment(NamedTuple):
    """Frames first .. size-1 as packed bytes, the root at `size`, and the signed head that brought them, if any."""

    first: int
    size: int
    epoch: int
    root: bytes
    frames: bytes
    bodies: bytes | None
    head: bytes | None


def append(
    conn: Connection,
    log: int,
    *,
    first: int,
    epoch: int,
    frames: list[bytes],
    bodies: list[bytes] | None,
    frontier: Frontier,
    nodes: list[Node],
    head: bytes | None,
    at_ms: int,
) -> Segment:
    """Append one segment and move the log's end. `bodies` None: a log without bodies (the journal)."""
    root = frontier.root()
    s = schema.segment
    packed = codec.pack_frames(frames)
    bulk.insert(conn, s, [(log, first, frontier.size, epoch, root, packed, head, at_ms)])
    packed_bodies = None
    if bodies is not None:
        packed_bodies = codec.pack_bodies(bodies)
        bulk.insert(conn, schema.body, [(log, first, packed_bodies)])
    if nodes:
        bulk.insert(conn, schema.node, [(log, level, index, value) for level, index, value in nodes])
    set_end(conn, log, frontier)
    return Segment(first, frontier.size, epoch, root, packed, packed_bodies, head)


def set_end(conn: Connection, log: int, frontier: Frontier) -> None:
    """Record where a log ends."""
    bulk.put(conn, schema.log, ("no",), ("size", "frontier"), [(log, frontier.size, frontier.to_bytes())])


def segments(conn: Connection, log: int, first: int, frames: int | None = None) -> Iterator[Segment]:
    """Segments that hold number `first` and what follows, in order; at most about `frames` numbers of them."""
    s, b = schema.segment, schema.body
    query = (
        select(s.c.first, s.c.size, s.c.epoch, s.c.root, s.c.frames, b.c.bodies, s.c.head)
        .select_from(s.outerjoin(b, (b.c.log == s.c.log) & (b.c.first == s.c.first)))
        .where(s.c.log == log, s.c.first >= _start_of(conn, log, first))
        .order_by(s.c.first)
    )
    if frames is not None:
        query = query.where(s.c.first < first + frames)
    for row in conn.execute(query):
        yield Segment(*row)


def _start_of(conn: Connection, log: int, number: int) -> int:
    """Where the segment that holds `number` begins; `number` itself where there is none."""
    s = schema.segment
    row = conn.execute(
        select(s.c.first, s.c.size).where(s.c.log == log, s.c.first <= number).order_by(s.c.first.desc()).limit(1)
    ).first()
    return row.first if row and row.size > number else number


def number_of(conn: Connection, source: int, destination: int, generation: int) -> int:
    """The number of a log in the table of logs."""
    g = schema.log
    number: int = conn.scalars(
        select(g.c.no).where(g.c.source == source, g.c.destination == destination, g.c.generation == generation)
    ).one()
    return number


def root_before(conn: Connection, log: int, first: int) -> bytes:
    """The root at the start of a segment: that at the end of the one before."""
    s = schema.segment
    root = conn.scalar(select(s.c.root).where(s.c.log == log, s.c.first < first).order_by(s.c.first.desc()).limit(1))
    return root if root is not None else merkle.EMPTY_ROOT


def last_head(conn: Connection, log: int) -> bytes | None:
    """The newest signed head of an inbound log."""
    s = schema.segment
    return conn.scalar(select(s.c.head).where(s.c.log == log).order_by(s.c.first.desc()).limit(1))


class Span(NamedTuple):
    """Where a segment begins and ends."""

    first: int
    size: int


def outline(conn: Connection, log: int, first: int) -> list[Span]:
    """The segments that hold number `first` or a later one."""
    s = schema.segment
    rows = conn.execute(select(s.c.first, s.c.size).where(s.c.log == log, s.c.size > first).order_by(s.c.first))
    return [Span(*row) for row in rows]


def cut(conn: Connection, log: int, number: int) -> None:
    """Forget the subtrees that reach over `number`."""
    n = schema.node
    for level in range(NODE_LEVEL, 64):
        conn.execute(delete(n).where(n.c.log == log, n.c.level == level, n.c.idx >= number >> level))


def remove(conn: Connection, log: int, first: int) -> None:
    """Take back the segment that begins at `first`. The database refuses it below what is final."""
    for table in (schema.body, schema.segment):
        conn.execute(delete(table).where(table.c.log == log, table.c.first == first))


def shorten(conn: Connection, log: int, first: int, frames: list[bytes], bodies: list[bytes], root: bytes) -> None:
    """Take back all but these first frames of the segment that begins at `first`. `root` is the root after them."""
    s, b = schema.segment, schema.body
    kept = {"size": first + len(frames), "frames": codec.pack_frames(frames), "root": root}
    conn.execute(update(s).where(s.c.log == log, s.c.first == first).values(kept))
    conn.execute(update(b).where(b.c.log == log, b.c.first == first).values(bodies=codec.pack_bodies(bodies)))


def body_at(conn: Connection, log: int, number: int) -> bytes:
    """The salted body of one frame; empty when it was erased."""
    segment = next(segments(conn, log, number, 1))
    return codec.unpack_bodies(segment.bodies or b"")[number - segment.first]


def frame_at(conn: Connection, log: int, number: int) -> bytes:
    """The bytes of one frame."""
    segment = next(segments(conn, log, number, 1))
    return codec.unpack_frames(segment.frames)[number - segment.first]


class Reader:
    """Frames and bodies of one log, read number by number in about their order: the segment read last is kept."""

    def __init__(self, conn: Connection, log: int) -> None:
        self._conn, self._log = conn, log
        self._numbers = range(0)
        self._frames: list[bytes] = []
        self._bodies: list[bytes] = []

    def frame(self, number: int) -> bytes:
        """The bytes of one frame."""
        self._turn_to(number)
        return self._frames[number - self._numbers.start]

    def body(self, number: int) -> bytes:
        """The salted body of one frame; empty when it was erased."""
        self._turn_to(number)
        return self._bodies[number - self._numbers.start]

    def _turn_to(self, number: int) -> None:
        if number not in self._numbers:
            segment = next(segments(self._conn, self._log, number, 1))
            self._frames, self._bodies = codec.unpack_frames(segment.frames), codec.unpack_bodies(segment.bodies or b"")
            self._numbers = range(segment.first, segment.size)


def erase_body(conn: Connection, log: int, number: int) -> None:
    """Erase one body and its salt: the frame, its commitment and every proof stay."""
    b = schema.body
    start = _start_of(conn, log, number)
    bodies = codec.unpack_bodies(conn.scalars(select(b.c.bodies).where(b.c.log == log, b.c.first == start)).one())
    bodies[number - start] = b""
    conn.execute(update(b).where(b.c.log == log, b.c.first == start).values(bodies=codec.pack_bodies(bodies)))


_BLOCKS_KEPT = 4  # a proof reaches into two


class StoredNodes:
    """The perfect subtrees of one log, from a connection that stays open while they are read."""

    def __init__(self, conn: Connection, log: int) -> None:
        self._conn, self._log = conn, log
        self._cache: dict[int, list[bytes]] = {}

    def node(self, level: int, index: int) -> bytes:
        """See :class:`gateway.protocol.merkle.Nodes`."""
        if level >= NODE_LEVEL:
            key = ("log", "level", "idx")
            found: bytes | None = bulk.find(self._conn, schema.node, "hash", key, (self._log, level, index))
            if found is None:
                raise ValueError(f"log {self._log} has no subtree {index} at level {level}")
            return found
        first = index << level
        block = first >> NODE_LEVEL << NODE_LEVEL
        leaves = self._leaves(block)
        return Frontier().extend(leaves[first - block : first - block + (1 << level)]).root()

    def _leaves(self, block: int) -> list[bytes]:
        """The leaf hashes from `block` on, a multiple of 256: up to 256 of them."""
        if block not in self._cache:
            want = 1 << NODE_LEVEL
            leaves: list[bytes] = []
            s = schema.segment
            begin = _start_of(self._conn, self._log, block)
            rows = self._conn.execute(  # without bodies: they are most of a log
                select(s.c.first, s.c.frames)
                .where(s.c.log == self._log, s.c.first >= begin, s.c.first < block + want)
                .order_by(s.c.first)
            )
            for first, packed in rows:
                skip = max(0, block - first)
                leaves += merkle.leaf_hashes(codec.unpack_frames(packed)[skip : skip + want - len(leaves)])
            if len(self._cache) >= _BLOCKS_KEPT:
                self._cache.clear()
            self._cache[block] = leaves
        return self._cache[block]
