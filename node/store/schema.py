"""The tables of one region: the only database in the system, the same on SQLite and PostgreSQL.

Append-only (a trigger refuses UPDATE and DELETE): posting, lot_entry, outcome, event, receipt, evidence, roster, and
the segments of a log below what is final. Mutable: counters of a balance, what remains of a lot, the state of a
transfer, account, channel and log, the outbox, tokens, back-off.

Numbers (`no`) are dense integers the single writer gives out; public ids are 16 bytes in one unique index. Amounts are
in the smallest unit of the category, times are Unix milliseconds, dates are yyyymmdd.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Number = BigInteger().with_variant(Integer, "sqlite")


def _no() -> Column[int]:
    return Column("no", Number, primary_key=True, autoincrement=False)


# What the database belongs to: region, federation, environment, lineage.
meta = Table("meta", metadata, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))

category = Table(
    "category",
    metadata,
    Column("no", SmallInteger, primary_key=True, autoincrement=False),
    Column("code", Text, nullable=False, unique=True),
)

# Who holds points: a resident under the regional system's own name, or one of the region's own books.
account = Table(
    "account",
    metadata,
    _no(),
    Column("name", Text, nullable=False, unique=True),
    Column("kind", SmallInteger, nullable=False),  # ledger.accounts.AccountKind
    Column("state", SmallInteger, nullable=False),  # ledger.accounts.AccountState
    Column("opened_ms", BigInteger, nullable=False),
)

# One account in one category: the account of double entry, with its four counters.
balance = Table(
    "balance",
    metadata,
    _no(),
    Column("account", BigInteger, nullable=False),
    Column("category", SmallInteger, nullable=False),
    Column("resident", Boolean(create_constraint=False), nullable=False),
    Column("debits_pending", BigInteger, nullable=False),
    Column("debits_posted", BigInteger, nullable=False),
    Column("credits_pending", BigInteger, nullable=False),
    Column("credits_posted", BigInteger, nullable=False),
    UniqueConstraint("account", "category"),
    CheckConstraint(
        "debits_pending >= 0 AND debits_posted >= 0 AND credits_pending >= 0 AND credits_posted >= 0", name="counters"
    ),
    CheckConstraint("NOT resident OR credits_posted - debits_posted - debits_pending >= 0", name="not_below_zero"),
)

# One entry: `amount` from the debited to the credited balance.
posting = Table(
    "posting",
    metadata,
    _no(),
    Column("phase", SmallInteger, nullable=False),  # ledger.postings.Phase
    Column("debit", BigInteger, nullable=False),
    Column("credit", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("transfer", BigInteger),  # the transfer it belongs to, or
    Column("command", LargeBinary),  # the id of the local command that caused it
    Column("resident", BigInteger),  # the resident's balance in whose history this entry stands
    Column("at_ms", BigInteger, nullable=False),
    CheckConstraint("amount > 0", name="positive"),
    CheckConstraint("debit <> credit", name="two_sided"),
)
Index(
    "ix_posting_history",
    posting.c.resident,
    posting.c.no,
    sqlite_where=text("resident IS NOT NULL"),
    postgresql_where=text("resident IS NOT NULL"),
)

lot = Table(
    "lot",
    metadata,
    _no(),
    Column("balance", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("remaining", BigInteger, nullable=False),
    Column("granted", Integer, nullable=False),
    Column("expires", Integer, nullable=False),
    Column("issuer", Integer, nullable=False),
    Column("evidence", SmallInteger, nullable=False),
    Column("because", Text, nullable=False),
    Column("further", LargeBinary),  # more provenances, of a block that spanned lots
    Column("transfer", BigInteger),  # the incoming transfer that brought it
    # Provisional until the region `clears_peer` is known to hold my frame number `clears`; NULL = an own award.
    Column("clears_peer", Integer),
    Column("clears", BigInteger),
    CheckConstraint("remaining >= 0 AND remaining <= amount", name="remaining"),
    CheckConstraint("amount > 0", name="positive"),
)
Index(
    "ix_lot_spendable",
    lot.c.balance,
    lot.c.expires,
    sqlite_where=text("remaining > 0"),
    postgresql_where=text("remaining > 0"),
)

# How much of which lot a posting took (or gave back).
lot_entry = Table(
    "lot_entry",
    metadata,
    Column("posting", BigInteger, nullable=False),
    Column("lot", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    PrimaryKeyConstraint("posting", "lot"),
    CheckConstraint("amount > 0", name="positive"),
    sqlite_with_rowid=False,
)

# Both directions: outgoing when `source` is this region. The row is also the idempotency record of an order.
transfer = Table(
    "transfer",
    metadata,
    _no(),
    Column("id", LargeBinary, nullable=False),
    Column("source", Integer, nullable=False),
    Column("destination", Integer, nullable=False),
    Column("state", SmallInteger, nullable=False),  # protocol.transfer.State
    Column("reason", SmallInteger, nullable=False),  # protocol Reason, 0 = none
    Column("digest", LargeBinary, nullable=False),  # of the order (outgoing) or the frame's commitment (incoming)
    Column("client_key", Text),
    Column("balance", BigInteger),  # the resident's, at this region
    Column("category", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("becomes", Text, nullable=False),
    Column("arriving", BigInteger, nullable=False),
    Column("rate_p", Integer, nullable=False),
    Column("rate_q", Integer, nullable=False),
    Column("purpose", SmallInteger, nullable=False),
    Column("cites", LargeBinary),  # the transfer this one reverses
    Column("hold", BigInteger),  # posting that holds (outgoing) or credits (incoming)
    Column("offered", BigInteger),  # number of the offer in its log
    Column("answered", BigInteger),  # number of the answer in its log
    Column("address", LargeBinary),
    Column("at_ms", BigInteger, nullable=False),
    Column("decided_ms", BigInteger),
    UniqueConstraint("id", "source"),
    CheckConstraint("amount > 0 AND arriving > 0", name="positive"),
)
Index(
    "ix_transfer_review",
    transfer.c.no,
    sqlite_where=text("state = 12"),
    postgresql_where=text("state = 12"),
)
Index(
    "ix_transfer_cites",
    transfer.c.cites,
    sqlite_where=text("cites IS NOT NULL"),
    postgresql_where=text("cites IS NOT NULL"),
)

# What was answered to a command that left no transfer: frozen for ever. Key reuse with other content is refused.
outcome = Table(
    "outcome",
    metadata,
    Column("id", LargeBinary, nullable=False),
    Column("command", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("reason", SmallInteger, nullable=False),  # 0 = done
    Column("answer", Text, nullable=False),  # JSON, as the caller got it
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("id"),
    sqlite_with_rowid=False,
)

# What a regional system reads with a cursor.
event = Table(
    "event",
    metadata,
    _no(),
    Column("kind", SmallInteger, nullable=False),  # services.event.EventKind
    Column("transfer", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

address = Table(
    "address",
    metadata,
    Column("alias", LargeBinary, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("sender", Integer, nullable=False),  # the one region that may use it; 0 = any
    Column("purpose", SmallInteger, nullable=False),  # 0 = any
    Column("expires_ms", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

# Requests to reverse, on both sides: mine (outgoing) and those I was asked (incoming).
reversal = Table(
    "reversal",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    Column("transfer", BigInteger, nullable=False),  # the original
    Column("peer", Integer, nullable=False),
    Column("asked_by_me", Boolean(create_constraint=False), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("state", SmallInteger, nullable=False),  # services.reversal.ReversalState
    Column("reason", SmallInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

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
    _no(),
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

evidence = Table(
    "evidence",
    metadata,
    _no(),
    Column("peer", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("file", LargeBinary, nullable=False),
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

APPEND_ONLY = (posting, lot_entry, outcome, event, receipt, evidence, roster)
"""Tables whose rows are never changed and never go away."""
