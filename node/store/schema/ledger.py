"""Who holds points, what was posted, and what became of every transfer."""

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
    text,
    true,
)

from .base import metadata, number

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
    number(),
    Column("name", Text, nullable=False, unique=True),
    Column("kind", SmallInteger, nullable=False),  # ledger.accounts.AccountKind
    Column("state", SmallInteger, nullable=False),  # ledger.accounts.AccountState
    Column("opened_ms", BigInteger, nullable=False),
)

# One account in one category: the account of double entry, with its four counters.
balance = Table(
    "balance",
    metadata,
    number(),
    Column("account", BigInteger, nullable=False),
    Column("category", SmallInteger, nullable=False),
    Column("resident", Boolean(create_constraint=False), nullable=False),
    Column("debits_pending", BigInteger, nullable=False),
    Column("debits_posted", BigInteger, nullable=False),
    Column("credits_pending", BigInteger, nullable=False),
    Column("credits_posted", BigInteger, nullable=False),
    Column("latest", BigInteger),  # the newest posting in its history
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
    number(),
    Column("phase", SmallInteger, nullable=False),  # ledger.postings.Phase
    Column("debit", BigInteger, nullable=False),
    Column("credit", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("transfer", BigInteger),  # the transfer it belongs to, or
    Column("command", LargeBinary),  # the id of the local command that caused it
    Column("resident", BigInteger),  # the resident's balance in whose history this entry stands
    Column("at_ms", BigInteger, nullable=False),
    # The one before it in that history. A chain, since an index over residents would cost every posting a page.
    Column("before", BigInteger),
    CheckConstraint("amount > 0", name="positive"),
    CheckConstraint("debit <> credit", name="two_sided"),
)

lot = Table(
    "lot",
    metadata,
    number(),
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
    number(),
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
    number(),
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

# What the region advanced so that no resident went below zero; the balance's next credits repay it.
owed = Table(
    "owed",
    metadata,
    Column("balance", BigInteger, primary_key=True, autoincrement=False),
    Column("amount", BigInteger, nullable=False),
    CheckConstraint("amount >= 0", name="not_negative"),
)

# What one region owes another, in suspense: nothing is unposted for it.
claim = Table(
    "claim",
    metadata,
    number(),
    Column("peer", Integer, nullable=False),
    Column("cause", SmallInteger, nullable=False),  # services.claim.Cause
    Column("id", LargeBinary, nullable=False),  # of the transfer it is about
    Column("category", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("because", Text, nullable=False),
    Column("state", SmallInteger, nullable=False),  # services.claim.ClaimState
    Column("at_ms", BigInteger, nullable=False),
    # The peer owes me; otherwise I owe the peer.
    Column("mine", Boolean(create_constraint=False), nullable=False, server_default=true()),
    UniqueConstraint("peer", "cause", "id"),
    CheckConstraint("amount > 0", name="positive"),
)
