"""The logs between regions and what each pair has to remember of the other."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

from .base import metadata, number

# A log: from `source` to `destination`; destination 0 is the region's own journal.
log = Table(
    "log",
    metadata,
    Column("no", Integer, primary_key=True, autoincrement=False),
    Column("source", Integer, nullable=False),
    Column("destination", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    UniqueConstraint("source", "destination", "generation"),
)

# The frames of one group commit: numbers first .. size-1, all of one epoch where they are mine.
segment = Table(
    "segment",
    metadata,
    Column("log", Integer, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),  # at `size`
    Column("frames", LargeBinary, nullable=False),
    Column("head", LargeBinary),  # inbound: the signed Head that brought it
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("log", "first"),
    CheckConstraint("size > first", name="not_empty"),
)

# Salted bodies of a segment, apart so that they can be erased without touching the log.
body = Table(
    "body",
    metadata,
    Column("log", Integer, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("bodies", LargeBinary, nullable=False),
    PrimaryKeyConstraint("log", "first"),
)

# Perfect subtrees of at least 256 leaves.
node = Table(
    "node",
    metadata,
    Column("log", Integer, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("idx", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    PrimaryKeyConstraint("log", "level", "idx"),
    sqlite_with_rowid=False,
)

channel = Table(
    "channel",
    metadata,
    Column("peer", Integer, primary_key=True, autoincrement=False),
    Column("out_log", Integer, nullable=False),
    Column("in_log", Integer, nullable=False),
    Column("condition", SmallInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("epoch_nonce", LargeBinary, nullable=False),
    Column("final", BigInteger, nullable=False),
    Column("receipted", BigInteger, nullable=False),
    Column("in_epoch", BigInteger, nullable=False),
    Column("in_seen", BigInteger, nullable=False),
    Column("peer_epoch", BigInteger, nullable=False),
    Column("peer_nonce", LargeBinary, nullable=False),
)

# Committed with their postings, not yet numbered.
outbox = Table(
    "outbox",
    metadata,
    number(),
    Column("peer", Integer, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("reply", Boolean(create_constraint=False), nullable=False),
    Column("id", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("category", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("becomes", Text, nullable=False),
    Column("arriving", BigInteger, nullable=False),
    Column("transfer", BigInteger),
)
Index(None, outbox.c.peer, outbox.c.no)

# Receipts: mine over a log I hold (content; the signature follows from it) and the peer's over mine (signed bytes).
receipt = Table(
    "receipt",
    metadata,
    Column("log", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("signed", LargeBinary),
    PrimaryKeyConstraint("log", "size", "epoch"),
)

# Peers that have given back what they hold of my log, since this database was restored.
merged = Table("merged", metadata, Column("peer", Integer, primary_key=True, autoincrement=False))

# Requests of a peer that came back while this region recovers, and whose answer has not come back yet.
undecided = Table(
    "undecided",
    metadata,
    Column("peer", Integer, nullable=False),
    Column("number", BigInteger, nullable=False),  # in the peer's log
    Column("id", LargeBinary, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    PrimaryKeyConstraint("peer", "number"),
)

evidence = Table(
    "evidence",
    metadata,
    number(),
    Column("peer", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("file", LargeBinary, nullable=False),
)

# Agreements to leave a quarantine: what both sides sign, and who of them has.
repair = Table(
    "repair",
    metadata,
    Column("peer", Integer, nullable=False),
    Column("evidence", LargeBinary, nullable=False),  # SHA-256 of the evidence file
    Column("payload", LargeBinary, nullable=False),  # the Repair as it is signed
    Column("mine", LargeBinary),  # signed
    Column("theirs", LargeBinary),  # signed
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("peer", "evidence"),
)
