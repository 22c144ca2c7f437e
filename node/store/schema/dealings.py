"""What two regions deal with besides transfers: agreements, consents, attestations, roaming, clawback and disputes.

Few rows, written at once and not in bulk. What both regions hold follows from the two logs between them.
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
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)

from .base import metadata, number


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean(create_constraint=False), nullable=False)


# Every request about one of these, on both sides: what I asked of a peer and what it asked of me.
request = Table(
    "request",
    metadata,
    Column("id", LargeBinary, nullable=False),
    Column("peer", Integer, nullable=False),
    _flag("mine"),
    Column("kind", SmallInteger, nullable=False),
    Column("subject", LargeBinary, nullable=False),  # the id of what it is about
    Column("number", BigInteger),  # of the peer's frame; NULL = mine
    Column("state", SmallInteger, nullable=False),  # services.topics.RequestState
    Column("reason", SmallInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("answered_ms", BigInteger),
    PrimaryKeyConstraint("id", "peer", "mine"),
)
Index("ix_request_subject", request.c.subject)

# Every version of every agreement that was ever proposed.
agreement = Table(
    "agreement",
    metadata,
    Column("digest", LargeBinary, nullable=False),  # SHA-256 of the document
    Column("id", LargeBinary, nullable=False),
    Column("version", Integer, nullable=False),
    Column("peer", Integer, nullable=False),
    Column("request", LargeBinary, nullable=False),  # under which it was proposed
    Column("proposer", Integer, nullable=False),
    Column("proposed", LargeBinary, nullable=False),  # the document, signed by its proposer
    Column("countersigned", LargeBinary),  # the same, signed by both
    Column("state", SmallInteger, nullable=False),  # protocol.agreement
    Column("reason", SmallInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("decided_ms", BigInteger),
    Column("no", BigInteger, nullable=False),  # in the order in which they became known
    PrimaryKeyConstraint("request", "proposer"),  # a document can be proposed twice
)
Index("ix_agreement_peer", agreement.c.peer)

# What one side said about an agreement: suspended, resumed, terminated.
notice = Table(
    "notice",
    metadata,
    Column("request", LargeBinary, nullable=False),
    Column("agreement", LargeBinary, nullable=False),
    Column("peer", Integer, nullable=False),
    Column("said_by", Integer, nullable=False),
    Column("what", SmallInteger, nullable=False),
    Column("signed", LargeBinary, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    _flag("refused"),  # the other side found it to be about nothing
    Column("no", BigInteger, nullable=False),
    PrimaryKeyConstraint("request", "said_by"),
)

# What a resident has sent to a region in the periods that caps count: the running day, month and year, and ever.
usage = Table(
    "usage",
    metadata,
    Column("balance", BigInteger, nullable=False),
    Column("peer", Integer, nullable=False),
    Column("day", Integer, nullable=False),  # yyyymmdd
    Column("in_day", BigInteger, nullable=False),
    Column("in_month", BigInteger, nullable=False),
    Column("in_year", BigInteger, nullable=False),
    Column("ever", BigInteger, nullable=False),
    Column("relocated", Integer, nullable=False),  # business date of the last relocation; 0 = none
    PrimaryKeyConstraint("balance", "peer"),
    CheckConstraint("in_day >= 0 AND in_month >= 0 AND in_year >= 0 AND ever >= 0", name="not_negative"),
    sqlite_with_rowid=False,
)

# The same of all residents together, in one direction and one category of the source; and what the source owes for it:
# what it has sent, holds counted, less what came back in that category.
pair_usage = Table(
    "pair_usage",
    metadata,
    Column("peer", Integer, nullable=False),
    _flag("incoming"),
    Column("category", Text, nullable=False),
    Column("day", Integer, nullable=False),
    Column("in_day", BigInteger, nullable=False),
    Column("in_month", BigInteger, nullable=False),
    Column("net", BigInteger, nullable=False),
    PrimaryKeyConstraint("peer", "incoming", "category"),
    CheckConstraint("in_day >= 0 AND in_month >= 0", name="not_negative"),
)

consent = Table(
    "consent",
    metadata,
    Column("id", LargeBinary, nullable=False),
    Column("account", BigInteger, nullable=False),
    Column("recipient", Integer, nullable=False),
    Column("contact", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("kinds", Text, nullable=False),  # JSON list
    Column("given_by", SmallInteger, nullable=False),  # services.consent.GivenBy
    Column("expires", Integer, nullable=False),  # first business date on which it no longer holds
    Column("salt", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("withdrawn_ms", BigInteger),
    PrimaryKeyConstraint("id"),
)
Index("ix_consent_account", consent.c.account)

# What verifies a resident towards another region: sealed under the region's secret, never the number itself.
identity = Table(
    "identity",
    metadata,
    Column("account", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("account"),
)

penalty = Table(
    "penalty",
    metadata,
    number(),
    Column("id", LargeBinary, nullable=False, unique=True),
    Column("account", BigInteger, nullable=False),
    Column("category", SmallInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("taken", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", SmallInteger, nullable=False),  # services.penalty.PenaltyState
    Column("maker", Text, nullable=False),
    Column("checker", Text, nullable=False),
    Column("appeal_until", Integer, nullable=False),
    Column("appeal", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("decided_ms", BigInteger),
    CheckConstraint("amount > 0 AND taken >= 0 AND taken <= amount", name="bounded"),
)
Index("ix_penalty_account", penalty.c.account)

# What the home region knows of a resident besides points: the newest of each kind and words.
fact = Table(
    "fact",
    metadata,
    Column("account", BigInteger, nullable=False),
    Column("kind", SmallInteger, nullable=False),  # protocol.attestation.FactKind
    Column("words", Text, nullable=False),  # which of its kind
    Column("value", BigInteger, nullable=False),
    Column("evidence", SmallInteger, nullable=False),
    Column("as_of", Integer, nullable=False),
    Column("expires", Integer, nullable=False),  # first business date on which it no longer holds; 0 = never
    Column("reference", Text, nullable=False),  # the issuer's own
    Column("withdrawn", Boolean(create_constraint=False), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("account", "kind", "words"),
)

# What a resident shows to another region for it to ask: valid once, and under one consent.
share = Table(
    "share",
    metadata,
    Column("code", LargeBinary, nullable=False),
    Column("account", BigInteger, nullable=False),
    Column("audience", Integer, nullable=False),
    Column("consent", Text, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
    PrimaryKeyConstraint("code"),
)

# What I attested (`mine`) and what I asked of a peer; its id is that of the request.
attestation = Table(
    "attestation",
    metadata,
    Column("id", LargeBinary, nullable=False),
    Column("peer", Integer, nullable=False),  # 0 = anybody: a credential
    _flag("mine"),
    Column("account", BigInteger, nullable=False),
    Column("request", LargeBinary, nullable=False),  # the body that asked for it; a credential has none
    Column("signed", LargeBinary),  # the attestation
    Column("state", SmallInteger, nullable=False),  # protocol.attestation.State
    Column("reason", SmallInteger, nullable=False),  # why it was refused, or revoked (protocol RevocationCause)
    Column("expires", Integer, nullable=False),
    Column("place", BigInteger),  # of a credential: its bit in the list of those that were revoked
    Column("at_ms", BigInteger, nullable=False),
    Column("decided_ms", BigInteger),
    PrimaryKeyConstraint("id", "peer", "mine"),
)
Index("ix_attestation_account", attestation.c.account)

# What a region makes of an attestation for its own account: eligibility, no points.
recognition = Table(
    "recognition",
    metadata,
    Column("attestation", LargeBinary, nullable=False),
    Column("peer", Integer, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("words", Text, nullable=False),
    Column("account", BigInteger, nullable=False),
    Column("value", BigInteger, nullable=False),
    Column("there", BigInteger, nullable=False),  # what it was at the peer
    Column("expires", Integer, nullable=False),
    Column("revoked_ms", BigInteger),
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("attestation", "peer", "kind", "words"),
)
Index("ix_recognition_account", recognition.c.account)

# What a resident shows to a counter of another region: valid once, for minutes.
code = Table(
    "code",
    metadata,
    Column("code", LargeBinary, nullable=False),
    Column("account", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
    PrimaryKeyConstraint("code"),
)

# Points held at `holder` for a purchase at `counter`.
authorisation = Table(
    "authorisation",
    metadata,
    Column("id", LargeBinary, nullable=False),
    Column("holder", Integer, nullable=False),
    Column("counter", Integer, nullable=False),
    Column("balance", BigInteger),  # the resident's, at the holder
    Column("category", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("becomes", Text, nullable=False),
    Column("arriving", BigInteger, nullable=False),
    Column("rate_p", Integer, nullable=False),
    Column("rate_q", Integer, nullable=False),
    Column("state", SmallInteger, nullable=False),  # protocol.roaming
    Column("reason", SmallInteger, nullable=False),
    Column("captured", BigInteger, nullable=False),  # of `amount`
    Column("hold", BigInteger),  # posting at the holder
    Column("reference", Text, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger),
    Column("changed", BigInteger, nullable=False),  # grows with every change of any of them: a cursor
    PrimaryKeyConstraint("id", "counter"),
    CheckConstraint("captured >= 0 AND captured <= amount", name="bounded"),
)
Index("ix_authorisation_changed", authorisation.c.changed)
Index(
    "ix_authorisation_open",
    authorisation.c.until_ms,
    sqlite_where=text("state = 2"),
    postgresql_where=text("state = 2"),
)

# One hop of a clawback: what was asked of whom, and what came of it, in blocks of the transfer. Where it began there is
# a row whose peer is this region itself, in units.
clawback = Table(
    "clawback",
    metadata,
    Column("id", LargeBinary, nullable=False),
    Column("peer", Integer, nullable=False),
    _flag("mine"),  # I asked
    Column("root", LargeBinary, nullable=False),  # what began it, the same along the chain
    Column("parent", LargeBinary),  # the request this one forwards: its id, and the peer of that row in four bytes
    Column("transfer", LargeBinary, nullable=False),
    Column("cause", SmallInteger, nullable=False),  # protocol.clawback.Cause
    Column("issuer", Integer, nullable=False),
    Column("because", Text, nullable=False),
    Column("category", Text, nullable=False),  # of this region
    Column("shares", LargeBinary, nullable=False),  # which blocks of the transfer; where it began: which lots
    Column("blocks", BigInteger, nullable=False),
    Column("recovered", BigInteger, nullable=False),
    Column("further", BigInteger, nullable=False),
    Column("owed", BigInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),  # protocol.clawback
    Column("reason", SmallInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("answered_ms", BigInteger),
    _flag("settled"),  # nothing of it is held here or on its way: only answers are awaited
    PrimaryKeyConstraint("id", "peer", "mine"),
)
Index("ix_clawback_root", clawback.c.root)
Index("ix_clawback_parent", clawback.c.parent)
Index("ix_clawback_transfer", clawback.c.transfer)
Index(
    "ix_clawback_open",
    clawback.c.at_ms,
    sqlite_where=text("state IN (1, 11, 21)"),
    postgresql_where=text("state IN (1, 11, 21)"),
)

# What a clawback took from whom.
clawback_debit = Table(
    "clawback_debit",
    metadata,
    Column("posting", BigInteger, nullable=False),
    Column("clawback", LargeBinary, nullable=False),
    Column("peer", Integer, nullable=False),
    Column("balance", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    PrimaryKeyConstraint("posting"),
    CheckConstraint("amount > 0", name="positive"),
)
Index("ix_clawback_debit_clawback", clawback_debit.c.clawback)

dispute = Table(
    "dispute",
    metadata,
    Column("id", LargeBinary, nullable=False),
    Column("peer", Integer, nullable=False),
    Column("opened_by", Integer, nullable=False),
    Column("respondent", Integer, nullable=False),
    Column("about_kind", SmallInteger, nullable=False),  # protocol.dispute.Matter
    Column("about", LargeBinary, nullable=False),
    Column("whose", Integer, nullable=False),  # protocol.dispute.Opening.region
    Column("category", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),  # protocol.dispute.State
    Column("reason", SmallInteger, nullable=False),  # why it, or the newest step of mine, was refused
    Column("last", LargeBinary, nullable=False),  # hash of the newest step
    Column("steps", Integer, nullable=False),
    Column("deadline", Integer, nullable=False),  # business date
    Column("settled", BigInteger, nullable=False),  # the amount it ended with
    Column("pending", LargeBinary),  # my step that the other side has not taken yet
    Column("hold", BigInteger),  # posting that freezes what is unspent
    Column("at_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger),
    PrimaryKeyConstraint("id"),
)
Index("ix_dispute_about", dispute.c.about)

dispute_step = Table(
    "dispute_step",
    metadata,
    Column("dispute", LargeBinary, nullable=False),
    Column("no", Integer, nullable=False),
    Column("signed", LargeBinary, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("dispute", "no"),
)
