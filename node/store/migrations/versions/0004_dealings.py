"""What two regions deal with besides transfers: agreements, consents, attestations, roaming, clawback and disputes.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

# What regions owe each other for the transfers there are. The states tell the side: 1 to 9 at the source.
_OWED = """
INSERT INTO pair_usage (peer, incoming, category, day, in_day, in_month, net)
SELECT peer, incoming, category, 0, 0, 0, CAST(sum(net) AS BIGINT) FROM (
    SELECT destination AS peer, false AS incoming, category, amount AS net FROM transfer WHERE state IN (1, 2)
    UNION ALL SELECT destination, true, becomes, -arriving FROM transfer WHERE state = 2
    UNION ALL SELECT source, true, category, amount FROM transfer WHERE state = 13
    UNION ALL SELECT source, false, becomes, -arriving FROM transfer WHERE state = 13
) AS moved GROUP BY peer, incoming, category
"""


def upgrade() -> None:
    """Add their tables, and to a claim who owes it: until now always the peer."""
    op.add_column("claim", sa.Column("mine", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.create_table(
        "agreement",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("peer", sa.Integer(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("proposer", sa.Integer(), nullable=False),
        sa.Column("proposed", sa.LargeBinary(), nullable=False),
        sa.Column("countersigned", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.SmallInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("decided_ms", sa.BigInteger(), nullable=True),
        sa.Column("no", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("request", "proposer", name=op.f("pk_agreement")),
    )
    op.create_index("ix_agreement_peer", "agreement", ["peer"], unique=False)
    op.create_table(
        "attestation",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("peer", sa.Integer(), nullable=False),
        sa.Column("mine", sa.Boolean(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("signed", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.SmallInteger(), nullable=False),
        sa.Column("expires", sa.Integer(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("decided_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", "peer", "mine", name=op.f("pk_attestation")),
    )
    op.create_index("ix_attestation_account", "attestation", ["account"], unique=False)
    op.create_table(
        "authorisation",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("holder", sa.Integer(), nullable=False),
        sa.Column("counter", sa.Integer(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=True),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("becomes", sa.Text(), nullable=False),
        sa.Column("arriving", sa.BigInteger(), nullable=False),
        sa.Column("rate_p", sa.Integer(), nullable=False),
        sa.Column("rate_q", sa.Integer(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.SmallInteger(), nullable=False),
        sa.Column("captured", sa.BigInteger(), nullable=False),
        sa.Column("hold", sa.BigInteger(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("captured >= 0 AND captured <= amount", name=op.f("ck_authorisation_bounded")),
        sa.PrimaryKeyConstraint("id", "counter", name=op.f("pk_authorisation")),
    )
    op.create_index("ix_authorisation_changed", "authorisation", ["changed"], unique=False)
    op.create_index(
        "ix_authorisation_open",
        "authorisation",
        ["until_ms"],
        unique=False,
        sqlite_where=sa.text("state = 2"),
        postgresql_where=sa.text("state = 2"),
    )
    op.create_table(
        "clawback",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("peer", sa.Integer(), nullable=False),
        sa.Column("mine", sa.Boolean(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("parent", sa.LargeBinary(), nullable=True),
        sa.Column("transfer", sa.LargeBinary(), nullable=False),
        sa.Column("cause", sa.SmallInteger(), nullable=False),
        sa.Column("issuer", sa.Integer(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("shares", sa.LargeBinary(), nullable=False),
        sa.Column("blocks", sa.BigInteger(), nullable=False),
        sa.Column("recovered", sa.BigInteger(), nullable=False),
        sa.Column("further", sa.BigInteger(), nullable=False),
        sa.Column("owed", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.SmallInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("answered_ms", sa.BigInteger(), nullable=True),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", "peer", "mine", name=op.f("pk_clawback")),
    )
    op.create_index(
        "ix_clawback_open",
        "clawback",
        ["at_ms"],
        unique=False,
        sqlite_where=sa.text("state IN (1, 11, 21)"),
        postgresql_where=sa.text("state IN (1, 11, 21)"),
    )
    op.create_index("ix_clawback_parent", "clawback", ["parent"], unique=False)
    op.create_index("ix_clawback_root", "clawback", ["root"], unique=False)
    op.create_index("ix_clawback_transfer", "clawback", ["transfer"], unique=False)
    op.create_table(
        "clawback_debit",
        sa.Column("posting", sa.BigInteger(), nullable=False),
        sa.Column("clawback", sa.LargeBinary(), nullable=False),
        sa.Column("peer", sa.Integer(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_clawback_debit_positive")),
        sa.PrimaryKeyConstraint("posting", name=op.f("pk_clawback_debit")),
    )
    op.create_index("ix_clawback_debit_clawback", "clawback_debit", ["clawback"], unique=False)
    op.create_table(
        "code",
        sa.Column("code", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_code")),
    )
    op.create_table(
        "consent",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("recipient", sa.Integer(), nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("kinds", sa.Text(), nullable=False),
        sa.Column("given_by", sa.SmallInteger(), nullable=False),
        sa.Column("expires", sa.Integer(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent")),
    )
    op.create_index("ix_consent_account", "consent", ["account"], unique=False)
    op.create_table(
        "dispute",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("peer", sa.Integer(), nullable=False),
        sa.Column("opened_by", sa.Integer(), nullable=False),
        sa.Column("respondent", sa.Integer(), nullable=False),
        sa.Column("about_kind", sa.SmallInteger(), nullable=False),
        sa.Column("about", sa.LargeBinary(), nullable=False),
        sa.Column("whose", sa.Integer(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.SmallInteger(), nullable=False),
        sa.Column("last", sa.LargeBinary(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("deadline", sa.Integer(), nullable=False),
        sa.Column("settled", sa.BigInteger(), nullable=False),
        sa.Column("pending", sa.LargeBinary(), nullable=True),
        sa.Column("hold", sa.BigInteger(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispute")),
    )
    op.create_index("ix_dispute_about", "dispute", ["about"], unique=False)
    op.create_table(
        "dispute_step",
        sa.Column("dispute", sa.LargeBinary(), nullable=False),
        sa.Column("no", sa.Integer(), nullable=False),
        sa.Column("signed", sa.LargeBinary(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dispute", "no", name=op.f("pk_dispute_step")),
    )
    op.create_table(
        "fact",
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("evidence", sa.SmallInteger(), nullable=False),
        sa.Column("as_of", sa.Integer(), nullable=False),
        sa.Column("expires", sa.Integer(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "kind", "words", name=op.f("pk_fact")),
    )
    op.create_table(
        "identity",
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_identity")),
    )
    op.create_table(
        "notice",
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("agreement", sa.LargeBinary(), nullable=False),
        sa.Column("peer", sa.Integer(), nullable=False),
        sa.Column("said_by", sa.Integer(), nullable=False),
        sa.Column("what", sa.SmallInteger(), nullable=False),
        sa.Column("signed", sa.LargeBinary(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.Boolean(), nullable=False),
        sa.Column("no", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("request", "said_by", name=op.f("pk_notice")),
    )
    op.create_table(
        "pair_usage",
        sa.Column("peer", sa.Integer(), nullable=False),
        sa.Column("incoming", sa.Boolean(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("in_day", sa.BigInteger(), nullable=False),
        sa.Column("in_month", sa.BigInteger(), nullable=False),
        sa.Column("net", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("in_day >= 0 AND in_month >= 0", name=op.f("ck_pair_usage_not_negative")),
        sa.PrimaryKeyConstraint("peer", "incoming", "category", name=op.f("pk_pair_usage")),
    )
    op.execute(_OWED)
    op.create_table(
        "penalty",
        sa.Column("no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("category", sa.SmallInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("taken", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("maker", sa.Text(), nullable=False),
        sa.Column("checker", sa.Text(), nullable=False),
        sa.Column("appeal_until", sa.Integer(), nullable=False),
        sa.Column("appeal", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("decided_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("amount > 0 AND taken >= 0 AND taken <= amount", name=op.f("ck_penalty_bounded")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_penalty")),
        sa.UniqueConstraint("id", name=op.f("uq_penalty_id")),
    )
    op.create_index("ix_penalty_account", "penalty", ["account"], unique=False)
    op.create_table(
        "recognition",
        sa.Column("attestation", sa.LargeBinary(), nullable=False),
        sa.Column("peer", sa.Integer(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("there", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.Integer(), nullable=False),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("attestation", "peer", "kind", "words", name=op.f("pk_recognition")),
    )
    op.create_index("ix_recognition_account", "recognition", ["account"], unique=False)
    op.create_table(
        "request",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("peer", sa.Integer(), nullable=False),
        sa.Column("mine", sa.Boolean(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.SmallInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("answered_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", "peer", "mine", name=op.f("pk_request")),
    )
    op.create_index("ix_request_subject", "request", ["subject"], unique=False)
    op.create_table(
        "share",
        sa.Column("code", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("audience", sa.Integer(), nullable=False),
        sa.Column("consent", sa.Text(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_share")),
    )
    op.create_table(
        "usage",
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("peer", sa.Integer(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("in_day", sa.BigInteger(), nullable=False),
        sa.Column("in_month", sa.BigInteger(), nullable=False),
        sa.Column("in_year", sa.BigInteger(), nullable=False),
        sa.Column("ever", sa.BigInteger(), nullable=False),
        sa.Column("relocated", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "in_day >= 0 AND in_month >= 0 AND in_year >= 0 AND ever >= 0", name=op.f("ck_usage_not_negative")
        ),
        sa.PrimaryKeyConstraint("balance", "peer", name=op.f("pk_usage")),
        sqlite_with_rowid=False,
    )
