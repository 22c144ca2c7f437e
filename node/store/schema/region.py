"""What belongs to the region as a whole: its history, its trust, its callers and what its operators did."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
)

from .base import metadata, number

# What the database belongs to: region, federation, environment, lineage.
meta = Table("meta", metadata, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))

# One row: which history this database is part of, and whether all of it is here.
history = Table(
    "history",
    metadata,
    Column("no", SmallInteger, primary_key=True, autoincrement=False),
    Column("lineage", LargeBinary, nullable=False),  # 16 bytes, new after each restore
    Column("commits", BigInteger, nullable=False),  # transactions of the writer so far
    Column("recovering", Boolean(create_constraint=False), nullable=False),
    Column("replayed", Boolean(create_constraint=False), nullable=False),  # the regional system has said so
    Column("cause", Text, nullable=False),  # why it recovers
    Column("since_ms", BigInteger, nullable=False),
    CheckConstraint("no = 1", name="only_one"),
)

# Two people accept that residents spend before this peer has given back what it holds.
risk = Table(
    "risk",
    metadata,
    Column("peer", Integer, primary_key=True, autoincrement=False),
    Column("used", BigInteger, nullable=False),  # what residents have spent since
    Column("amount", BigInteger, nullable=False),  # what they may
    Column("maker", Text, nullable=False),
    Column("checker", Text, nullable=False),  # empty until the second person agrees
    Column("at_ms", BigInteger, nullable=False),
    CheckConstraint("used >= 0 AND used <= amount", name="bounded"),
)

# What operators did that nobody can do alone: who made it, who checked it.
act = Table(
    "act",
    metadata,
    number(),
    Column("what", Text, nullable=False),
    Column("about", Text, nullable=False),  # JSON
    Column("maker", Text, nullable=False),
    Column("checker", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

roster = Table(
    "roster",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("signed", LargeBinary, nullable=False),
)

back_off = Table(
    "back_off",
    metadata,
    Column("peer", Integer, primary_key=True, autoincrement=False),
    Column("failures", Integer, nullable=False),
    Column("next_dial_ms", BigInteger, nullable=False),
    Column("last_contact_ms", BigInteger, nullable=False),
    Column("last_error", Text, nullable=False),
)

token = Table(
    "token",
    metadata,
    Column("name", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("scopes", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
)
